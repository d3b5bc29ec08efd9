"""The channels of notifications: web hooks, mail servers and commands.

Each ``send`` returns when the message was accepted, and raises DeliveryError otherwise. The text of
an error never holds an address or a password.
"""

from __future__ import annotations

import contextlib
import email.message
import email.utils
import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from waybill.config.notify import check_address, resolve
from waybill.model.errors import one_line
from waybill.model.secrets import hold, masked
from waybill.model.transfer import Notify
from waybill.notify import post
from waybill.notify.message import Message
from waybill.notify.state import FAILURE, RECOVERY, SUCCESS

ATTEMPT_SECONDS = 10.0  # how long a server may be silent
LIMIT_SECONDS = 25.0  # for one message, with a second attempt

_KILL_SECONDS = 2.0
_MOST_SAID = 10_000  # bytes of what a command prints


class DeliveryError(Exception):
    """A message was not accepted. ``delivered`` means that it reached some of its recipients."""

    def __init__(self, text: str, *, delivered: bool = False) -> None:
        super().__init__(text)
        self.delivered = delivered


class Told(Protocol):
    """What a command is told: JSON for its standard input, and variables."""

    def document(self) -> dict[str, Any]: ...

    def environment(self) -> dict[str, str]: ...


class Channel(Protocol):
    """Where a message goes. Equal channels count as one, and get one message for each run."""

    @property
    def limit(self) -> float:
        """Most seconds that ``send`` may take."""
        ...

    def send(self, message: Message) -> None:
        """Deliver the message, or raise DeliveryError."""
        ...


@dataclass(frozen=True, slots=True)
class Hook:
    """A web hook: of Slack, or of anything else that takes JSON."""

    url: str = field(repr=False)
    is_slack: bool
    limit: float = field(default_factory=lambda: LIMIT_SECONDS)

    def send(self, message: Message) -> None:
        document = message.slack() if self.is_slack else message.document()
        try:
            post.post(self.url, document, seconds=ATTEMPT_SECONDS, within=self.limit)
        except post.PostError as error:
            raise DeliveryError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to all of ``to``, through one server. A login needs an encrypted connection."""

    host: str
    port: int
    security: str
    sender: str
    to: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    limit: float = field(default_factory=lambda: LIMIT_SECONDS)

    def send(self, message: Message) -> None:
        try:
            with self._connect() as server:
                if self.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self.user is not None:
                    server.login(self.user, self.password or "")
                refused = server.send_message(self._mail(message), self.sender, self.to)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise DeliveryError(f"{self.host}:{self.port}: {self._why(error)}") from None
        if refused:
            text = f"{self.host}:{self.port}: does not take mail for {', '.join(refused)}"
            raise DeliveryError(text, delivered=True)

    def _connect(self) -> smtplib.SMTP:
        name = socket.gethostname()  # smtplib's own choice may ask a name server for long
        if self.security == "ssl":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(
                self.host, self.port, name, timeout=ATTEMPT_SECONDS, context=context
            )
        return smtplib.SMTP(self.host, self.port, name, timeout=ATTEMPT_SECONDS)

    def _mail(self, message: Message) -> email.message.EmailMessage:
        mail = email.message.EmailMessage()
        mail["Subject"] = message.subject()
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.to)
        mail["Date"] = email.utils.format_datetime(message.now)
        mail["Message-ID"] = email.utils.make_msgid(domain=self.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: asks for no automatic answers
        mail.set_content(message.text())
        return mail

    def _why(self, error: Exception) -> str:
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return f"does not take mail for {', '.join(error.recipients)}"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return f"does not accept user and password ({error.smtp_code})"
        if isinstance(error, smtplib.SMTPResponseException):
            text = error.smtp_error
            text = text.decode(errors="replace") if isinstance(text, bytes) else text
            return f"answered {error.smtp_code} {one_line(text)[:100]}"
        return post.why(error)


@dataclass(frozen=True, slots=True)
class Command:
    """A command that gets the document on standard input; what it prints is shown when it ends."""

    argv: tuple[str, ...] = field(repr=False)
    limit: float

    def send(self, message: Told) -> None:
        """Run the command. Raises DeliveryError when it does not end with 0 in time."""
        name = os.path.expanduser(self.argv[0])  # noqa: PTH111  Path would raise another error
        # A file, not standard error itself: a process that the command leaves running would keep
        # standard error open, and the reader of standard error would wait.
        with tempfile.TemporaryFile() as said:
            try:
                self._run(name, message, said)
            finally:
                said.seek(0)
                lines = said.read(_MOST_SAID).decode(errors="replace").splitlines()
                for line in lines:
                    print(f"{Path(name).name}: {masked(one_line(line))}", file=sys.stderr)

    def _run(self, name: str, message: Told, said: IO[bytes]) -> None:
        try:
            process = subprocess.Popen(
                [name, *self.argv[1:]],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                env={**os.environ, **message.environment()},
                process_group=0,
            )
        except (OSError, ValueError) as error:
            raise DeliveryError(f"{name}: {post.why(error)}") from None
        try:
            process.communicate(json.dumps(message.document()).encode(), timeout=self.limit)
        except subprocess.TimeoutExpired:
            text = f"{name}: ended after {self.limit:g} seconds (`command_timeout`)"
            raise DeliveryError(text) from None
        finally:
            if process.returncode is None:
                _end(process)
        if process.returncode:
            raise DeliveryError(f"{name}: exit code {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a running command, and all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_SECONDS)


@dataclass(frozen=True, slots=True)
class Routes:
    """The channels of one transfer, by name and event. ``problems`` are (name, text) of channels
    that cannot be used."""

    channels: Mapping[str, Mapping[str, Channel]]
    problems: tuple[tuple[str, str], ...] = ()


def routes(notify: Notify, environ: Mapping[str, str]) -> Routes:
    """The channels for each event of a transfer. Variables are looked up in ``environ``."""
    found: dict[str, dict[str, Channel]] = {}
    problems: dict[tuple[str, str], None] = {}

    def add(name: str, events: tuple[str, ...], make: Callable[[], Channel]) -> None:
        known = found.setdefault(name, {})
        try:
            known |= dict.fromkeys(events, make())
        except ValueError as error:
            problems[name, str(error)] = None

    every = (SUCCESS, FAILURE, RECOVERY)
    log = notify.slack_log_webhook or notify.slack_alert_webhook
    alert = notify.slack_alert_webhook or notify.slack_log_webhook
    if log and alert:
        add("slack", (SUCCESS,), lambda: Hook(_address(log, environ), is_slack=True))
        add("slack", (FAILURE, RECOVERY), lambda: Hook(_address(alert, environ), is_slack=True))
    if url := notify.webhook:
        add("webhook", every, lambda: Hook(_address(url, environ), is_slack=False))
    if notify.command:
        add("command", every, lambda: Command(notify.command, notify.command_timeout))
    if notify.email_to:
        add("email", every, lambda: _mail(notify, environ))
    return Routes(found, tuple(problems))


def _address(text: str, environ: Mapping[str, str]) -> str:
    """The address in ``text``, or in the variable that it names. Raises ValueError with the name of
    the variable; a literal address was checked when the configuration was read."""
    url = resolve(text, environ)
    hold(url)
    try:
        check_address(url)
    except ValueError as error:
        raise ValueError(f"variable {text.strip('${}')} {error}") from None
    return url


def _mail(notify: Notify, environ: Mapping[str, str]) -> Mail:
    password = resolve(notify.smtp_password, environ) if notify.smtp_password else None
    hold(password)
    return Mail(
        host=notify.smtp_host,
        port=notify.smtp_port,
        security=notify.smtp_security,
        sender=notify.email_from,
        to=notify.email_to,
        user=notify.smtp_user,
        password=password,
    )
