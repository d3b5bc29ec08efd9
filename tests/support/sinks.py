"""Where notifications arrive in tests: a web server and a mail server on loopback.

Both are threads of the test's own process and keep what they got. The mail server speaks as much of
RFC 5321 as a sender needs, with STARTTLS (RFC 3207) and AUTH PLAIN and LOGIN (RFC 4954).
"""

from __future__ import annotations

import base64
import contextlib
import email
import email.policy
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Posted:
    """One request that arrived: its path, headers and body, and when (monotonic seconds)."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    time: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """What Slack would show."""
        assert set(self.json) == {"text"}
        return self.json["text"]


# What is answered: status, headers, body; a number of seconds means silence for so long.
Answer = tuple[int, dict[str, str], bytes] | float
OK: Answer = (200, {}, b"ok")


@dataclass
class HttpSink:
    """A web server that keeps what is posted; ``answers`` are given in turn, the last for ever."""

    answers: list[Answer] = field(default_factory=lambda: [OK])
    posted: list[Posted] = field(default_factory=list)

    def __enter__(self) -> HttpSink:
        sink = self
        self._ended = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                posted = Posted(self.command, self.path, headers, body, time.monotonic())
                number = len(sink.posted)
                sink.posted.append(posted)
                answer = sink.answers[min(number, len(sink.answers) - 1)]
                if isinstance(answer, float):
                    sink._ended.wait(answer)
                    return
                status, headers, body = answer
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _take

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def at(self, path: str) -> list[Posted]:
        """What was posted to one path."""
        return [posted for posted in self.posted if posted.path == path]


@dataclass
class Mailed:
    """One mail that arrived: its envelope, the user who was logged in, and whether the line was
    encrypted."""

    sender: str
    to: list[str]
    user: str | None
    encrypted: bool
    message: EmailMessage


@dataclass
class SmtpSink:
    """A mail server. With ``context`` it offers STARTTLS, or speaks TLS at once;
    with ``users`` it asks for a login. It refuses mail for ``refused``."""

    context: ssl.SSLContext | None = None
    tls_at_once: bool = False
    users: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    mails: list[Mailed] = field(default_factory=list)

    def __enter__(self) -> SmtpSink:
        sink = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with (
                    contextlib.suppress(OSError),
                    contextlib.closing(_Dialogue(sink, self.request)) as dialogue,
                ):
                    dialogue.run()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return self._server.server_address[1]


class _Dialogue:
    """What is said on one connection to a mail server."""

    def __init__(self, sink: SmtpSink, connection: Any) -> None:
        self._sink = sink
        self._encrypted = False
        self._user: str | None = None
        self._sender, self._to = "", []
        self._use(connection)
        if sink.tls_at_once:
            self._encrypt()

    def _use(self, connection: Any) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._connection.close()

    def _encrypt(self) -> None:
        assert self._sink.context is not None
        self._use(self._sink.context.wrap_socket(self._connection, server_side=True))
        self._encrypted = True

    def _say(self, *lines: str) -> None:
        for number, line in enumerate(lines, start=1):
            code, text = line.split(" ", 1)
            dash = " " if number == len(lines) else "-"
            self._connection.sendall(f"{code}{dash}{text}\r\n".encode())

    def _line(self) -> str:
        return self._file.readline().decode().rstrip("\r\n")

    def run(self) -> None:
        verbs: dict[str, Callable[[str], None]] = {
            "EHLO": self._ehlo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
        }
        self._say("220 sink ready")
        while line := self._line():
            verb, _, rest = line.partition(" ")
            if verb.upper() == "QUIT":
                self._say("221 bye")
                return
            verbs.get(verb.upper(), lambda _: self._say("502 unknown"))(rest)

    def _ehlo(self, _name: str) -> None:
        offers = ["250 sink"]
        if self._sink.context and not self._encrypted:
            offers.append("250 STARTTLS")
        if self._sink.users:
            offers.append("250 AUTH LOGIN PLAIN")
        self._say(*offers)

    def _starttls(self, _: str) -> None:
        self._say("220 go ahead")
        self._encrypt()

    def _auth(self, rest: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        if mechanism == "PLAIN":
            _, user, password = base64.b64decode(initial).decode().split("\0")
        else:
            user = base64.b64decode(initial).decode()
            self._say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self._line()).decode()
        if self._sink.users.get(user) != password:
            self._say(f"535 5.7.8 no such user or password: {password}")
            return
        self._user = user
        self._say("235 welcome")

    def _mail(self, rest: str) -> None:
        if self._sink.users and self._user is None:
            self._say("530 5.7.0 log in first")
            return
        self._sender, self._to = _address(rest), []
        self._say("250 ok")

    def _rcpt(self, rest: str) -> None:
        address = _address(rest)
        if address in self._sink.refused:
            self._say("550 5.1.1 unknown here")
            return
        self._to.append(address)
        self._say("250 ok")

    def _data(self, _: str) -> None:
        if not self._to:
            self._say("554 for nobody")
            return
        self._say("354 go ahead")
        data = b""
        while (line := self._file.readline()) not in (b".\r\n", b""):
            data += line.removeprefix(b".").replace(b"\r\n", b"\n")
        message = email.message_from_bytes(data, policy=email.policy.default)
        mail = Mailed(self._sender, self._to, self._user, self._encrypted, message)
        self._sink.mails.append(mail)
        self._say("250 taken")


def _address(rest: str) -> str:
    """The address in the rest of MAIL or RCPT; smtplib of Python 3.13 writes ``from:`` and ``to:``
    in small letters."""
    return rest.partition(":")[2].split()[0].strip("<>")
