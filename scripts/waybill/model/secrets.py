"""Secrets in use, and texts without them.

A server may repeat what was sent to it: a key, a token, a header, the query of a presigned address.
Each text that is shown or kept goes through ``masked``: the text of a ``WaybillError`` when it is
made, and each line of a log when it is written.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from urllib.parse import quote, quote_plus

MASK = "***"

# A shorter secret would hide parts of ordinary words; local test servers have keys like "test".
_LEAST = 8
# So many characters of a secret are enough to find it where a server has cut it off.
_HEAD = 16

_VARIABLES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
)  # fmt: skip

# Secrets that are known by what stands before them, whosoever they are.
_SHAPES = re.compile(
    r"""
      (?P<before> \b X-Amz-(?:Signature|Security-Token|Credential) (?:=|%3D|["']?\s*:\s*["']?)
        | \b (?:Aws)?AccessKeyId= | \b Signature (?:=|%3D)
        | \b Credential= | \b (?:Bearer|Basic) \s+ (?=[\w.~+/=-]{16})
        | \b AWS \s+ (?=[A-Z0-9]{16,}:)
      ) [^\s&,;"'<>]+
    | (?P<scheme> \b [a-z][a-z0-9+.-]* ://) [^\s/@]+ (?=@)
    | \b A[KS]IA[A-Z0-9]{16} \b
    """,
    re.VERBOSE | re.IGNORECASE,
)

_known: set[str] = set()


def hold(*secrets: str | None) -> None:
    """Note secrets that are in use from now on. Those of AWS's variables are known already."""
    _known.update(text for text in secrets if text and len(text) >= _LEAST)


def masked(text: str) -> str:
    """``text`` with each secret in use replaced by ``***``, also where it is percent-encoded or cut
    off, and with what looks like a signature, a presigned query or a login."""
    own = (os.environ.get(name, "") for name in _VARIABLES)
    in_use = _known.union(secret for secret in own if len(secret) >= _LEAST)
    if in_use:
        text = _without(text, frozenset(in_use))
    return _SHAPES.sub(_shape, text) if _may_hold_one(text) else text


def _may_hold_one(text: str) -> bool:
    return any(sign in text for sign in ("=", ":", "%", "AKIA", "ASIA", "earer ", "asic "))


def _shape(match: re.Match[str]) -> str:
    return (match["before"] or match["scheme"] or "") + MASK


def _without(text: str, secrets: frozenset[str]) -> str:
    heads, forms = _forms(secrets)
    kept, at = [], 0
    for match in heads.finditer(text):
        if match.start() < at:
            continue
        end = max(_end(text, match.start(), form) for form in forms)
        if end > match.start():
            kept += (text[at : match.start()], MASK)
            at = end
    return "".join((*kept, text[at:])) if kept else text


@lru_cache(maxsize=8)
def _forms(secrets: frozenset[str]) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """A pattern of how the secrets begin, and the secrets in each way a server may write them."""
    forms = {form for s in secrets for form in (s, quote(s), quote(s, safe=""), quote_plus(s))}
    heads = sorted({form[:_HEAD] for form in forms}, key=len, reverse=True)
    pattern = "|".join(map(re.escape, heads))
    return re.compile(f"(?=({pattern}))", re.IGNORECASE), tuple(forms)


def _end(text: str, start: int, form: str) -> int:
    """Where ``form``, or as much of it as is there, ends in ``text``; ``start`` when it is not
    there. A short one counts only as a word of its own."""
    end = start
    most = min(len(text), start + len(form))
    while end < most and text[end].lower() == form[end - start].lower():
        end += 1
    if end - start < min(len(form), _HEAD):
        return start
    if len(form) < _HEAD:
        around = text[start - 1 : start] + text[end : end + 1]
        return start if any(c.isalnum() or c in "_-" for c in around) else end
    return end
