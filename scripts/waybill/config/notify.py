"""The ``notify`` table of a transfer: the channels of its notifications.

An address is a secret. It stands in the configuration, or in a variable of the environment that the
configuration names as ``$NAME``. Only the main process looks a variable up, right before it sends a
notification. No text that this package makes holds an address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from waybill.model.transfer import Notify

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)

# The port when `smtp_port` is not set.
SMTP_PORTS = {"starttls": 587, "ssl": 465, "none": 25}


def parse(table: Mapping[str, Any]) -> tuple[Notify | None, list[tuple[str, str]]]:
    """The settings of a ``notify`` table that the schema has accepted, and its mistakes as
    (key, text). The settings are None when there are mistakes or no channels."""
    problems = []
    for key in ("slack_log_webhook", "slack_alert_webhook", "webhook"):
        try:
            if key in table:
                check_webhook(table[key])
        except ValueError as error:
            problems.append((key, str(error)))
    if table.get("email_to"):
        problems += _mail_problems(table)
    channels = ("slack_log_webhook", "slack_alert_webhook", "webhook", "command", "email_to")
    if problems or not any(table.get(key) for key in channels):
        return None, problems
    port = table.get("smtp_port", SMTP_PORTS[table["smtp_security"]])
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    return Notify(**{**values, "smtp_port": port}), []


def _mail_problems(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    problems = []
    if missing := [key for key in ("email_from", "smtp_host") if key not in table]:
        problems.append(("email_to", f"needs {' and '.join(missing)} as well"))
    for key, other in (("smtp_user", "smtp_password"), ("smtp_password", "smtp_user")):
        if key in table and other not in table:
            problems.append((key, f"needs {other} as well"))
    if "smtp_user" in table and table["smtp_security"] == "none":
        problems.append(("smtp_user", 'cannot log in with smtp_security "none", in the clear'))
    return problems


def check_webhook(text: str) -> None:
    """Raise ValueError as ``check_address`` does, unless ``text`` names a variable of the
    environment: ``$NAME`` or ``${NAME}``."""
    if not _VARIABLE.fullmatch(text):
        check_address(text)


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """``text``, or the value of the variable it names.

    Raises ValueError, which names the variable, when it is not set or empty.
    """
    match = _VARIABLE.fullmatch(text)
    if match is None:
        return text
    name = match[1] or match[2]
    if not environ.get(name):
        raise ValueError(f"variable {name} is not set")
    return environ[name]


def check_address(url: str) -> None:
    """Raise ValueError, never showing the address, unless it is plain http or https."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        parts, host = None, None
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts is None or not plain or parts.scheme not in ("http", "https") or not host:
        raise ValueError("is not a http:// or https:// address (value not shown)")
    if "@" in parts.netloc:
        raise ValueError("holds a user or password, which is not supported (value not shown)")
