"""Which failed requests are sent again, and when. The list is the same for both engines and for all
other requests: ``Retries`` brings it to botocore's client, the native engine asks it itself."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import botocore.exceptions as be

from waybill.s3.errors import error_code
from waybill.system.meter import METER

MAX_ATTEMPTS = 6
MOST_SECONDS = 60.0  # of a Retry-After that are waited

# S3 API, "List of error codes", and what other stores answer in its place.
_THROTTLED = {
    "SlowDown",
    "503",
    "ServiceUnavailable",
    "429",
    "TooManyRequests",
    "TooManyRequestsException",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
}
_PASSING = {
    "RequestTimeout",
    "RequestTimeoutException",
    "PriorRequestNotComplete",
    "InternalError",
}
_PASSING_STATUS = {408, 425}
# Not implemented; a version of HTTP; a network that wants a login.
_LASTING_STATUS = {501, 505, 511}


def status_of(error: be.ClientError) -> int:
    """The HTTP status of a failed request; 0 when it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_throttled(error: BaseException) -> bool:
    """Whether the server asks for fewer requests."""
    if not isinstance(error, be.ClientError):
        return False
    return error_code(error) in _THROTTLED or status_of(error) == 429


def may_pass(error: BaseException) -> bool:
    """Whether the request may succeed when it is sent again: no answer came, or one that says that
    the server could not serve it now."""
    if not isinstance(error, be.ClientError):
        return isinstance(error, be.HTTPClientError | be.ConnectionError)
    status = status_of(error)
    if error_code(error) in _PASSING or status in _PASSING_STATUS or is_throttled(error):
        return True
    return status >= 500 and status not in _LASTING_STATUS


def retry_after(error: BaseException) -> float:
    """The seconds that the server asks to wait for (RFC 9110, "Retry-After": seconds or a date), at
    most ``MOST_SECONDS``; 0 when it asks for none."""
    if not isinstance(error, be.ClientError):
        return 0.0
    headers: Mapping[str, str] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(MOST_SECONDS, float(asked[:9]))
    when, now = _date(asked), _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, min(MOST_SECONDS, (when - now).total_seconds())) if when else 0.0


def back_off(attempt: int, *, slow: bool) -> float:
    """Seconds to wait after the failed ``attempt`` (from 1), with jitter, as AWS recommends for its
    SDKs; ``slow`` after an answer that asks for fewer requests."""
    return random.uniform(0, min(20, (1.0 if slow else 0.05) * 2 ** (attempt - 1)))


def _date(text: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


class Retries:
    """botocore hook: whether a request is sent again after so many ``attempts``, and the seconds
    until then. It answers before botocore's own handler, whose list is shorter and which gives up
    all requests of a client when many of them have failed."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts

    def register(self, client: Any) -> None:
        """Have a client ask this hook."""
        client.meta.events.register_first("needs-retry.s3", self)

    def __call__(
        self,
        *,
        response: tuple[Any, dict[str, Any]] | None,
        operation: Any,
        attempts: int,
        caught_exception: Exception | None,
        **_: object,
    ) -> float | None:
        error = caught_exception
        if response is not None:
            answer = response[1]
            if answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 200) >= 300:
                error = be.ClientError(answer, operation.name)
        if attempts >= self._attempts or error is None or not may_pass(error):
            return None
        METER.repeat()
        return max(back_off(attempts, slow=is_throttled(error)), retry_after(error))
