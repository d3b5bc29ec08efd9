"""How bytes come back: through breaks, replacements and servers of their own mind."""

import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import botocore.exceptions as be
import pytest

from support.proxy import (
    Answer,
    Call,
    DropHeader,
    FlipByte,
    Reset,
    Stall,
    Truncate,
    no_such_key,
    slow_down,
)
from support.transfers import transfer_of
from waybill.s3.engine import base
from waybill.s3.engine.base import CUT_ATTEMPTS, BrokenOffError, NoRangesError, ReplacedError
from waybill.s3.engine.choose import make_engine
from waybill.s3.parts import Part

DATA = random.Random(8).randbytes(3_000_000)
WHOLE = Part(1, 0, len(DATA))
MIDDLE = Part(2, 1_000_000, 1_500_000)


class Got:
    """What arrived, with the answers that ``begin`` was given."""

    def __init__(self):
        self.data, self.answers, self.start = bytearray(), [], None

    def sink(self, start, block):
        if self.start is None:
            self.start = start
        assert start == self.start + len(self.data)
        self.data += block


@pytest.fixture(params=["boto3", "native"])
def store(request, proxy, bucket, s3, tmp_path, monkeypatch):
    """An object at ``key`` behind the proxy, and ``get`` for it, by each engine."""
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(base, "random", SimpleNamespace(uniform=lambda *_: 0))
    transfer = transfer_of(tmp_path, bucket, down=True, timeout=1, engine=request.param)
    client = s3.client()
    etag = client.put_object(Bucket=bucket, Key="key", Body=DATA)["ETag"].strip('"')
    chosen = make_engine(transfer, accelerate=False)

    def get(part=WHOLE, *, etag=etag, key="key"):
        got = Got()
        begin = got.answers.append if part == WHOLE or not part.length else None
        chosen.get(key, etag, part, got.sink, begin)
        assert bytes(got.data) == DATA[part.start : part.start + part.length]
        return got

    def ranges():
        return [r.headers.get("range") for r in proxy.select(op="GetObject")]

    yield SimpleNamespace(
        get=get, ranges=ranges, engine=chosen, proxy=proxy, client=client, bucket=bucket, etag=etag
    )
    chosen.close()
    client.delete_object(Bucket=bucket, Key="key")


def fail(store, error, part=WHOLE, **more):
    with pytest.raises(error) as caught:
        store.get(part, **more)
    return caught.value


def test_whole_and_in_ranges(store):
    assert store.get().answers[0]["ContentLength"] == len(DATA)
    for part in (MIDDLE, Part(1, 0, 1), Part(3, len(DATA) - 1, 1)):
        assert store.get(part).start == part.start
    assert store.ranges() == [None, "bytes=1000000-2499999", "bytes=0-0", "bytes=2999999-2999999"]
    headers = [r.headers for r in store.proxy.select(op="GetObject")]
    assert {h["if-match"] for h in headers} == {f'"{store.etag}"'}
    assert [h.get("x-amz-checksum-mode") for h in headers] == ["ENABLED", None, None, None]


def test_an_empty_object(store):
    etag = store.client.put_object(Bucket=store.bucket, Key="empty", Body=b"")["ETag"].strip('"')
    got = store.get(Part(1, 0, 0), etag=etag, key="empty")
    assert got.answers[0]["ContentLength"] == 0


@pytest.mark.parametrize(
    "cut", [Truncate("response", 1_200_000), Reset(1_200_000, "response"),
            Stall(3, "response", 1_200_000)],
)  # fmt: skip
def test_a_break_goes_on_at_the_byte(store, cut):
    store.proxy.fault(cut, op="GetObject", times=1)
    assert len(store.get().answers) == 1
    first, second = store.ranges()
    assert first is None
    begin = int(second.removeprefix("bytes=").partition("-")[0])
    assert begin <= 1_200_000
    if isinstance(cut, Truncate):
        assert begin >= 1_000_000  # whole blocks arrive, and perhaps the rest


def test_a_break_of_a_range_goes_on_at_the_byte(store):
    store.proxy.fault(Truncate("response", 1_100_000), op="GetObject", times=1)
    store.get(MIDDLE)
    first, second = store.ranges()
    assert first == "bytes=1000000-2499999"
    begin, _, end = second.removeprefix("bytes=").partition("-")
    assert 2_000_000 <= int(begin) <= 2_100_000
    assert end == "2499999"


def test_a_break_at_the_first_byte(store):
    store.proxy.fault(Reset(0, "response"), op="GetObject", times=2)
    store.get()
    assert len(store.ranges()) == 3
    assert set(store.ranges()) <= {None, "bytes=0-2999999"}


def test_breaks_without_progress_have_an_end(store):
    store.proxy.fault(Truncate("response", 1_100_000), op="GetObject", times=1)
    store.proxy.fault(Truncate("response", 0), op="GetObject", after=1)
    assert "keeps breaking off" in str(fail(store, BrokenOffError))
    assert len(store.ranges()) == 1 + CUT_ATTEMPTS


def test_breaks_with_progress_have_none(store):
    store.proxy.fault(Truncate("response", 1 << 20), op="GetObject", key="key", times=2)
    cuts = [
        store.proxy.fault(Truncate("response", 1000), op="GetObject", times=1, after=i)
        for i in range(2, 2 + 2 * CUT_ATTEMPTS)
    ]
    store.get()
    assert all(cut.hits for cut in cuts)


def replace(store):
    return Call(lambda _: store.client.put_object(Bucket=store.bucket, Key="key", Body=DATA[::-1]))


def test_a_replaced_object_is_not_mixed(store):
    fail(store, ReplacedError, etag="0" * 32)
    store.proxy.fault(Truncate("response", 1_100_000), op="GetObject", times=1)
    store.proxy.fault(replace(store), op="GetObject", after=1)
    fail(store, ReplacedError)
    fail(store, ReplacedError, MIDDLE)


def test_a_removed_object(store):
    fail(store, ReplacedError, key="nothing")
    store.proxy.fault(no_such_key("key"), op="GetObject")
    fail(store, ReplacedError, MIDDLE)


def test_a_shorter_object(store):
    fail(store, ReplacedError, Part(1, len(DATA), 1))


def drop(store, header):
    """From now on the server does not get to see this header."""
    store.proxy.fault(DropHeader(header), op="GetObject")


def test_a_store_without_conditions(store):
    """It sends the object of now whatever the condition; the ETag in the answer tells."""
    drop(store, "If-Match")
    store.get()
    fail(store, ReplacedError, etag="0" * 32)
    fail(store, ReplacedError, MIDDLE, etag="0" * 32)


def test_a_small_object_that_has_become_larger(store):
    """It is not held in memory to find that out."""
    drop(store, "If-Match")
    with pytest.raises(ReplacedError):
        store.engine.get_object("key", store.etag, 10).result(30)


class InChunks(BaseHTTPRequestHandler):
    """A server that does not tell the length of an answer before it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("ETag", '"e"')
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    def log_message(self, *_):
        pass


def test_an_answer_in_chunks(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with ThreadingHTTPServer(("127.0.0.1", 0), InChunks) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        transfer = transfer_of(
            tmp_path, timeout=1, engine="native", endpoint_url=url, region="us-east-1"
        )
        chosen = make_engine(transfer, accelerate=False)
        try:
            assert chosen.get_object("key", "e", 5).result(30)[1] == b"abcde"
        finally:
            chosen.close()
            server.shutdown()
            thread.join()


def test_a_server_that_does_not_answer_ranges(store):
    """The whole object is never taken for a part of it."""
    drop(store, "Range")
    store.get()
    error = fail(store, NoRangesError, MIDDLE)
    assert "does not answer ranges" in str(error)
    store.proxy.fault(Truncate("response", 1_100_000), op="GetObject", times=1)
    fail(store, NoRangesError)


def test_bytes_damaged_on_the_way_are_for_the_caller_to_find(store):
    """botocore holds them against the checksum in the answer, and would end the download."""
    store.proxy.fault(FlipByte("response", 2_999_999), op="GetObject")
    with pytest.raises(AssertionError):
        store.get()


def test_errors_of_the_server(store):
    store.proxy.fault(slow_down(), op="GetObject", times=1)
    store.get()
    store.proxy.faults.clear()
    store.proxy.fault(Answer(403, "InvalidObjectState", "archived"), op="GetObject")
    assert "InvalidObjectState" in str(fail(store, be.ClientError, MIDDLE))
