"""The two sides of a transfer as they are written in a configuration: folders and S3 addresses."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# At other stores, and at Amazon's before 2018: what botocore takes.
_BUCKET_ELSEWHERE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
# An access point, of one region, of several or of an outpost.
_ARN = re.compile(
    r"(arn:[a-z-]+:(?:s3:[a-z0-9-]*:[0-9]{12}"
    r"|s3-outposts:[a-z0-9-]+:[0-9]{12}:outpost[:/][A-Za-z0-9-]{1,63})[:/]accesspoint)"
    r"[:/]([A-Za-z0-9.-]{1,63})"
)
_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*)|)", re.ASCII)
_WINDOWS = re.compile(r"([A-Za-z]):[\\/]+(.*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INVISIBLE = "\u200b\u2060\ufeff"  # blanks that one cannot see, copied from a web page


def is_s3(text: str) -> bool:
    """Whether ``text`` is meant as an S3 address rather than a folder."""
    return text.startswith("s3://")


def is_arn(bucket: str) -> bool:
    """Whether a bucket is named by the ARN of an access point."""
    return bucket.startswith("arn:")


def parse_s3(text: str, *, elsewhere: bool = False) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``; the prefix is ``""`` or ends in ``/``.

    The bucket may be the ARN of an access point; its name then comes after a colon, never after a
    slash. ``elsewhere`` is as in ``check_bucket``. Only a missing slash at the end is added: S3
    takes every other slash literally, so a prefix that starts with one is refused rather than
    moved, and so is a blank at either end. Raises ValueError; what could be a password is not in
    its message.
    """
    place = text.removeprefix("s3://")
    if arn := _ARN.match(place):
        place = f"{arn[1].replace('/', ':')}:{arn[2]}{place[arn.end() :]}"
    bucket, _, prefix = place.partition("/")
    if "@" in bucket or (":" in bucket and not is_arn(bucket)):
        raise ValueError(
            "holds more than bucket and prefix; allowed: s3://bucket/prefix, and credentials come "
            "only from the AWS chain"
        )
    check_blanks(text)
    check_bucket(bucket, elsewhere=elsewhere)
    if prefix.startswith("/"):
        raise ValueError('the prefix starts with "/"; write one slash after the bucket')
    if _CONTROL.search(prefix):
        raise ValueError("the prefix holds a control character")
    if {".", ".."} & set(prefix.split("/")):
        raise ValueError('the prefix has "." or ".." as a folder, which S3 does not resolve')
    return bucket, prefix + "/" if prefix and not prefix.endswith("/") else prefix


def check_blanks(text: str) -> None:
    """Raise ValueError when ``text`` begins or ends with a blank, because it is hardly meant; the
    message shows the blank. A name that does end in a blank can be written with a slash after it.
    """
    for end, character in (("begins", text[:1]), ("ends", text[-1:])):
        if character and (character.isspace() or character in _INVISIBLE):
            shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
            raise ValueError(f'"{shown}" {end} with a blank; take it away')


def check_bucket(name: str, *, elsewhere: bool = False) -> None:
    """Raise ValueError when ``name`` cannot be the name of a bucket, nor the ARN of an access
    point.

    ``elsewhere`` means that a service other than Amazon's was named; many take other names, too. It
    may also be named by AWS_ENDPOINT_URL.
    """
    if is_arn(name):
        if not _ARN.fullmatch(name):
            raise ValueError(
                f'"{name}" is not the ARN of an access point; allowed:'
                " arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME"
            )
        return
    if elsewhere or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        if not _BUCKET_ELSEWHERE.fullmatch(name) or ".." in name:
            raise ValueError(
                f'"{name}" is not the name of a bucket; allowed: 2 to 255 letters, digits, dots,'
                " hyphens and underscores"
            )
        return
    dotted_quad = re.fullmatch(r"\d+(\.\d+){3}", name, re.ASCII)
    if not _BUCKET.fullmatch(name) or ".." in name or dotted_quad:
        raise ValueError(
            f'"{name}" is not the name of a bucket; allowed: 3 to 63 lower-case letters, digits, '
            "dots and hyphens, with a letter or a digit at both ends"
        )


def in_wsl(text: str) -> str | None:
    """Where WSL has the folder of a Windows path (``C:\\data``); None for any other text."""
    match = _WINDOWS.fullmatch(text)
    if match is None:
        return None
    return f"/mnt/{match[1].lower()}/" + re.sub(r"[\\/]+", "/", match[2])


def local_path(text: str) -> Path:
    """The folder that ``text`` names, with ``~`` and variables expanded; relative stays relative.

    ``$$`` is a plain ``$``. Raises ValueError for an address, for a path of Windows, for an unknown
    user, for a variable that is unset or empty (half a path would be another place), and for a
    blank at either end.
    """
    check_blanks(text)
    scheme = _SCHEME.match(text)
    if scheme is not None:
        raise ValueError(
            f"{scheme[1]}:// is not supported; allowed: a folder or s3://bucket/prefix"
        )
    if (place := in_wsl(text)) is not None:
        raise ValueError(f'is a path of Windows; in WSL it is "{place}"')
    if _CONTROL.search(text):
        raise ValueError("the path holds a control character")
    text = os.path.expanduser(text)  # noqa: PTH111  Path would raise another error
    if text.startswith("~"):
        raise ValueError(f'no home folder for "{text.partition("/")[0]}"; "./~" is a plain "~"')
    text = _VARIABLE.sub(_expanded, text)
    check_blanks(text)  # also one that a variable brings along
    return Path(text)


def _expanded(match: re.Match[str]) -> str:
    if match[1]:
        return "$"
    name = match[2] or match[3]
    if name is None:
        raise ValueError('has a "$" without the name of a variable; "$$" is a plain "$"')
    value = os.environ.get(name)
    if not value:
        state = "not set" if value is None else "empty"
        raise ValueError(f'the variable {name} is {state}; "$$" is a plain "$"')
    return value


def key_prefix(prefix: str, relative: str) -> str:
    """The key prefix, ending in ``/``, that ``relative`` names as seen from ``prefix``.

    ``..`` goes up one folder. Raises ValueError when the result would leave the bucket or be its
    top.
    """
    if relative.startswith("/") or _SCHEME.match(relative):
        raise ValueError('is absolute; write it relative to the destination, like "../manifests/"')
    if _CONTROL.search(relative):
        raise ValueError("holds a control character")
    check_blanks(relative)
    folders = prefix.split("/")[:-1]
    for folder in relative.removesuffix("/").split("/"):
        if folder == "":
            raise ValueError('has two "/" in a row')
        if folder == "..":
            if not folders:
                raise ValueError("leaves the bucket; there are fewer folders in the destination")
            folders.pop()
        elif folder != ".":
            folders.append(folder)
    if not folders:
        raise ValueError("is the top of the bucket; name a folder")
    return "/".join(folders) + "/"
