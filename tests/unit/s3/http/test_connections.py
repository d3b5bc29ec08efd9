"""Connections to one server: kept, given up, held, and closed with what they carry. The server is a
socket that does what each test says."""

import contextlib
import queue
import socket
import threading
import time
from types import SimpleNamespace

import botocore.exceptions as be
import pytest

from waybill.s3.http.body import MOST_BYTES, Flow
from waybill.s3.http.connections import Connections
from waybill.s3.http.exchange import ClosedError, Exchange

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Said: hello\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


def read_request(connection):
    """The next request up to its empty line, and what came after that."""
    data = b""
    while b"\r\n\r\n" not in data:
        block = connection.recv(65536)
        if not block:
            return None
        data += block
    return data


def answer_all(connection, answer=OK):
    while read_request(connection):
        connection.sendall(answer)


@pytest.fixture
def line():
    """``serve(work)`` has every connection handled by ``work``; ``connections`` go there."""
    listener = socket.create_server(("127.0.0.1", 0))
    handlers, taken = [], []
    handle = SimpleNamespace(work=answer_all)

    def take():
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                taken.append(connection)
                work = threading.Thread(target=run, args=(connection,))
                handlers.append(work)
                work.start()

    def run(connection):
        with contextlib.suppress(OSError), connection:
            handle.work(connection)

    acceptor = threading.Thread(target=take)
    acceptor.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    connections = Connections(url, timeout=1, connect_timeout=1, ca_file=None)
    yield SimpleNamespace(connections=connections, handle=handle, taken=taken)
    connections.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for connection in taken:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    for thread in (acceptor, *handlers):
        thread.join(10)
        assert not thread.is_alive()


def begin(line, head=GET, payload=b"", on_answer=lambda *_: None):
    """Send an exchange; it, and the queue that is told its end."""
    end = queue.SimpleQueue()
    exchange = Exchange(head, payload, on_answer, end.put)
    assert line.connections.do(lambda: line.connections.send(exchange))
    return exchange, end


def ask(line, **more):
    """An exchange that has ended, and its error."""
    exchange, end = begin(line, **more)
    return exchange, end.get(timeout=10)


def test_one_connection_carries_one_exchange_after_another(line):
    for number in range(50):
        exchange, error = ask(line)
        assert error is None
        assert (exchange.status, bytes(exchange.body)) == (200, b"ok")
        assert exchange.headers["x-said"] == "hello"
        assert exchange.reused == bool(number)
    assert len(line.taken) == 1


def test_exchanges_side_by_side_have_connections_of_their_own(line):
    ends = [begin(line)[1] for _ in range(20)]
    assert [end.get(timeout=10) for end in ends] == [None] * 20
    assert 1 < len(line.taken) <= 20


def test_a_server_that_closes_after_each_answer(line):
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    line.handle.work = lambda connection: read_request(connection) and connection.sendall(closing)
    for _ in range(3):
        exchange, error = ask(line)
        assert (error, exchange.reused) == (None, False)
    assert len(line.taken) == 3


def test_a_connection_that_was_closed_while_idle_is_not_used(line):
    line.handle.work = lambda connection: read_request(connection) and connection.sendall(OK)
    for _ in range(3):
        exchange, error = ask(line)
        assert (error, exchange.reused) == (None, False)
        time.sleep(0.1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",  # which ends with the connection
        b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n" + OK,
    ],
)
def test_forms_of_answers(line, answer):
    line.handle.work = lambda connection: read_request(connection) and connection.sendall(answer)
    exchange, error = ask(line)
    assert error is None
    assert (exchange.status, bytes(exchange.body)) == (200, b"ok")
    assert "x-early" not in exchange.headers


@pytest.mark.parametrize("answer", [b"", b"what?\r\n\r\n", OK[:-1], OK[:20]])
def test_what_is_no_whole_answer(line, answer):
    line.handle.work = lambda connection: read_request(connection) and connection.sendall(answer)
    assert isinstance(ask(line)[1], be.ConnectionClosedError)


def test_bytes_after_an_answer_are_not_the_next_one(line):
    other = OK.replace(b"hello", b"other")

    def twice(connection):
        while read_request(connection):
            connection.sendall(OK + other)

    line.handle.work = twice
    for _ in range(5):
        exchange, error = ask(line)
        assert exchange.headers.get("x-said", "hello") == "hello" or error is not None
        assert not exchange.reused


def test_a_server_that_closes_at_once(line):
    line.handle.work = lambda connection: None
    for _ in range(20):
        assert isinstance(ask(line)[1], be.ConnectionClosedError)


def test_a_refusal_before_the_body_is_read(line):
    no = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"

    def refuse(connection):
        connection.recv(1000)
        connection.sendall(no)
        time.sleep(0.3)

    line.handle.work = refuse
    exchange, error = ask(line, payload=bytes(20 << 20))
    assert (exchange.status, bytes(exchange.body), error) == (403, b"no", None)
    line.handle.work = answer_all
    assert ask(line)[0].reused is False  # half a body is on the way there


def test_silence_has_an_end(line):
    line.handle.work = lambda connection: (read_request(connection), time.sleep(3))
    started = time.monotonic()
    assert isinstance(ask(line)[1], be.ReadTimeoutError)
    assert 0.9 < time.monotonic() - started < 2.5


def test_an_error_of_the_one_who_asks_is_the_end(line):
    def refuse(*_):
        raise ValueError("not this")

    exchange, error = ask(line, on_answer=refuse)
    assert str(error) == "not this"
    assert exchange.status == 200
    assert ask(line)[1] is None


def test_a_large_body_goes_and_comes_whole(line):
    data = bytes(range(256)) * (48 << 10)  # 12 MiB

    def echo(connection):
        body = read_request(connection).partition(b"\r\n\r\n")[2]
        while len(body) < len(data):
            body += connection.recv(1 << 20)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    line.handle.work = echo
    exchange, error = ask(line, payload=data)
    assert error is None
    assert exchange.body == data
    assert exchange.payload == b""


class Sender:
    """Answers with ``size`` bytes, and counts those that the system has taken."""

    def __init__(self, size):
        self.size, self.sent = size, 0

    def __call__(self, connection):
        while read_request(connection):
            self.sent = 0
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.size)
            while self.sent < self.size:
                self.sent += connection.send(bytes(min(1 << 16, self.size - self.sent)))


def flow_of(line):
    flow, end = Flow(line.connections), queue.SimpleQueue()
    # The answer may come before a function that makes the exchange has returned it.
    exchange = Exchange(GET, b"", lambda *_: (flow.begin(exchange), flow.put)[1], end.put)
    assert line.connections.do(lambda: line.connections.send(exchange))
    return exchange, end, flow


def test_an_answer_comes_no_faster_than_it_is_taken(line):
    line.handle.work = sender = Sender(64 << 20)
    _, end, flow = flow_of(line)
    assert flow.headers()["content-length"] == str(64 << 20)
    time.sleep(1.5)  # longer than a server may be silent
    assert sender.sent < MOST_BYTES + (24 << 20)  # what the system holds on both sides
    assert sum(len(block) for block in taken(flow, end)) == 64 << 20
    assert ask(line)[0].reused


def taken(flow, end):
    """The blocks of a flow until the exchange has ended."""
    blocks = flow.blocks()
    for block in blocks:
        yield block
        with contextlib.suppress(queue.Empty):
            assert end.get_nowait() is None
            flow.end()


def test_a_connection_that_was_held_at_the_end_goes_on(line):
    line.handle.work = Sender(MOST_BYTES + 1)
    _, end, flow = flow_of(line)
    assert end.get(timeout=10) is None  # nobody has taken a byte
    flow.end()
    assert flow.headers() is not None
    assert sum(map(len, flow.blocks())) == MOST_BYTES + 1
    exchange, end, flow = flow_of(line)
    assert flow.headers() is not None
    assert exchange.reused


def test_what_nobody_wants_any_more_ends(line):
    line.handle.work = Sender(64 << 20)
    _, end, flow = flow_of(line)
    assert flow.headers() is not None
    flow.give_up()
    assert isinstance(end.get(timeout=10), be.ConnectionClosedError)


def test_closing_ends_everything(line):
    line.handle.work = lambda connection: (read_request(connection), time.sleep(2))
    ends = [begin(line)[1] for _ in range(3)]
    late = threading.Event()
    line.connections.do(lambda: line.connections.later(60, late.set))
    time.sleep(0.2)
    line.connections.close()
    assert all(isinstance(end.get(timeout=1), ClosedError) for end in ends)
    assert late.is_set()  # what waits for its time is told as well
    assert not line.connections.do(late.clear)
    line.connections.close()


def test_nobody_listens(line):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    nowhere = Connections(f"http://127.0.0.1:{port}", timeout=1, connect_timeout=1, ca_file=None)
    error = ask(SimpleNamespace(connections=nowhere))[1]
    assert isinstance(error, be.EndpointConnectionError)
    nowhere.close()
