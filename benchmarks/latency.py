"""Adds latency to every request: `python benchmarks/latency.py UPSTREAM --listen ADDRESS --ms 30`.

A relay that holds back the first bytes of each answer, that is, what the server sends first after
the client has sent something. Connections do not wait for one another and later bytes are not
slowed down: the distance to a server is imitated, not a thin line to it. Addresses are HOST:PORT.
`--measure` tells what the relay itself lets through when it adds nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

HOST = "127.0.0.1"
HIGH_WATER = 1 << 20  # bytes to be written before the other side is no longer read
BLOCK_BYTES = 1 << 18


class _Relay(asyncio.BufferedProtocol):
    """One direction of a connection; ``other`` is the opposite one."""

    other: _Relay
    transport: asyncio.Transport | None = None

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(BLOCK_BYTES))

    def get_buffer(self, _hint: int) -> memoryview:
        return self._buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(HIGH_WATER)

    def connection_lost(self, _error: Exception | None) -> None:
        if self.other.transport:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other.transport:
            self.other.transport.resume_reading()

    def buffer_updated(self, count: int) -> None:
        self.got(bytes(self._buffer[:count]))

    def got(self, data: bytes) -> None:
        raise NotImplementedError


class _Client(_Relay):
    """What comes from the client, on its way to the server."""

    def __init__(self, upstream: tuple[str, int], seconds: float) -> None:
        super().__init__()
        self.asked = False  # the client has sent something since the last answer began
        self._early: list[bytes] = []
        self.other = _Answer(self, seconds)
        self._upstream = upstream
        self._connecting: asyncio.Task | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        assert self.transport
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self.other, *self._upstream)
        except OSError:
            self.transport.abort()
            return
        if self.transport.is_closing():
            self.other.transport.close()
            return
        for data in self._early:
            self.other.transport.write(data)
        self._early.clear()

    def got(self, data: bytes) -> None:
        self.asked = True
        if self.other.transport and not self._early:
            self.other.transport.write(data)
        else:
            self._early.append(data)


class _Answer(_Relay):
    """What comes from the server, on its way to the client: the beginning of an answer waits."""

    def __init__(self, client: _Client, seconds: float) -> None:
        super().__init__()
        self.other = self._client = client
        self._seconds = seconds
        self._held: list[bytes] | None = None
        self._ended = False

    def got(self, data: bytes) -> None:
        client = self._client
        if self._held is not None:
            self._held.append(data)
        elif client.asked and self._seconds:
            client.asked = False
            self._held = [data]
            asyncio.get_running_loop().call_later(self._seconds, self._release)
        elif client.transport:
            client.transport.write(data)

    def _release(self) -> None:
        held, self._held = self._held, None
        if self._client.transport and not self._client.transport.is_closing():
            self._client.transport.write(b"".join(held or ()))
            if self._ended:
                self._client.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._held is None:
            super().connection_lost(error)
        self._ended = True


async def serve(
    upstream: tuple[str, int], seconds: float, listen: tuple[str, int]
) -> asyncio.Server:
    """Relay what arrives at ``listen`` to ``upstream``; answers begin ``seconds`` later."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(partial(_Client, upstream, seconds), *listen, backlog=1024)


def throughput(seconds: float = 2.0) -> tuple[float, float]:
    """Requests a second (8 KiB there, 200 bytes back, 16 connections) and bytes a second of large
    requests, through a relay of its own without latency; client and server share the machine."""
    with socket.create_server((HOST, 0), backlog=64) as plain, _free_port() as port:
        threading.Thread(target=_accept, args=(plain,), daemon=True).start()
        upstream = f"{HOST}:{plain.getsockname()[1]}"
        command = [sys.executable, __file__, upstream, "--ms", "0", "--listen", f"{HOST}:{port}"]
        relay = subprocess.Popen(command)
        try:
            with ThreadPoolExecutor(16) as pool:
                end = time.monotonic() + seconds
                small = sum(pool.map(lambda _: _ask(port, 8 << 10, end), range(16)))
            begun = time.monotonic()
            large = _ask(port, 64 << 20, begun + seconds)
            return small / seconds, large * (64 << 20) / (time.monotonic() - begun)
        finally:
            relay.terminate()
            relay.wait()


def _ask(port: int, size: int, end: float) -> int:
    """Send requests of ``size`` bytes until ``end``; returns how many were answered."""
    count, body = 0, size.to_bytes(8, "big") + bytes(size)
    with _connect(port) as connection:
        while time.monotonic() < end:
            connection.sendall(body)
            if not _receive(connection, 200):
                raise ConnectionError("the relay closed a connection")
            count += 1
    return count


def _connect(port: int) -> socket.socket:
    for _ in range(100):
        with suppress(ConnectionRefusedError):
            return socket.create_connection((HOST, port))
        time.sleep(0.05)
    raise ConnectionError("the relay did not start")


def _accept(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        while header := _receive(connection, 8):
            _receive(connection, int.from_bytes(header, "big"))
            connection.sendall(bytes(200))


def _receive(connection: socket.socket, count: int) -> bytes:
    """The last bytes of ``count`` that were received; nothing when the other side is gone."""
    data = b""
    while count:
        data = connection.recv(min(count, BLOCK_BYTES))
        if not data:
            return b""
        count -= len(data)
    return data


@contextmanager
def _free_port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    yield port


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def _run(upstream: tuple[str, int], seconds: float, listen: tuple[str, int]) -> None:
    server = await serve(upstream, seconds, listen)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("upstream", type=_address, nargs="?")
    parser.add_argument("--ms", type=float, default=30.0, help="latency (default: 30)")
    parser.add_argument("--listen", type=_address, default=(HOST, 0))
    parser.add_argument("--measure", action="store_true", help="what the relay itself takes")
    arguments = parser.parse_args()
    if arguments.measure:
        requests, stream = throughput()
        print(f"{requests:,.0f} requests/s, {stream / 2**20:,.0f} MiB/s")
    elif arguments.upstream:
        asyncio.run(_run(arguments.upstream, arguments.ms / 1000, arguments.listen))
    else:
        parser.error("an upstream HOST:PORT is needed")


if __name__ == "__main__":
    main()
