"""The errors of S3 and of its SDK in words: what failed, where, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import botocore.exceptions as be
from botocore.parsers import ResponseParserError

from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED, WaybillError, one_line
from waybill.s3.causes import (
    NO_CREDENTIALS,
    NOT_S3,
    Standing,
    host_of,
    of_profile,
    said,
    words_of,
)

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

# Error codes of the S3 API ("List of error codes") that share one advice.
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
ELSEWHERE = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
    "307",
}
DENIED = {"AccessDenied", "AllAccessDisabled", "403", "Forbidden"}
_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"}
_LASTING = _EXPIRED | ELSEWHERE | DENIED | _REFUSED | {"NoSuchBucket"}
DAMAGED = {
    "BadDigest",
    "InvalidDigest",
    "IncompleteBody",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
# Two writes at one moment: the whole object must be sent again, with all parts of an upload.
CLASH = {"ConditionalRequestConflict", "OperationAborted", "409"}
CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
UNSUPPORTED = {"NotImplemented", "501"}
_MISSING_OBJECT = {"404", "NoSuchKey", "NotFound"}
PAGE = "Page"  # the member of an error that ``s3.answers.error_body`` made from a page
_PLAIN = {
    "RequestTimeTooSkewed": (
        "the clock of this machine is wrong by more than S3 allows; set it and run again"
    ),
    "InvalidObjectState": (
        "the object is archived; restore it (for example `aws s3api restore-object`) first"
    ),
}
# Credentials that cannot be had, and a server that cannot be reached.
_FATAL = (
    *NO_CREDENTIALS,
    be.EndpointConnectionError,
    be.ConnectTimeoutError,
    be.SSLError,
)


def error_code(error: be.ClientError) -> str:
    """The S3 error code of a failed request, such as ``NoSuchKey`` or ``404``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: be.ClientError) -> bool:
    """Whether the error says that the object does not exist (not that access is denied). A page of
    another server says nothing about an object."""
    return error_code(error) in _MISSING_OBJECT and not page_words(error)


def page_words(error: be.ClientError) -> str:
    """The first words of the page that came in the place of an error of S3; ``""`` when none
    did."""
    told = error.response.get("Error", {})
    return str(told.get("Message", "")) if PAGE in told else ""


def is_fatal(error: BaseException) -> bool:
    """Whether all other requests would meet the error too, so that going on is useless."""
    if isinstance(error, be.ClientError):
        code = error_code(error)
        return code in (_LASTING - DENIED) | {"RequestTimeTooSkewed"}
    return isinstance(error, _FATAL)


def is_of_sdk(error: Exception) -> bool:
    """Whether an error comes from boto3, and ``explain`` has words for it."""
    kinds = (be.ClientError, be.BotoCoreError, be.UndefinedModelAttributeError, ResponseParserError)
    return isinstance(error, kinds)


def explain(error: Exception, transfer: Transfer, *, what: str = "") -> WaybillError:
    """The error in one line: what failed, where, and what to do; never a credential. It lasts when
    the credentials, the bucket or the region must be seen to first."""
    where = what or transfer.url
    if isinstance(error, be.ClientError):
        lasting = _is_lasting(error_code(error))
        return WaybillError(f"{where}: {_explain_code(error, transfer)}", lasting=lasting)
    text, standing = words_of(error, transfer)
    return WaybillError(
        f"{where}: {one_line(text)}",
        exit_code=EXIT_CONFIG if standing is Standing.MISTAKE else EXIT_FAILED,
        lasting=standing is Standing.LASTS,
    )


def _is_lasting(code: str) -> bool:
    """Whether a person must do something before a request with this error code can go well."""
    if code.startswith("KMS."):
        return not ("Throttling" in code or "Internal" in code)
    return code in _LASTING


def _explain_code(error: be.ClientError, transfer: Transfer) -> str:
    code, action = error_code(error), error.operation_name
    profile = of_profile(transfer)
    if (words := page_words(error)) and not _location(error):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", code)
        return (
            f'{action} got status {status} with a page that is none of S3 ("{words}"); look for a'
            " proxy or a gateway on the way, check `endpoint_url`, and run again"
        )
    if code in _EXPIRED:
        return f"the AWS credentials{profile} have expired; renew them and run again"
    if code == "NoSuchBucket":
        return f"bucket {transfer.bucket!r} does not exist; Waybill never creates buckets"
    if code in ELSEWHERE or (code == "400" and _right_region(error)):
        return _explain_elsewhere(error, transfer)
    if code in DENIED:
        return (
            f"access denied to {action}{profile}{_sentence(error)};"
            " ask for the permission or use other credentials"
        )
    if code in _REFUSED:
        return f"S3 does not accept the AWS credentials{profile} ({code}); check or renew them"
    if code in _PLAIN:
        return _PLAIN[code]
    if code in {"SlowDown", "503", "ServiceUnavailable", "InternalError", "500"}:
        return f"S3 kept answering {code} to {action}; run again later"
    if code in DAMAGED:
        return f"the bytes were damaged on the way ({code}); run again"
    if code == "400":  # an answer to HEAD has no body with details
        return f"S3 refused {action} (400); check that credentials{profile} and `region` are right"
    if _is_strange(error):
        return _explain_strange(error)
    advice = "; see to the key of the encryption" if code.startswith("KMS.") else ""
    return f"{action} failed with {code}{_sentence(error)}{advice}"


def _explain_strange(error: be.ClientError) -> str:
    if host := _location(error):
        return f"the server sends its requests on to {host}; {NOT_S3}"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", error_code(error))
    return f"the answer {status} to {error.operation_name} is none of S3; {NOT_S3}"


def _explain_elsewhere(error: be.ClientError, transfer: Transfer) -> str:
    asked = f" (asked in {transfer.region})" if transfer.region else ""
    if right := _right_region(error):
        return f"bucket {transfer.bucket!r} is in region {right}{asked}; set region = {right!r}"
    if _is_strange(error) and _location(error):
        return _explain_strange(error)
    return f"bucket {transfer.bucket!r} is in another region{asked}; set `region`"


def _location(error: be.ClientError) -> str:
    """The host that a redirect leads to, or ``""``."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return host_of(headers.get("location", ""))


def _is_strange(error: be.ClientError) -> bool:
    """Whether an error has no code of S3: a page of a web server, of a proxy or of a login. An
    answer to HEAD has no body, so nothing is known of it."""
    code = error_code(error)
    return not error.operation_name.startswith("Head") and (not code or code.isdigit())


def _sentence(error: be.ClientError) -> str:
    """What S3 says about an error behind a colon, in one line; nothing when it says no more than
    the code does."""
    text = said(error.response.get("Error", {}).get("Message", "") or "")
    plain = {"access denied", "forbidden", "unknown", error_code(error).lower()}
    return f": {text}" if text and text.lower() not in plain else ""


def _right_region(error: be.ClientError) -> str:
    """The region S3 names in a redirect or a signature error, or ``""``."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    details = error.response.get("Error", {})
    named = headers.get("x-amz-bucket-region") or details.get("Region")
    if not named:
        match = re.search(r"expecting '([a-z0-9-]+)'", str(details.get("Message", "")))
        named = match.group(1) if match else ""
    return str(named)
