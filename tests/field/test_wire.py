"""Answers that belong to another request, that are none of S3, or that leave something out; and
stores that do not understand a condition. By both engines."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import random
import time
from pathlib import Path

import botocore.exceptions as be
import pytest

from support.jobs import ENGINES, LARGE, MIB, Use, there
from support.objects import keys, stored
from support.proxy import (
    Answer,
    Call,
    Fault,
    Page,
    Proxy,
    Request,
    precondition_failed,
)
from support.rogue import Rogue
from support.server import S3Server
from support.uploads import Uploads
from support.workflow import Workflow
from waybill.move.publish import publish


@ENGINES
def test_E2_a_run_whose_answers_are_out_of_step_ends_with_all_there(
    engine: str, s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    workflow = Workflow(tmp_path, proxy)
    files = {f"f{i:02}": random.Random(i).randbytes(300) for i in range(60)}
    for path, data in files.items():
        workflow.write(path, data)
    with Rogue(s3.endpoint_url) as rogue:
        workflow.configure(
            t={
                "source": str(workflow.source),
                "destination": f"s3://{bucket}/data",
                "endpoint_url": rogue.url,
                "engine": engine,
                "max_concurrency": 4,
            }
        )
        workflow.run(code=0)
        assert rogue.lost
    for path, data in files.items():
        assert stored(s3, bucket, f"data/{path}") == data


@ENGINES
@pytest.mark.parametrize("opaque", [False, True], ids=["MD5", "opaque"])
@pytest.mark.parametrize("alike", [False, True], ids=["various", "alike"])
def test_E2_what_no_answer_proves_is_looked_for_in_one_listing(
    engine: str, opaque: bool, alike: bool, use: Use, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    """Be it that ETags are no MD5s, or that the bytes are those of the object before."""
    job = Uploads(tmp_path, bucket, engine=engine, max_concurrency=2)
    files = {f"f{i:02}": b"same" if alike else b"%d" % i for i in range(30)}
    with Rogue(s3.endpoint_url, opaque=opaque) as rogue:
        use(rogue.url)
        outcome = job.run(*(job.item(path, data) for path, data in files.items()))
        assert rogue.lost
        assert rogue.listings <= (30 if opaque or alike else 0)
    assert outcome.failed == []
    assert outcome.proofs.keys() == files.keys() == there(s3, bucket)
    for path, data in files.items():
        assert stored(s3, bucket, f"data/{path}") == data
        md5 = hashlib.md5(data).hexdigest()
        assert outcome.proofs[path].etag == (f"v1-{md5}" if opaque else md5)
    assert set(job.record.done) == set(files)


@ENGINES
def test_E2_nothing_is_listed_where_answers_vouch(
    engine: str, use: Use, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    items = [job.item(f"f{i}", b"alike" if i % 2 else b"%d" % i) for i in range(20)]
    outcome = job.run(*items)
    assert (outcome.failed, len(outcome.proofs)) == ([], 20)
    assert proxy.count(op="PutObject") == 20
    assert {request.op for request in proxy.requests} == {"PutObject"}


@ENGINES
def test_E2_what_is_never_there_fails_by_name(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    """A server that says that it has what it has not, with an ETag that tells nothing."""
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    proxy.fault(Page(message="", headers={"ETag": '"v1-1"'}), op="PutObject", key="*/f3")
    failed = job.fail(*(job.item(f"f{i}", b"%d" % i) for i in range(6)))
    assert failed.keys() == {"f3"}
    assert f"s3://{bucket}/data/f3" in failed["f3"] and "listing does not show" in failed["f3"]
    assert there(s3, bucket) == {f"f{i}" for i in (0, 1, 2, 4, 5)} == set(job.record.done)


@ENGINES
def test_E2_a_checksum_of_other_bytes_is_no_answer(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    other = {"ETag": '"v1-1"', "x-amz-checksum-sha256": "A" * 43 + "="}
    crc = {"ETag": '"v1-1"', "x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}
    proxy.fault(Page(message="", headers=other), op="PutObject", times=1)
    proxy.fault(Page(message="", headers=crc), op="PutObject", times=1, after=1)
    assert job.fail(job.item("f", b"1")) == {}
    assert proxy.count(op="PutObject") == 3
    assert stored(s3, bucket, "data/f") == b"1"


@ENGINES
def test_E2_a_part_or_a_whole_that_was_another_ones(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    data = random.Random(1).randbytes(MIB) * 65
    block = data[: 16 * MIB]
    told = {"ETag": f'"{hashlib.md5(block).hexdigest()}"'}  # right, but S3 did not get it
    proxy.fault(Page(message="", headers=told), op="UploadPart", part=2, times=1)
    assert job.fail(job.item("large", data)) == {}
    assert stored(s3, bucket, "data/large") == data
    assert proxy.count(op="UploadPart") == 6
    assert proxy.count(op="CompleteMultipartUpload") == 2


def test_E2_an_answer_before_its_request_closes_the_connection() -> None:
    """Though nobody has had the time to read it."""
    import socket
    import threading

    from waybill.s3.http.connections import Connections
    from waybill.s3.http.exchange import Exchange

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d"
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            for number in range(2):
                with listener.accept()[0] as connection, contextlib.suppress(OSError):
                    connection.recv(1000)
                    connection.sendall(answer % number)
                    time.sleep(0.3)
                    connection.sendall(answer % 9)
                    connection.recv(1000)  # until it is closed

    threading.Thread(target=serve, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    connections = Connections(url, timeout=5, connect_timeout=5, ca_file=None)
    bodies = []
    try:
        for wait in (0.0, 1.0):
            ended = threading.Event()
            exchange = Exchange(
                b"GET / HTTP/1.1\r\n\r\n", b"", lambda *_: None, lambda _, e=ended: e.set()
            )

            def send(exchange: Exchange = exchange, wait: float = wait) -> None:
                time.sleep(wait)  # nothing is read meanwhile
                connections.send(exchange)

            connections.do(send)
            assert ended.wait(20)
            bodies.append(bytes(exchange.body))
    finally:
        connections.close()
        listener.close()
    assert bodies == [b"0", b"1"]


def test_E2_a_good_answer_before_the_request_was_sent_is_none() -> None:
    import socket
    import threading

    from waybill.s3.http.connections import Connections
    from waybill.s3.http.exchange import Exchange

    listener = socket.create_server(("127.0.0.1", 0))
    ended, errors = threading.Event(), []

    def serve() -> None:
        with listener.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            ended.wait(20)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    connections = Connections(url, timeout=5, connect_timeout=5, ca_file=None)

    def end(error: BaseException | None) -> None:
        errors.append(error)
        ended.set()

    head = b"PUT / HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n"
    exchange = Exchange(head, bytes(50_000_000), lambda *_: None, end)
    try:
        connections.do(lambda: connections.send(exchange))
        assert ended.wait(20)
    finally:
        connections.close()
        listener.close()
        server.join(30)
    assert isinstance(errors[0], be.ConnectionClosedError)


def test_E2_a_manifest_counts_as_published_when_it_is_there(
    use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket)
    transfer = dataclasses.replace(job.transfer, publish_prefix="data/manifests/")
    manifest = tmp_path / "m.json"
    manifest.write_text('{\n"generated_at": "2026-01-02T03:04:05.678Z",\n  "files": [\n  ]\n}\n')
    other = {"ETag": '"v1-1"'}
    proxy.fault(Page(message="", headers=other), op="PutObject", times=1)
    with pytest.raises(Exception, match="listing does not show"):
        publish(transfer, manifest)
    assert keys(s3, bucket) == []
    publish(transfer, manifest)
    assert len(keys(s3, bucket)) == 1


# D1: conditions that are not understood


class Quoted(Fault):
    """A store that compares If-Match of a write with an ETag it knows without quotes."""

    def take(self, request: Request) -> bool:
        return "if-match" in request.headers and request.method != "GET" and super().take(request)


@ENGINES
def test_D1_a_condition_that_is_not_understood_is_left_out(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine, max_concurrency=2)
    files = {f"f{i}": b"new %d" % i for i in range(8)} | {"large": bytes(LARGE)}
    etags = {
        path: s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=b"old")["ETag"]
        for path in files
    }
    proxy.faults.append(Quoted(precondition_failed("If-Match")))
    items = [job.item(path, data, etags[path].strip('"')) for path, data in files.items()]
    with caplog.at_level(logging.WARNING):
        assert job.fail(*items, job.item("new", b"n")) == {}
    for path, data in files.items():
        assert stored(s3, bucket, f"data/{path}") == data
    assert [r.getMessage() for r in caplog.records if "If-Match" in r.getMessage()] == [
        f"s3://{bucket}/data/ refuses writes with If-Match though the objects are as listed; this"
        " job writes without: what others write at the same time is overwritten unseen"
    ]
    assert proxy.count(op="UploadPart") == 5
    (new,) = proxy.select(op="PutObject", key="*/new")
    assert new.headers["if-none-match"] == "*"  # which is understood


@ENGINES
def test_D1_what_others_wrote_is_still_not_overwritten(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    put = lambda data: s3.client().put_object(Bucket=bucket, Key="data/f", Body=data)  # noqa: E731
    etag = put(b"old")["ETag"].strip('"')
    proxy.faults.append(Quoted(Call(lambda _: put(b"theirs"))))
    proxy.faults.append(Quoted(precondition_failed("If-Match")))
    assert "written or removed by someone else" in job.fail(job.item("f", b"mine", etag))["f"]
    assert stored(s3, bucket, "data/f") == b"theirs"


@ENGINES
def test_D1_two_writes_at_one_moment_are_repeated(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    """As S3 asks for; of an upload in parts it wants all of them again."""
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    clash = Answer(409, "ConditionalRequestConflict", "A conflicting operation occurred.")
    proxy.fault(clash, op="PutObject", times=1)
    proxy.fault(clash, op="CompleteMultipartUpload", times=1)
    assert job.fail(job.item("small", b"1"), job.item("large", bytes(LARGE))) == {}
    assert proxy.count(op="PutObject") == 2
    assert proxy.count(op="CreateMultipartUpload") == 2
    assert proxy.count(op="UploadPart") == 10
    assert all(r.headers.get("if-none-match") for r in proxy.select(op="PutObject"))
    assert stored(s3, bucket, "data/large") == bytes(LARGE)
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_D1_a_manifest_is_published_where_a_condition_is_not_understood(
    s3: S3Server, bucket: str, proxy: Proxy, tmp_path: Path
) -> None:
    """The store says that the condition does not hold, and nothing is there."""
    workflow = Workflow(tmp_path, proxy)
    workflow.write("a", b"one")
    workflow.configure(t={"destination": f"s3://{bucket}/data"})
    refused = proxy.fault(precondition_failed(), op="PutObject", key="data/manifests/*", times=1)
    workflow.run()
    assert refused.hits == 1
    (key,) = [key for key in keys(s3, bucket) if "/manifests/" in key]
    assert (
        stored(s3, bucket, key) == next((tmp_path / "results/t/manifests").glob("*")).read_bytes()
    )
