"""Both engines do the same about each fault: the requests they make, what comes of them, and what
is told. The table is written down, so that both cannot be wrong together."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.engines import put, without_pauses
from support.proxy import (
    Answer,
    CheckSha256,
    Delay,
    DropHeader,
    FlipByte,
    Instead,
    LoseResponse,
    Page,
    Proxy,
    Reset,
    SetHeaders,
    Stall,
    Truncate,
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
from support.server import S3Server
from support.transfers import transfer_of
from waybill.s3.engine.base import Engine, ReplacedError
from waybill.s3.engine.choose import make_engine
from waybill.s3.errors import explain
from waybill.s3.parts import Part

ENGINES = ("boto3", "native")
DATA = random.Random(8).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
ETAG = hashlib.md5(DATA).hexdigest()
KEY = "a folder/ä+%20 name"


class Line(NamedTuple):
    """What one engine did about a fault: the status of each request in order (None: no answer), and
    the words of its error, ``""`` when it succeeded."""

    requests: tuple[tuple[str, int | None], ...]
    error: str


class World(NamedTuple):
    proxy: Proxy
    engines: dict[str, Engine]
    transfer: Any
    upload_id: str


@pytest.fixture
def world(
    proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    without_pauses(monkeypatch)
    client = s3.client()
    client.put_object(Bucket=bucket, Key=KEY, Body=DATA)
    upload = client.create_multipart_upload(Bucket=bucket, Key=KEY)["UploadId"]
    transfer = transfer_of(tmp_path, bucket, timeout=1)
    engines = {
        kind: make_engine(
            transfer_of(tmp_path, bucket, timeout=1, engine=kind), accelerate=False
        )
        for kind in ENGINES
    }
    yield World(proxy, engines, transfer, upload)
    for engine in engines.values():
        engine.close()
    client.abort_multipart_upload(Bucket=bucket, Key=KEY, UploadId=upload)
    client.delete_object(Bucket=bucket, Key=KEY)


def put_object(world: World, engine: Engine) -> None:
    assert put(engine, DATA, key=KEY).etag == ETAG


def put_part(world: World, engine: Engine) -> None:
    assert engine.put_part(KEY, world.upload_id, 1, DATA, SHA256) == ETAG


def get_object(world: World, engine: Engine) -> None:
    assert engine.get_object(KEY, ETAG, len(DATA)).result(60)[1] == DATA


def get_whole(world: World, engine: Engine) -> None:
    got, answers = bytearray(), []
    engine.get(KEY, ETAG, Part(1, 0, len(DATA)), lambda _, block: got.extend(block), answers.append)
    assert bytes(got) == DATA
    assert len(answers) == 1


def get_range(world: World, engine: Engine) -> None:
    got = bytearray()
    engine.get(KEY, ETAG, Part(2, 100_000, 150_000), lambda _, block: got.extend(block))
    assert bytes(got) == DATA[100_000:250_000]


PUTS = {"PutObject": put_object, "UploadPart": put_part}
GETS = {"GetObject": get_object, "GetObject as it comes": get_whole, "a range": get_range}
CALLS = PUTS | GETS


def line_of(world: World, kind: str, call: Callable[[World, Engine], None]) -> Line:
    error = ""
    try:
        call(world, world.engines[kind])
    except ReplacedError:
        error = "ReplacedError"
    except AssertionError:
        error = "other bytes"
    except Exception as raised:
        error = f"{type(raised).__name__}: {explain(raised, world.transfer, what='KEY')}"
        error = re.sub(r"http://127\.0\.0\.1:\d+", "URL", error.replace(world.transfer.bucket, "BUCKET"))
    requests = tuple((r.op, r.status) for r in world.proxy.requests)
    return Line(requests, error)


def test_print(world, capsys):
    cases = faults()
    for name, actions in cases.items():
        for op, call in CALLS.items():
            if not applies(name, op): continue
            lines = {}
            for kind in ENGINES:
                world.proxy.faults.clear()
                world.proxy.clear()
                for action, match in actions:
                    world.proxy.fault(action, **match)
                lines[kind] = line_of(world, kind, call)
            with capsys.disabled():
                a, b = lines["boto3"], lines["native"]
                same = "==" if a == b else "!!"
                print(same, name, "|", op, "|", [s for _, s in a.requests], a.error[:170])
                if a != b:
                    print("      ", [s for _, s in b.requests], b.error[:170])
    world.proxy.errors.clear()


ONCE = {"times": 1}


def applies(name, op):
    get = op in GETS
    if "request" in name: return not get
    if "response" in name: return get
    return True


def faults():
    data = {
        "expired": expired_token(), "denied": access_denied(), "key": invalid_access_key(),
        "signature": signature_mismatch(), "no bucket": no_such_bucket("b"), "no key": no_such_key(KEY),
        "no upload": no_such_upload("u"), "region 301": wrong_region("eu-north-1"),
        "region 400": wrong_region("eu-north-1", 400), "region 307": wrong_region("eu-north-1", 307),
        "slow down": slow_down(), "internal": internal_error(), "precondition": precondition_failed(),
        "not implemented": not_implemented(), "conflict": Answer(409, "OperationAborted", "again"),
        "timeout": Answer(400, "RequestTimeout", "Your socket connection was not read from."),
        "skewed": Answer(403, "RequestTimeTooSkewed", "no"),
        "archived": Answer(403, "InvalidObjectState", "no"),
        "416": Answer(416, "InvalidRange", "no"),
        "unknown": Answer(400, "Strange", "Something odd."),
        **{f"page {n}": Page(n, message=f"<html><p>Gateway {n}</p></html>") for n in (400, 403, 404, 408, 418, 429, 500, 501, 502, 503, 504, 520)},
        **{f"empty {n}": Page(n, message="") for n in (400, 403, 404, 408, 412, 429, 500, 503)},
        "page 200": Page(), "page 200 xml": Page(message="<html><p>Hi</p></html>"), "empty 200": Page(message=""),
        "204": Page(204, message=""),
        "reset request": Reset(), "reset request later": Reset(1000),
        "reset 0": Reset(), "lose": LoseResponse(), 
        "truncate response 0": Truncate("response", 0), "reset response 0": Reset(0, "response"),
        "no etag": SetHeaders({"etag": None}), "no length": SetHeaders({"content-length": None}),
        "other etag": SetHeaders({"etag": '"' + "0" * 32 + '"'}),
        "other sha request": SetHeaders({"x-amz-checksum-sha256": "A" * 43 + "="}),
        "instead response": Instead(b"other"), "instead long response": Instead(bytes(400_000)),
        "no condition response": DropHeader("if-match"),
        "200 error": internal_error(200),
    }
    out = {}
    for name, action in data.items():
        out[name] = [(action, {})]
        out[name + " once"] = [(action, ONCE)]
    out["damaged request"] = [(FlipByte("request", 5), {}), (CheckSha256(), {})]
    out["damaged request once"] = [(FlipByte("request", 5), ONCE), (CheckSha256(), {})]
    out["cut request"] = [(Truncate("request", 5), {}), (CheckSha256(), {})]
    out["cut request once"] = [(Truncate("request", 5), ONCE), (CheckSha256(), {})]
    out["flip response"] = [(FlipByte("response", 5), {})]
    out["stall once"] = [(Stall(30), ONCE)]
    out["stall response once"] = [(Stall(30, "response", 1000), ONCE)]
    out["truncate response once"] = [(Truncate("response", 1000), ONCE)]
    out["truncate response twice"] = [(Truncate("response", 1000), {"times": 2})]
    out["reset response once"] = [(Reset(1000, "response"), ONCE)]
    out["delay"] = [(Delay(0.1), {})]
    out["range ignored response"] = [(DropHeader("range"), {})]
    return out
