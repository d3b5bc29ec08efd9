"""Row E17: `max_bandwidth` paces bytes, not only the starts of requests, for all jobs together."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.engines import begin, without_pauses
from support.server import S3Server, env_for
from support.transfers import transfer_of
from waybill.model.bandwidth import Bandwidth
from waybill.s3.engine.base import Engine
from waybill.s3.engine.choose import make_engine
from waybill.s3.parts import Part

RATE = 512 << 10  # bytes a second
DATA = random.Random(17).randbytes(3 * RATE // 2)
SLACK = 200 << 10  # pieces of two jobs, the buffers of the sockets here, and heads


class Relay(threading.Thread):
    """Passes connections on to a server, and notes when bytes of the clients arrive."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(url)
        self._to = (parts.hostname, parts.port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.came: list[tuple[float, int]] = []
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
            server = socket.create_connection(self._to)
            for one, other, note in ((client, server, True), (server, client, False)):
                thread = threading.Thread(target=self._pass_on, args=(one, other, note))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, one: socket.socket, other: socket.socket, note: bool) -> None:
        with one, contextlib.suppress(OSError):
            while block := one.recv(16 << 10):
                if note:
                    self.came.append((time.monotonic(), len(block)))
                other.sendall(block)
        _shut(other)

    def close(self) -> None:
        _shut(self._server)
        self._server.close()
        for thread in self._threads:
            thread.join(10)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    without_pauses(monkeypatch)
    relay = Relay(s3.endpoint_url)
    for name, value in env_for(relay.url).items():
        monkeypatch.setenv(name, value)
    relay.start()
    yield relay
    relay.close()


def keeps(came: list[tuple[float, int]]) -> None:
    """At no time have more bytes come than may have, and at the end not many fewer."""
    begun, total = came[0][0], 0
    for when, count in came:
        total += count
        assert total <= RATE * (when - begun) * 1.1 + SLACK, when - begun
    assert total / (came[-1][0] - begun) > RATE / 2  # this machine may be busy with other things


@pytest.mark.parametrize("kind", ["boto3", "native"])
def test_E17_jobs_together_send_no_faster(
    kind: str, relay: Relay, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    transfer = transfer_of(tmp_path, bucket, engine=kind, max_bandwidth=Bandwidth(((0, RATE),)))
    jobs: list[Engine] = [make_engine(transfer, accelerate=False) for _ in range(2)]
    half = len(DATA) // 2
    bodies = {"a": DATA[:half], "b": DATA[half:]}
    sent = [begin(job, key, body) for job, (key, body) in zip(jobs, bodies.items(), strict=True)]
    for one in sent:
        one.result(60)
    for job in jobs:
        job.close()
    keeps(relay.came)
    client = s3.client()
    for key, body in bodies.items():
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == body
        client.delete_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize("kind", ["boto3", "native"])
def test_E17_bytes_are_fetched_no_faster(
    kind: str, relay: Relay, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    client = s3.client()
    etag = client.put_object(Bucket=bucket, Key="k", Body=DATA)["ETag"].strip('"')
    transfer = transfer_of(tmp_path, bucket, engine=kind, max_bandwidth=Bandwidth(((0, RATE),)))
    job = make_engine(transfer, accelerate=False)
    came: list[tuple[float, int]] = []
    job.get(
        "k", etag, Part(1, 0, len(DATA)),
        lambda _, block: came.append((time.monotonic(), len(block))), lambda _: None,
    )  # fmt: skip
    job.close()
    keeps(came)
    assert sum(count for _, count in came) == len(DATA)
    client.delete_object(Bucket=bucket, Key="k")
