"""Both engines do the same about each fault: the requests they make, what comes of them, and what
is told. The table is written down, so that both cannot be wrong together."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import botocore.exceptions as be
import pytest
from awscrt.checksums import crc64nvme

from support.engines import put, without_pauses
from support.proxy import (
    Action,
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
from waybill.model.transfer import Transfer
from waybill.s3.engine.base import Engine, ReplacedError
from waybill.s3.engine.choose import make_engine
from waybill.s3.errors import error_code, explain
from waybill.s3.part_checksums import base64_crc64nvme
from waybill.s3.parts import Part

ENGINES = ("boto3", "native")
DATA = random.Random(8).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
CRC = {"ChecksumCRC64NVME": base64_crc64nvme(crc64nvme(DATA))}
ETAG = hashlib.md5(DATA).hexdigest()
KEY = "a folder/ä+%20 name"

Do = Callable[[Engine, str], None]  # with the id of an open upload


def put_object(engine: Engine, _: str) -> None:
    assert put(engine, DATA, key=KEY).etag == ETAG


def put_part(engine: Engine, upload_id: str) -> None:
    assert engine.put_part(KEY, upload_id, 1, DATA, CRC) == ETAG


def get_object(engine: Engine, _: str) -> None:
    assert engine.get_object(KEY, ETAG, len(DATA)).result(60)[1] == DATA


def get_whole(engine: Engine, _: str) -> None:
    got, answers = bytearray(), []
    engine.get(KEY, ETAG, Part(1, 0, len(DATA)), lambda _, block: got.extend(block), answers.append)
    assert bytes(got) == DATA
    assert len(answers) == 1


def get_range(engine: Engine, _: str) -> None:
    got = bytearray()
    engine.get(KEY, ETAG, Part(2, 100_000, 150_000), lambda _, block: got.extend(block))
    assert bytes(got) == DATA[100_000:250_000]


PUTS: dict[str, Do] = {"PutObject": put_object, "UploadPart": put_part}
GETS: dict[str, Do] = {"GetObject": get_object, "as it comes": get_whole, "a range": get_range}
BOTH = PUTS | GETS


class Line(NamedTuple):
    """What one engine did: the status of each request in order (None: no answer), the kind of its
    error, and the words of it; ``""`` when it succeeded."""

    statuses: tuple[int | None, ...]
    error: str
    words: str


class World:
    """An object and an open upload behind the proxy."""

    def __init__(self, proxy: Proxy, transfers: dict[str, Transfer], upload_id: str) -> None:
        self.proxy, self._transfers, self._upload_id = proxy, transfers, upload_id

    def line(self, kind: str, do: Do) -> Line:
        """What an engine does, from its beginning."""
        transfer = self._transfers[kind]
        engine = make_engine(transfer, accelerate=False)
        self.proxy.clear()
        error = words = ""
        try:
            do(engine, self._upload_id)
        except ReplacedError:
            error = "replaced"
        except AssertionError:
            error = "other bytes"
        except be.ClientError as raised:
            error, words = error_code(raised), str(explain(raised, transfer, what="KEY"))
        except be.BotoCoreError as raised:
            error, words = type(raised).__name__, str(explain(raised, transfer, what="KEY"))
        finally:
            engine.close()
        words = words.replace(transfer.bucket, "BUCKET").replace(self.proxy.endpoint_url, "URL")
        return Line(tuple(request.status for request in self.proxy.requests), error, words)


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
    transfers = {kind: transfer_of(tmp_path, bucket, timeout=1, engine=kind) for kind in ENGINES}
    yield World(proxy, transfers, upload)
    client.abort_multipart_upload(Bucket=bucket, Key=KEY, UploadId=upload)
    client.delete_object(Bucket=bucket, Key=KEY)


class Case(NamedTuple):
    """Faults, and what is right: how many requests an operation takes, and its error. A dictionary
    tells it of each operation; operations that are left out of both are not tried."""

    actions: tuple[Action, ...]
    requests: int | dict[str, int]
    error: str | dict[str, str] = ""
    calls: dict[str, Do] = BOTH
    times: int | None = None  # of the first action
    words: str = ""


def gateway(status: int) -> Page:
    return Page(status, message=f"<html><title>Gateway says {status}</title><p>no</html>")


def once(action: Action, calls: dict[str, Do] = BOTH, **more: Any) -> Case:
    """A fault that passes: one more request, and all is well."""
    return Case((action,), 2, "", calls, times=1, **more)


def of_puts(error: str) -> dict[str, str]:
    """The error of a write; a read finds another object."""
    return {**dict.fromkeys(PUTS, error), **dict.fromkeys(GETS, "replaced")}


CASES = {
    # What stays is told at once.
    "expired token": Case((expired_token(),), 1, "ExpiredToken", words="have expired"),
    "access denied": Case((access_denied(),), 1, "AccessDenied", words="access denied to"),
    "wrong key": Case((invalid_access_key(),), 1, "InvalidAccessKeyId", words="check or renew"),
    "wrong signature": Case((signature_mismatch(),), 1, "SignatureDoesNotMatch"),
    "no bucket": Case((no_such_bucket("b"),), 1, "NoSuchBucket", words="does not exist"),
    "no key": Case((no_such_key(KEY),), 1, of_puts("NoSuchKey")),
    "no upload": Case((no_such_upload("u"),), 1, "NoSuchUpload"),
    "precondition": Case((precondition_failed(),), 1, of_puts("PreconditionFailed")),
    "not implemented": Case((not_implemented(),), 1, "NotImplemented"),
    "conflict": Case((Answer(409, "OperationAborted", "again"),), 1, "OperationAborted"),
    "clock": Case((Answer(403, "RequestTimeTooSkewed", "no"),), 1, "RequestTimeTooSkewed"),
    "archived": Case((Answer(403, "InvalidObjectState", "no"),), 1, "InvalidObjectState"),
    "range": Case((Answer(416, "InvalidRange", "no"),), 1, of_puts("InvalidRange")),
    "unknown": Case((Answer(400, "Strange", "Odd."),), 1, "Strange", words="with Strange: Odd"),
    "gateway 400": Case((gateway(400),), 1, "400", words='("Gateway says 400'),
    "gateway 403": Case((gateway(403),), 1, "403", words="got status 403 with a page"),
    "gateway 404": Case((gateway(404),), 1, "404", words="got status 404 with a page"),
    "gateway 418": Case((gateway(418),), 1, "418", words="got status 418 with a page"),
    "gateway 501": Case((gateway(501),), 1, "501", words="got status 501 with a page"),
    "empty 400": Case((Page(400, message=""),), 1, "400"),
    "empty 403": Case((Page(403, message=""),), 1, "403", words="access denied"),
    "empty 404": Case((Page(404, message=""),), 1, of_puts("404")),
    "empty 412": Case((Page(412, message=""),), 1, of_puts("412")),
    # What may pass is tried six times.
    "slow down": Case((slow_down(),), 6, "SlowDown", words="kept answering SlowDown"),
    "slow down once": once(slow_down()),
    "internal error": Case((internal_error(),), 6, "InternalError", words="kept answering"),
    "internal error once": once(internal_error()),
    "request timeout": Case((Answer(400, "RequestTimeout", "idle"),), 6, "RequestTimeout"),
    "request timeout once": once(Answer(400, "RequestTimeout", "idle")),
    "throttling": Case((Answer(400, "ThrottlingException", "no"),), 6, "ThrottlingException"),
    **{
        f"gateway {status}": Case((gateway(status),), 6, str(status), words=f"status {status}")
        for status in (408, 429, 500, 502, 503, 504, 520)
    },
    **{
        f"empty {status}": Case((Page(status, message=""),), 6, str(status))
        for status in (408, 425, 429, 500, 503)
    },
    "gateway 429 once": once(gateway(429)),
    "gateway 408 once": once(gateway(408)),
    # No answer, half an answer, a damaged one.
    "reset": Case((Reset(),), 6, "ConnectionClosedError"),
    "reset once": once(Reset()),
    "reset in the body": Case((Reset(1000),), 6, "ConnectionClosedError", PUTS),
    "answer lost": Case((LoseResponse(),), 6, "ConnectionClosedError"),
    "answer lost once": once(LoseResponse()),
    "silence once": once(Stall(30)),
    "slow": Case((Delay(0.2),), 1),
    "cut off": Case((Truncate("response", 0),), 6, "BrokenOffError", GETS),
    "cut off once": once(Truncate("response", 1000), GETS),
    "cut off twice": Case((Truncate("response", 1000),), 3, "", GETS, times=2),
    "reset in the answer": Case((Reset(0, "response"),), 6, "BrokenOffError", GETS),
    "reset in the answer once": once(Reset(1000, "response"), GETS),
    "silence in the answer once": once(Stall(30, "response", 1000), GETS),
    "damaged on the way": Case((FlipByte("request", 5), CheckSha256()), 3, "BadDigest", PUTS),
    "damaged once": Case((FlipByte("request", 5), CheckSha256()), 2, "", PUTS, times=1),
    "cut on the way": Case((Truncate("request", 5), CheckSha256()), 3, "BadDigest", PUTS),
    "cut once": Case((Truncate("request", 5), CheckSha256()), 2, "", PUTS, times=1),
    "damaged on the way back": Case((FlipByte("response", 5),), 1, "other bytes", GETS),
    # Answers that are none of S3, or to another request: four times.
    "page": Case((Page(),), 4, "OddAnswerError", words="login page"),
    "page once": once(Page()),
    "page of XML": Case((Page(message="<html><p>Hi</p></html>"),), 4, "OddAnswerError"),
    "nothing": Case((Page(message=""),), 4, "OddAnswerError"),
    "204": Case((Page(204, message=""),), 4, "OddAnswerError"),
    "an error with 200": Case((internal_error(200),), 4, "OddAnswerError"),
    "another checksum": Case(
        (SetHeaders({"x-amz-checksum-sha256": "A" * 43 + "="}),), 4, "OddAnswerError", PUTS,
        words="checksum of other bytes",
    ),
    "no ETag": Case(
        (SetHeaders({"etag": None}),),
        {**dict.fromkeys(PUTS, 4), "GetObject": 1, "as it comes": 1, "a range": 4},
        {**dict.fromkeys(PUTS, "OddAnswerError"), "GetObject": "", "as it comes": "",
         "a range": "OddAnswerError"},
    ),
    "another ETag": Case((SetHeaders({"etag": f'"{"0" * 32}"'}),), 1, "replaced", GETS),
    "no length": Case((SetHeaders({"content-length": None}),), 1),
    "no condition": Case((DropHeader("if-match"),), 1, "", GETS),
    "no ranges": Case((DropHeader("range"),), 1, "NoRangesError", {"a range": get_range}),
    "another body": Case((Instead(b"other"),), 1, "other bytes", {"GetObject": get_object}),
    "too long": Case(
        (Instead(bytes(400_000)),), 1, "replaced",
        {"GetObject": get_object, "as it comes": get_whole},
    ),
    # Another region: botocore goes there.
    "redirect": once(wrong_region("eu-north-1")),
    "redirect 307": once(wrong_region("eu-north-1", 307)),
    "another region": once(wrong_region("eu-north-1", 400)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_E10_both_engines_do_the_same_about_a_fault(world: World, case: Case) -> None:
    wrong = {}
    for name, do in case.calls.items():
        lines = {}
        for kind in ENGINES:
            world.proxy.faults.clear()
            for number, action in enumerate(case.actions):
                world.proxy.fault(action, times=None if number else case.times)
            lines[kind] = line = world.line(kind, do)
            requests = case.requests if isinstance(case.requests, int) else case.requests[name]
            error = case.error if isinstance(case.error, str) else case.error[name]
            if (len(line.statuses), line.error) != (requests, error):
                wrong[kind, name] = line
            if error and case.words not in line.words and error not in ("replaced", "other bytes"):
                wrong[kind, name] = line
        if lines["boto3"] != lines["native"]:
            wrong[name] = lines
    assert wrong == {}


def test_E10_the_table_has_each_fault_of_the_proxy() -> None:
    tried = {type(action) for case in CASES.values() for action in case.actions}
    assert tried >= {
        Answer, CheckSha256, Delay, DropHeader, FlipByte, Instead, LoseResponse, Page, Reset,
        SetHeaders, Stall, Truncate,
    }  # fmt: skip
