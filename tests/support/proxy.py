"""A recording HTTP proxy in front of one S3 server, which can misbehave on demand.

Each request body is taken in full (in memory up to 64 MiB, on disk above), recorded, and then
forwarded unchanged; answers are streamed. All matching faults act, in list order, so that for
instance ``FlipByte("request", 10)`` followed by ``CheckSha256()`` is a bit flipped on the wire that
S3 notices. Requests are expected in path style (``/bucket/key``).
"""

from __future__ import annotations

import threading
import time
from typing import Any, Self
from urllib.parse import urlsplit

from support.exchange import ProxyServer
from support.faults import (
    Action,
    Answer,
    Call,
    CheckSha256,
    Delay,
    DropHeader,
    Fault,
    FlipByte,
    Instead,
    LoseResponse,
    Page,
    Request,
    Reset,
    Rewrite,
    SetHeaders,
    Stall,
    Truncate,
    short_pages,
)
from support.s3_errors import (
    access_denied,
    expired_token,
    internal_error,
    invalid_access_key,
    no_such_bucket,
    no_such_key,
    no_such_upload,
    not_implemented,
    precondition_failed,
    signature_mismatch,
    slow_down,
    wrong_region,
)
from support.server import HOST, client_for, env_for

# fmt: off
__all__ = [
    "Action", "Answer", "Call", "CheckSha256", "Delay", "DropHeader", "Fault", "FlipByte",
    "Instead", "LoseResponse", "Page", "Proxy", "Request", "Reset", "Rewrite", "SetHeaders",
    "Stall", "Truncate", "access_denied",
    "expired_token", "internal_error", "invalid_access_key", "no_such_bucket", "no_such_key",
    "no_such_upload", "not_implemented", "precondition_failed", "short_pages",
    "signature_mismatch", "slow_down", "wrong_region",
]
# fmt: on


class Proxy:
    """The proxy, on a free loopback port; use it as a context manager.

    ``requests`` holds what arrived, in order of arrival. ``faults`` may change at any time.
    ``latency`` is a number of seconds before each forwarding. ``rate`` limits all bodies together
    to so many bytes in a second, each direction for itself; None is no limit. ``errors`` collects
    exceptions of ``Call`` functions and faults that could not do what they say, such as a flip
    beyond the end of a body: a test should end with none.
    """

    def __init__(self, upstream_url: str, latency: float = 0.0, rate: float | None = None) -> None:
        parts = urlsplit(upstream_url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"the upstream must be an http URL: {upstream_url}")
        self.upstream = (parts.hostname, parts.port or 80)
        self.latency, self.rate = latency, rate
        self._free_at = {"request": 0.0, "answer": 0.0}
        self.requests: list[Request] = []
        self.operations: set[str] = set()  # of all requests, also of forgotten ones
        self.faults: list[Fault] = []
        self.errors: list[BaseException] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ProxyServer(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def client(self, **config: Any) -> Any:
        """A boto3 client through this proxy; see ``support.server.client_for``."""
        return client_for(self.endpoint_url, **config)

    def straight(self) -> Any:
        """A client to the server itself, for what a test does and Waybill never may."""
        host, port = self.upstream
        return client_for(f"http://{host}:{port}")

    def env(self) -> dict[str, str]:
        """AWS variables for a subprocess; see ``support.server.env_for``."""
        return env_for(self.endpoint_url)

    def select(
        self, method: str | None = None, op: str | None = None, key: str | None = None
    ) -> list[Request]:
        """The recorded requests that match; ``key`` is a glob."""
        with self._lock:
            return [r for r in self.requests if r.matches(method, op, key)]

    def count(
        self, method: str | None = None, op: str | None = None, key: str | None = None
    ) -> int:
        return len(self.select(method, op, key))

    def clear(self) -> None:
        """Forget the recorded requests (not the faults)."""
        with self._lock:
            self.requests.clear()

    def fault(self, action: Action, **match: Any) -> Fault:
        """Add a fault; returns it, so that a test can look at ``hits``."""
        self.faults.append(fault := Fault(action, **match))
        return fault

    def close(self) -> None:
        """Stop listening and cut all connections, stalled ones too."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_connections()
        self._thread.join(timeout=10)

    def spend(self, count: int, where: str) -> None:
        """Wait as long as ``count`` bytes take on a link with this ``rate``."""
        if not self.rate:
            return
        with self._lock:
            start = max(time.monotonic(), self._free_at[where])
            self._free_at[where] = start + count / self.rate
        self.closing.wait(max(0.0, self._free_at[where] - time.monotonic()))

    def arrived(self, request: Request) -> list[Action]:
        """Record a request and take the faults that apply to it."""
        with self._lock:
            self.requests.append(request)
            self.operations.add(request.op)
            return [fault.action for fault in list(self.faults) if fault.take(request)]
