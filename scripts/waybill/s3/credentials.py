"""The credentials of a session of botocore, found so that nothing waits for a person and every
fault is an error of botocore.

botocore reads a one-time code (``mfa_serial``) from the terminal, waits without end for a
``credential_process``, and raises whatever error comes up in what it reads. A job has nobody to
ask. Each secret that is found is noted as one (``model.secrets``).
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import botocore.credentials as bc
import botocore.exceptions as be
import botocore.session
from botocore.utils import parse_timestamp

from waybill.model.secrets import hold
from waybill.model.times import utc
from waybill.s3.causes import CodeWantedError, EndedError, said

HELPER_SECONDS = 60.0  # how long a `credential_process` may take

END = "AWS_CREDENTIAL_EXPIRATION"
_OF_PROGRAMS = (json.JSONDecodeError, UnicodeDecodeError)  # errors of what a program prints

Result = TypeVar("Result")

# It warns, with a traceback, of each error that is raised as well.
logging.getLogger("botocore.credentials").setLevel(logging.ERROR)

_KEYS = ("access_key", "secret_key", "token")
_IN_PROFILES = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
# What stands for a login in requests for credentials.
_LOGINS = {
    "sso.GetRoleCredentials": "accessToken",
    "sts.AssumeRoleWithWebIdentity": "WebIdentityToken",
}


def guard(session: botocore.session.Session) -> None:
    """Have the session find its credentials as the docstring of this module says.

    Raises the errors of botocore for a profile or a configuration file that is not as it should be.
    """
    chain = session.get_component("credential_provider")
    if isinstance(chain, _Chain):
        return
    for provider in chain.providers:
        if isinstance(provider, bc.AssumeRoleProvider):
            provider._prompter = _ask_nobody
            _bound_all(provider._profile_provider_builder)
        elif isinstance(provider, bc.ProcessProvider):
            _bounded(provider)
    for profile in session.full_config.get("profiles", {}).values():
        hold(*(profile.get(key) for key in _IN_PROFILES))
    for operation, key in _LOGINS.items():
        session.register(
            f"provide-client-params.{operation}",
            lambda params, key=key, **_: hold(params.get(key)),
        )
    session.register_component("credential_provider", _Chain(chain))


class _Chain:
    """The chain of botocore, in which every fault is one of botocore's errors."""

    def __init__(self, chain: bc.CredentialResolver) -> None:
        self._chain = chain

    def load_credentials(self) -> bc.Credentials | None:
        found = _told(self._chain.load_credentials)
        if found is None:
            return None
        if isinstance(found, bc.RefreshableCredentials):
            found._refresh_using = _renewal(found._refresh_using)
            if found._expiry_time is not None:
                found._expiry_time = _utc(found._expiry_time)
            _check({key: getattr(found, f"_{key}") for key in _KEYS})  # found, but not renewed
        else:
            _check({key: getattr(found, key) for key in _KEYS})
        return found


def _renewal(renew: Callable[[], Any]) -> Callable[[], Any]:
    """``renew``, which botocore calls for new credentials. Raises EndedError for ones that have
    ended already, where botocore has a RuntimeError."""

    def renewed() -> Any:
        data = _told(renew)
        if not data:  # botocore has an error for it
            return data
        _check(data)
        if not data.get("expiry_time"):
            return data
        end = _utc(_told(lambda: parse_timestamp(data["expiry_time"])))
        if end <= datetime.now(UTC):
            raise EndedError(end=utc(end))
        return {**data, "expiry_time": end.isoformat()}

    return renewed


def _utc(when: datetime) -> datetime:
    """A time in UTC. One without a zone, with which botocore cannot calculate, is taken for UTC."""
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def _check(found: dict[str, Any]) -> None:
    """Note the secrets. Raises CredentialRetrievalError for a key that no header can hold."""
    hold(*(found.get(key) for key in _KEYS))
    for key in ("access_key", "token"):
        value = found.get(key) or ""
        if not (value.isascii() and value.isprintable()) or " " in value:
            text = f"the {key.replace('_', ' ')} holds a blank, a line break or no ASCII"
            raise be.CredentialRetrievalError(provider="AWS", error_msg=text)


def _told(find: Callable[[], Result]) -> Result:
    """What ``find`` returns; its errors are those of botocore."""
    try:
        return find()
    except (be.BotoCoreError, be.ClientError):
        raise
    except Exception as error:  # noqa: BLE001 - programs and files of the user may cause any
        text = said(error)
        if not isinstance(error, OSError):
            text = f"{text} ({type(error).__name__})"
        raise be.CredentialRetrievalError(provider=_source(error), error_msg=text) from None


def _source(error: Exception) -> str:
    """Where the credentials come from that cannot be read."""
    is_time = isinstance(error, ValueError) and not isinstance(error, _OF_PROGRAMS)
    return END if is_time and os.environ.get(END) else "credential_process"


def _ask_nobody(_prompt: str) -> NoReturn:
    raise CodeWantedError


def _bound_all(builder: Any) -> None:
    """Have the programs bounded that give the credentials with which a role is assumed."""
    make = builder._create_process_provider
    builder._create_process_provider = lambda name: _bounded(make(name))


def _bounded(provider: bc.ProcessProvider) -> bc.ProcessProvider:
    provider._popen = _Helper
    return provider


class _Helper(subprocess.Popen):
    """A ``credential_process``: it reads nothing, and is killed when it takes too long."""

    def __init__(self, arguments: list[str], **options: Any) -> None:
        super().__init__(arguments, stdin=subprocess.DEVNULL, **options)

    def communicate(self, *_: Any, **__: Any) -> tuple[Any, Any]:
        try:
            return super().communicate(timeout=HELPER_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            for pipe in (self.stdout, self.stderr):  # what it has started may hold them open
                if pipe is not None:
                    pipe.close()
            self.wait()
            text = f"it took more than {HELPER_SECONDS:g} seconds, and was ended"
            raise be.CredentialRetrievalError(
                provider="credential_process", error_msg=text
            ) from None
