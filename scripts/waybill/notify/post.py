"""One POST of JSON: to this address only, within a time limit, with one second attempt.

No redirect is followed: urllib would turn the POST into a GET, perhaps to another host. Proxies are
those of the environment, as urllib reads it.
"""

from __future__ import annotations

import email.utils
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.message import Message as Headers
from http import HTTPStatus
from typing import Any

from waybill import __version__
from waybill.model.errors import one_line

RETRY_AFTER_SECONDS = 1.0  # if the server names no time


class PostError(Exception):
    """The document was not accepted. The text holds no part of the address."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def post(url: str, document: dict[str, Any], *, seconds: float, within: float) -> None:
    """POST ``document``. The server may be silent for ``seconds``; all of it may take ``within``
    seconds. After an answer 429 or 5xx the POST is repeated once, at the time the server names.

    Raises PostError unless the answer is 2xx.
    """
    end = time.monotonic() + within
    request = urllib.request.Request(
        url,
        json.dumps(document).encode(),
        {"Content-Type": "application/json", "User-Agent": f"waybill/{__version__}"},
    )
    opener = urllib.request.build_opener(_NoRedirect)
    for attempt in (1, 2):
        left = min(seconds, end - time.monotonic())
        try:
            opener.open(request, timeout=left).close()
            return
        except urllib.error.HTTPError as error:
            with error:
                wait = _wait(error.code, error.headers)
                answer = _answer(error)
            if attempt == 2 or wait is None:
                raise PostError(answer) from None
            if time.monotonic() + wait >= end:
                raise PostError(f"{answer}, to be tried again after {wait:.0f} seconds") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PostError(why(error)) from None
        time.sleep(wait)


def _wait(status: int, headers: Headers) -> float | None:
    """Seconds until the request may be sent again, or None when it should not be (RFC 9110,
    10.2.3: a number of seconds or a date)."""
    if status != HTTPStatus.TOO_MANY_REQUESTS and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    given = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", given):
        return float(given)
    try:
        when = email.utils.parsedate_to_datetime(given)
    except ValueError:
        return RETRY_AFTER_SECONDS
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _answer(error: urllib.error.HTTPError) -> str:
    """The answer in words; of its body only a code like Slack's ``no_service``."""
    text = f"answered {error.code}"
    if phrase := http.client.responses.get(error.code):
        text += f" {phrase}"
    if error.code in (301, 302, 303, 307, 308):
        return f"{text}, a redirect, which is not followed"
    try:
        code = re.fullmatch(rb"[a-z_]{3,40}", error.read(100).strip())
    except (OSError, http.client.HTTPException):
        code = None
    return f"{text} ({code[0].decode()})" if code else text


def why(error: Exception) -> str:
    """The text of an error of the network or the system, without address or file name."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason  # of the socket
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and not isinstance(error, urllib.error.URLError):
        return one_line(error.strerror or str(error))
    # The codec for names of hosts says more since Python 3.13.
    if type(error) is UnicodeError or getattr(error, "encoding", None) == "idna":
        return "its host name is not valid"
    return type(error).__name__
