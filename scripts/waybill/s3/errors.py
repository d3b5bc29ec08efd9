"""The errors of S3 and of its SDK in words: what failed, where, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import botocore.exceptions as be

from waybill.model.errors import EXIT_CONFIG, WaybillError

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
    return isinstance(
        error,
        be.NoCredentialsError
        | be.PartialCredentialsError
        | be.CredentialRetrievalError
        | be.TokenRetrievalError
        | be.SSOError
        | be.EndpointConnectionError
        | be.ConnectTimeoutError
        | be.SSLError,
    )


def explain(error: Exception, transfer: Transfer, *, what: str = "") -> WaybillError:
    """The error in one line: what failed, where, and what to do; never a credential. It lasts when
    the credentials, the bucket or the region must be seen to first."""
    where = what or transfer.url
    profile = f" of profile {transfer.profile!r}" if transfer.profile else ""
    if isinstance(error, be.ClientError):
        lasting = error_code(error) in _LASTING
        return WaybillError(f"{where}: {_explain_code(error, transfer, profile)}", lasting=lasting)
    if isinstance(error, be.ProfileNotFound):  # AWS_PROFILE may have named it
        name = transfer.profile or error.kwargs.get("profile")
        return WaybillError(
            f"{where}: AWS profile {name!r} is not configured; see `aws configure list-profiles`",
            exit_code=EXIT_CONFIG,
        )
    if isinstance(error, be.NoCredentialsError | be.PartialCredentialsError):
        advice = "set `profile` in the config or AWS_PROFILE, or run `aws configure`"
        return WaybillError(f"{where}: no AWS credentials found{profile}; {advice}", lasting=True)
    if isinstance(
        error,
        be.SSOError | be.TokenRetrievalError | be.CredentialRetrievalError | be.SSOTokenLoadError,
    ):
        return WaybillError(
            f"{where}: the AWS login{profile} has expired or cannot be read; renew it"
            " (for example `aws sso login`) and run again",
            lasting=not isinstance(error, be.CredentialRetrievalError),  # of a helper program
        )
    if isinstance(error, be.NoRegionError):
        return WaybillError(
            f"{where}: no AWS region; set `region` in the config", exit_code=EXIT_CONFIG
        )
    if isinstance(error, be.ConnectionClosedError | be.ReadTimeoutError):
        name = type(error).__name__
        return WaybillError(
            f"{where}: the answer keeps breaking off or does not come ({name});"
            " check the network and run again"
        )
    if isinstance(error, be.ConnectionError | be.HTTPClientError):
        tried = host_of(str(error.kwargs.get("endpoint_url", "")))
        endpoint = tried or transfer.endpoint_url or "the S3 endpoint"
        return WaybillError(
            f"{where}: cannot reach {endpoint} ({type(error).__name__});"
            " check the network, `endpoint_url` and `region`, and run again"
        )
    return WaybillError(f"{where}: {error}")


def host_of(url: str) -> str:
    """The scheme and host of an address. The rest of it may hold a secret."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else ""


def _explain_code(error: be.ClientError, transfer: Transfer, profile: str) -> str:
    code = error_code(error)
    action = error.operation_name
    if words := page_words(error):
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
        right = _right_region(error)
        asked = f" (asked in {transfer.region})" if transfer.region else ""
        if right:
            return f"bucket {transfer.bucket!r} is in region {right}{asked}; set region = {right!r}"
        return f"bucket {transfer.bucket!r} is in another region{asked}; set `region`"
    if code in DENIED:
        return (
            f"access denied to {action}{profile}; ask for the permission or use other credentials"
        )
    if code in _REFUSED:
        return f"S3 does not accept the AWS credentials{profile} ({code}); check or renew them"
    if code == "RequestTimeTooSkewed":
        return "the clock of this machine is wrong by more than S3 allows; set it and run again"
    if code in {"SlowDown", "503", "ServiceUnavailable", "InternalError", "500"}:
        return f"S3 kept answering {code} to {action}; run again later"
    if code in DAMAGED:
        return f"the bytes were damaged on the way ({code}); run again"
    if code == "400":  # an answer to HEAD has no body with details
        return f"S3 refused {action} (400); check that credentials{profile} and `region` are right"
    if code == "InvalidObjectState":
        return "the object is archived; restore it (for example `aws s3api restore-object`) first"
    message = str(error.response.get("Error", {}).get("Message", "")).strip().replace("\n", " ")
    return f"{action} failed with {code}: {message}" if message else f"{action} failed with {code}"


def _right_region(error: be.ClientError) -> str:
    """The region S3 names in a redirect or a signature error, or ``""``."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    details = error.response.get("Error", {})
    named = headers.get("x-amz-bucket-region") or details.get("Region")
    if not named:
        match = re.search(r"expecting '([a-z0-9-]+)'", str(details.get("Message", "")))
        named = match.group(1) if match else ""
    return str(named)
