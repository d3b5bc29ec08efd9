"""The errors of boto3 in words: what is wrong, and what to do. Those that a server sends are in
``s3.errors``.

``words_of`` has an entry for each class of ``botocore.exceptions`` that a user, a machine or a
network can cause.
"""

from __future__ import annotations

import enum
import os
import re
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import botocore.exceptions as be
from botocore.parsers import ResponseParserError

from waybill.model.secrets import masked

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

NOT_S3 = "check `endpoint_url`, and look for a proxy or a login page on the way"

_MOST_SAID = 500  # characters of what another program says
_DEPTH = 8  # errors within errors


class AnswerError(be.BotoCoreError):
    """An answer that no S3 gives. The text of each such error says what to do."""


class CodeWantedError(be.BotoCoreError):
    """The profile wants a one-time code, which botocore would read from a terminal."""

    fmt = "a one-time code is wanted (mfa_serial)"


class EndedError(be.BotoCoreError):
    """The credentials have ended, and what gives them gives no others."""

    fmt = "the credentials ended at {end}"


class Standing(enum.Enum):
    """Whether another attempt can go better: it may, it cannot before a person has done something,
    or the configuration must be corrected."""

    PASSES = enum.auto()
    LASTS = enum.auto()
    MISTAKE = enum.auto()


_Words = tuple[str, Standing]


def words_of(error: Exception, transfer: Transfer) -> _Words:
    """What is wrong and what to do, and how it stands. Every error has words."""
    for kinds, words in _WORDS:
        if isinstance(error, kinds):
            return words(error, transfer)
    text = f"boto3 cannot go on ({type(error).__name__}{_why(error)});"
    return f"{text} run again, and report it if it stays", Standing.PASSES


def profile_of(transfer: Transfer) -> str:
    """The AWS profile that the transfer uses: its own, or that of the environment; or ``""``."""
    names = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # botocore asks them in this order
    return transfer.profile or next((v for n in names if (v := os.environ.get(n))), "")


def of_profile(transfer: Transfer) -> str:
    """The profile as a part of a sentence."""
    name = profile_of(transfer)
    return f" of profile {name!r}" if name else ""


def _code_wanted(_error: Exception, transfer: Transfer) -> _Words:
    name = profile_of(transfer) or "default"
    leave = ", leave out `profile`" if transfer.profile else ""
    text = (
        f"profile {name!r} wants a one-time code (mfa_serial), and no job can ask for one; get a"
        f' session in a terminal, `eval "$(aws configure export-credentials --profile {name}'
        f' --format env)"`{leave}, and run again'
    )
    return text, Standing.LASTS


def _no_profile(error: Exception, transfer: Transfer) -> _Words:
    name = transfer.profile or getattr(error, "kwargs", {}).get("profile")
    by = "" if transfer.profile else " (AWS_PROFILE)"
    text = f"AWS profile {name!r}{by} is not configured; see `aws configure list-profiles`"
    return text, Standing.MISTAKE


def _broken_file(error: Exception, _transfer: Transfer) -> _Words:
    told = getattr(error, "kwargs", {})
    return (
        f"{told.get('path')}: cannot be read as a configuration of AWS{_why(told.get('error'))};"
        " correct the file",
        Standing.MISTAKE,
    )


def _ended(error: Exception, transfer: Transfer) -> _Words:
    end = getattr(error, "kwargs", {}).get("end")
    return (
        f"the AWS credentials{of_profile(transfer)} ended at {end}; renew them and run again",
        Standing.LASTS,
    )


def _no_credentials(_error: Exception, transfer: Transfer) -> _Words:
    advice = "set `profile` in the config or AWS_PROFILE, or run `aws configure`"
    return f"no AWS credentials found{of_profile(transfer)}; {advice}", Standing.LASTS


def _partial(error: Exception, transfer: Transfer) -> _Words:
    told = getattr(error, "kwargs", {})
    text = (
        f"the AWS credentials{of_profile(transfer)} are not whole: {told.get('cred_var')} is"
        f" missing ({told.get('provider')}); set it, or choose another `profile`"
    )
    return text, Standing.LASTS


def _no_login(_error: Exception, transfer: Transfer) -> _Words:
    text = (
        f"the AWS login{of_profile(transfer)} has expired or cannot be read; renew it"
        " (for example `aws sso login`) and run again"
    )
    return text, Standing.LASTS


def _no_helper(error: Exception, transfer: Transfer) -> _Words:
    told = getattr(error, "kwargs", {})
    source = str(told.get("provider"))
    *_, last = ["", *filter(str.strip, str(told.get("error_msg", "")).splitlines())]
    advice = "renew the login or correct what gives them, and run again"
    if source.startswith("AWS_"):
        advice = f"correct {source}, and run again"
    text = (
        f"the AWS credentials{of_profile(transfer)} cannot be read from {source}"
        f"{_why(last)}; {advice}"
    )
    return text, Standing.PASSES


def _no_metadata(error: Exception, _transfer: Transfer) -> _Words:
    text = (
        f"the metadata service of this machine gives no AWS credentials ({said(error)});"
        " give the machine a role, or set `profile`"
    )
    return text, Standing.PASSES


def _no_region(_error: Exception, _transfer: Transfer) -> _Words:
    return "no AWS region; set `region` in the config", Standing.MISTAKE


def _odd_region(error: Exception, transfer: Transfer) -> _Words:
    name = getattr(error, "kwargs", {}).get("region_name", transfer.region)
    text = f"{name!r} is no name of a region; set `region` to one like eu-central-1"
    return text, Standing.MISTAKE


def _no_address(error: Exception, _transfer: Transfer) -> _Words:
    return f"S3 has no address with these settings ({said(error)}); {_ADDRESS}", Standing.MISTAKE


def _odd_settings(error: Exception, _transfer: Transfer) -> _Words:
    text = (
        f"the AWS configuration cannot be used ({said(error)}); correct ~/.aws/config, or the"
        " variables AWS_…"
    )
    return text, Standing.MISTAKE


def _odd_value(error: Exception, _transfer: Transfer) -> _Words:
    text = f"a value cannot be sent to S3 ({said(error)}); correct the setting that it comes from"
    return text, Standing.MISTAKE


def _no_trust(error: Exception, transfer: Transfer) -> _Words:
    host = _host(error, transfer)
    if reason := _distrust(error):
        text = (
            f"the certificate of {host} is not trusted ({reason}); name the file of its authority"
            " in AWS_CA_BUNDLE, or correct `endpoint_url`"
        )
        return text, Standing.LASTS
    inner = getattr(error, "kwargs", {}).get("error")
    text = (
        f"no TLS connection with {host}{_why(inner)}; check whether `endpoint_url` is http:// or"
        " https://, and its port"
    )
    return text, Standing.PASSES


def _no_proxy(error: Exception, _transfer: Transfer) -> _Words:
    proxy = host_of(str(getattr(error, "kwargs", {}).get("proxy_url", "")))
    text = (
        f"cannot reach the proxy{' ' if proxy else ''}{proxy}; check HTTPS_PROXY, HTTP_PROXY and"
        " NO_PROXY, and run again"
    )
    return text, Standing.PASSES


def _breaks_off(error: Exception, _transfer: Transfer) -> _Words:
    text = (
        f"the answer keeps breaking off or does not come ({type(error).__name__});"
        " check the network and run again"
    )
    return text, Standing.PASSES


def _unreachable(error: Exception, transfer: Transfer) -> _Words:
    text = (
        f"cannot reach {_host(error, transfer)} ({type(error).__name__});"
        " check the network, `endpoint_url` and `region`, and run again"
    )
    return text, Standing.PASSES


def _damaged(error: Exception, _transfer: Transfer) -> _Words:
    text = f"the bytes were damaged on the way ({type(error).__name__}); run again"
    return text, Standing.PASSES


def _busy(error: Exception, _transfer: Transfer) -> _Words:
    return f"the request could not be sent ({said(error)}); run again later", Standing.PASSES


def _not_whole(error: Exception, _transfer: Transfer) -> _Words:
    text = f"boto3 is not installed as it should be ({said(error)}); install it anew"
    return text, Standing.LASTS


def _no_answer_of_s3(_error: Exception, transfer: Transfer) -> _Words:
    host = transfer.endpoint_url and host_of(transfer.endpoint_url)
    of = f" of {host}" if host else ""
    text = f"the answer{of} is none of S3; {NOT_S3}"
    return text, Standing.PASSES


def _own(error: Exception, _transfer: Transfer) -> _Words:
    return str(error), Standing.PASSES


_ADDRESS = "correct `endpoint_url`, `region`, `addressing_style` or the bucket"

_Kinds = type[Exception] | tuple[type[Exception], ...]


def _kinds(*names: str) -> tuple[type[Exception], ...]:
    """The errors of botocore of these names; older versions lack some."""
    return tuple(getattr(be, name) for name in names if hasattr(be, name))


_LOGIN = _kinds(
    "SSOError",
    "LoginError",
    "TokenRetrievalError",
    "NoAuthTokenError",
    "UnknownTokenProviderError",
)
# Errors that come before a request is sent, and that each request would meet.
NO_CREDENTIALS = (
    CodeWantedError,
    EndedError,
    be.RefreshWithMFAUnsupportedError,
    be.NoCredentialsError,
    be.PartialCredentialsError,
    be.CredentialRetrievalError,
    *_LOGIN,
)

# Each kind of error with its words; the first that fits is taken.
_WORDS: tuple[tuple[_Kinds, Callable[[Any, Transfer], _Words]], ...] = (
    (AnswerError, _own),
    ((CodeWantedError, be.RefreshWithMFAUnsupportedError), _code_wanted),
    (EndedError, _ended),
    (be.ProfileNotFound, _no_profile),
    ((be.ConfigParseError, be.ConfigNotFound), _broken_file),
    (be.PartialCredentialsError, _partial),
    (be.NoCredentialsError, _no_credentials),
    (_LOGIN, _no_login),
    (be.CredentialRetrievalError, _no_helper),
    (
        (be.MetadataRetrievalError, be.InvalidIMDSEndpointError, be.InvalidIMDSEndpointModeError),
        _no_metadata,
    ),
    (be.NoRegionError, _no_region),
    (be.InvalidRegionError, _odd_region),
    (
        _kinds(
            "BaseEndpointResolverError", "UnknownRegionError", "ServiceNotInRegionError",
            "EndpointProviderError", "InvalidEndpointConfigurationError",
            "InvalidEndpointDiscoveryConfigurationError", "InvalidHostLabelError",
            "InvalidDNSNameError", "InvalidS3AddressingStyleError", "UnsupportedS3ArnError",
            "UnsupportedS3ControlArnError", "UnsupportedOutpostResourceError",
            "UnsupportedS3ConfigurationError", "UnsupportedS3AccesspointConfigurationError",
            "UnsupportedS3ControlConfigurationError",
        ),
        _no_address,
    ),
    (
        _kinds(
            "InvalidRetryConfigurationError", "InvalidMaxRetryAttemptsError",
            "InvalidRetryModeError", "InvalidDefaultsMode",
            "InvalidS3UsEast1RegionalEndpointConfigError",
            "InvalidSTSRegionalEndpointsConfigError", "InvalidProxiesConfigError",
            "InvalidChecksumConfigError", "InvalidConfigError", "UnknownSignatureVersionError",
            "UnsupportedSignatureVersionError", "UnknownCredentialError",
        ),
        _odd_settings,
    ),
    ((be.ParamValidationError, be.ValidationError, be.MissingParametersError), _odd_value),
    (be.SSLError, _no_trust),
    (be.ProxyConnectionError, _no_proxy),
    (
        (
            be.ConnectionClosedError, be.ReadTimeoutError, be.ResponseStreamingError,
            be.IncompleteReadError,
        ),
        _breaks_off,
    ),
    ((be.ConnectionError, be.HTTPClientError), _unreachable),
    ((be.ChecksumError, be.FlexibleChecksumError), _damaged),
    (
        _kinds("CapacityNotAvailableError", "UnseekableStreamError", "AwsChunkedWrapperError"),
        _busy,
    ),
    (
        _kinds(
            "DataNotFoundError", "ApiVersionNotFoundError", "MissingDependencyException",
            "MD5UnavailableError", "UndefinedModelAttributeError",
            "UnsupportedServiceProtocolsError", "UnknownServiceStyle",
        ),
        _not_whole,
    ),
    (ResponseParserError, _no_answer_of_s3),
    (ValueError, _no_address),  # as botocore refuses an endpoint
)  # fmt: skip


def host_of(url: str) -> str:
    """The scheme and host of an address. The rest of it may hold a secret."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else ""


def _host(error: Exception, transfer: Transfer) -> str:
    tried = host_of(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))
    return tried or host_of(transfer.endpoint_url or "") or "the S3 endpoint"


def said(error: object) -> str:
    """The text of an error of another program in one line, without an end of its own."""
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return masked("; ".join(lines))[:_MOST_SAID].rstrip(".;: ")


def _why(error: object) -> str:
    """The text of an error behind a colon, or nothing."""
    text = said(error) if error else ""
    return f": {text}" if text else ""


def _distrust(error: Exception) -> str:
    """Why a certificate is not trusted, in the words of TLS; ``""`` for another error."""
    inner = getattr(error, "kwargs", {}).get("error")
    for _ in range(_DEPTH):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return (inner.verify_message or said(inner)).rstrip(".")
        below = (*getattr(inner, "args", ()), getattr(inner, "reason", None))
        inner = next((each for each in below if isinstance(each, Exception)), None)
    match = re.search(r"certificate verify failed: ([^(]+)", str(error))
    return match[1].strip() if match else ""
