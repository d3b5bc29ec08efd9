"""The table of stores: `waybill probe` tells what a store does. Every row comes out both ways."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from brands import BRANDS
from doors import Door, Spoken

from support.faults import (
    Answer,
    Call,
    CheckSha256,
    DropHeader,
    Fault,
    FlipByte,
    Instead,
    Page,
    Request,
    SetHeaders,
)
from support.probing import all_rows, answer_of, transfer_to
from support.proxy import Proxy, access_denied, not_implemented, precondition_failed
from support.server import HOST, S3Server, client_for, env_for
from waybill.cli.probe import page
from waybill.cli.probe.command import lines
from waybill.cli.probe.page import read_record
from waybill.s3.probe.ask import ANSWERS, ask, reach
from waybill.s3.probe.listings import ODD_NAMES
from waybill.s3.probe.questions import QUESTIONS, Row, exit_code, lacking, settings
from waybill.s3.probe.questions import Answer as Answered
from waybill.s3.probe.store import SMALL, Store, sha256

RECORDS = Path(__file__).parents[2] / "docs" / "stores"
PLAIN = "waybill-plain"
NAMES = [question.name for question in QUESTIONS]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in env_for(proxy.endpoint_url).items():
        monkeypatch.setenv(name, value)


def test_the_page_is_that_of_the_records() -> None:
    assert page.main(["--check"]) == 0, "run: make docs"


def test_questions_and_answers_have_one_order() -> None:
    assert ["reach", "addressing", *ANSWERS] == NAMES
    for file in RECORDS.glob("*.json"):
        assert list(json.loads(file.read_text())["rows"]) == NAMES


@pytest.fixture(scope="module")
def plain(s3: S3Server) -> list[Row]:
    """The rows of moto without a fault."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.env().items():
            patch.setenv(name, value)
        return all_rows(transfer_to(s3.endpoint_url, s3.make_bucket(PLAIN)))


def test_moto_answers_as_recorded(plain: list[Row]) -> None:
    record = read_record(RECORDS / "moto.json")
    if record.version == BRANDS["moto"].version():
        assert plain == record.rows
    assert exit_code(plain) == 0


def test_rclone_answers_as_recorded(tmp_path: Path) -> None:
    brand, record = BRANDS["rclone"], read_record(RECORDS / "rclone.json")
    with brand.start(tmp_path) as url:
        client_for(url).create_bucket(Bucket="waybill-probed")
        rows = all_rows(transfer_to(url, "waybill-probed"))
    if record.version == brand.version():
        assert rows == record.rows
    assert exit_code(rows) == exit_code(record.rows)


# Both answers to each question


def refused(op: str, key: str | None = None, **more: Any) -> Fault:
    return Fault(not_implemented(), op=op, key=key, **more)


def headers(op: str, key: str | None = None, /, **names: str | None) -> Fault:
    return Fault(SetHeaders({n.replace("_", "-"): v for n, v in names.items()}), op=op, key=key)


def without(parameter: str, op: str = "ListObjectsV2") -> Fault:
    """The store does not get to see a parameter of the query."""

    def cut(request: Request) -> None:
        path, _, query = request.target.partition("?")
        kept = [part for part in query.split("&") if part.partition("=")[0] != parameter]
        request.target = f"{path}?{'&'.join(kept)}"

    return Fault(Call(cut), op=op)


WRONG = Answer(400, "BadDigest", "The checksum did not match.")
UNMET = precondition_failed()
BACKWARDS = "".join(
    f"<Contents><Key>probed/waybill-probe/names/{quote(name)}</Key><Size>1</Size><ETag>e</ETag>"
    "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
    for name in sorted(ODD_NAMES.values(), reverse=True)
)
LISTING = (
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url'
    f"</EncodingType><IsTruncated>false</IsTruncated>{BACKWARDS}</ListBucketResult>"
)
# The answer of moto, and the faults that turn it.
TURNS: dict[str, tuple[str, list[Fault]]] = {
    "reach": ("yes", [Fault(access_denied(), op="ListObjectsV2")]),
    "put and get": ("yes", [Fault(FlipByte("response", 0), op="GetObject")]),
    "engine native": ("yes", [refused("PutObject", "*/native")]),
    "proof in the answer": (
        "yes",
        [headers("PutObject", etag='"x"', x_amz_checksum_sha256=None)],
    ),
    "SHA-256": ("yes", [refused("PutObject", "*/sha256")]),
    "SHA-256 checked": ("no", [Fault(CheckSha256(), op="PutObject")]),
    "SHA-256 told": ("no", [headers("HeadObject", x_amz_checksum_sha256=sha256(SMALL))]),
    "CRC64NVME": ("no", [Fault(WRONG, op="PutObject", key="*/wrong")]),
    "Content-MD5 checked": ("no", [Fault(CheckSha256(), op="PutObject")]),
    "ETag is MD5": ("yes", [headers("PutObject", etag='"x"')]),
    "metadata": ("yes", [headers("HeadObject", x_amz_meta_source_sha256=None)]),
    "metadata case": (
        "no",
        [
            headers("HeadObject", x_amz_meta_probe_case=None),
            Fault(SetHeaders({"x-amz-meta-Probe-Case": "A b"}), op="HeadObject"),
        ],
    ),
    "If-None-Match": ("yes", [Fault(DropHeader("if-none-match"))]),
    "If-Match": ("yes", [Fault(DropHeader("if-match"))]),
    "ranges": ("yes", [Fault(DropHeader("range"))]),
    "GET If-Match": ("yes", [Fault(DropHeader("if-match"))]),
    "attributes": ("yes", [refused("GetObjectAttributes")]),
    "versions": ("no", [headers("PutObject", x_amz_version_id="v1")]),
    "odd names": ("yes", [refused("PutObject", "*/names/caf*")]),
    "list": ("yes", [headers("PutObject", etag='"x"')]),
    "pages": ("yes", [without("continuation-token")]),
    "encoding": ("yes", [without("encoding-type")]),
    "order": ("yes", [Fault(Instead(LISTING.encode()), op="ListObjectsV2")]),
    "start-after": ("yes", [without("start-after")]),
    "multipart": ("yes", [refused("CreateMultipartUpload")]),
    "SHA-256 of parts": ("yes", [refused("UploadPart")]),
    "SHA-256 of parts checked": ("no", [Fault(CheckSha256(), op="UploadPart")]),
    "CRC64NVME of the whole": ("yes", [refused("CompleteMultipartUpload")]),
    "ETag of parts": ("yes", [headers("HeadObject", etag='"another"')]),
    "HeadObject of a part": ("yes", [headers("HeadObject", x_amz_mp_parts_count=None)]),
    "ListParts": ("yes", [refused("ListParts")]),
    "ListMultipartUploads": ("yes", [refused("ListMultipartUploads")]),
    "abort": ("yes", [Fault(Page(status=204, message=""), op="AbortMultipartUpload")]),
    "complete If-None-Match": ("yes", [Fault(DropHeader("if-none-match"))]),
    "complete If-Match": ("no", [Fault(UNMET, op="CompleteMultipartUpload", after=1)]),
}
OTHER = {"yes": "no", "no": "yes"}


def test_every_row_is_turned() -> None:
    assert [name for name in NAMES if name not in TURNS] == ["addressing", "small parts"]


@pytest.mark.parametrize("name", TURNS)
def test_a_row_comes_out_both_ways(proxy: Proxy, bucket: str, plain: list[Row], name: str) -> None:
    answer, faults = TURNS[name]
    assert [row.answer for row in plain if row.question.name == name] == [answer]
    proxy.faults[:] = faults
    assert answer_of(name, transfer_to(proxy.endpoint_url, bucket)) == OTHER[answer]
    assert all(fault.hits for fault in faults)
    proxy.faults.clear()


def test_small_parts_come_out_both_ways(bucket: str, plain: list[Row]) -> None:
    assert [row.answer for row in plain if row.question.name == "small parts"] == ["no"]
    with S3Server({"S3_UPLOAD_PART_MIN_SIZE": "1"}) as lax:
        lax.make_bucket(bucket)
        assert answer_of("small parts", transfer_to(lax.endpoint_url, bucket)) == "yes"


def test_a_store_that_knows_only_names_of_hosts(
    proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **named: at_home(
            HOST if str(host).endswith("localhost") else host, *more, **named
        ),
    )

    transfer = transfer_to(f"http://localhost:{proxy.port}", bucket)
    assert answer_of("addressing", transfer) == "yes"
    proxy.fault(Answer(403, "SecondLevelDomainForbidden", "Not so"), op="ListObjectsV2")
    rows, reached = reach(transfer)
    assert reached is not None, rows[0].found
    assert [(row.question.name, row.answer) for row in rows] == [
        ("reach", "yes"), ("addressing", "no"),
    ]  # fmt: skip
    assert settings(rows, {}) == {"addressing_style": "virtual"}


@pytest.mark.parametrize("name", ["ListParts", "attributes", "start-after", "put and get"])
def test_a_denied_request_is_no_answer(proxy: Proxy, bucket: str, name: str) -> None:
    store = Store(transfer_to(proxy.endpoint_url, bucket))
    proxy.fault(access_denied())
    (row,) = ask(store, [name])
    assert row.answer == "-"
    assert re.fullmatch(r"access denied; it needs s3:\w+", row.found)


# The command


def probe(door: Door, *arguments: str, code: int = 0, **more: Any) -> Spoken:
    url = f"s3://{door.bucket}/tmp"
    given = ("probe", url, "--endpoint-url", door.proxy.endpoint_url, *arguments)
    return door.run(*given, command="main", code=code, **more)


def test_the_command_tells_a_table_and_settings(door: Door, plain: list[Row]) -> None:
    said = probe(door, "--yes", "--region", "us-east-1")
    shown = said.out.splitlines()
    assert any(re.match(r"If-None-Match +yes", line) for line in shown)
    assert "Waybill works with this store." in shown
    assert f'endpoint_url = "{door.proxy.endpoint_url}"' in shown
    assert 'region = "us-east-1"' in shown
    assert "engine" not in said.out.split("Settings")[1]
    assert {r.key.startswith("tmp/waybill-probe/") for r in said.requests if r.key} == {True}
    assert "DELETE" not in {r.method for r in said.requests if r.op != "AbortMultipartUpload"}
    # Their names are fixed: another probe has replaced none by others.
    names = [key.removeprefix("tmp/") for key in keys_of(door, door.bucket)]
    assert names == [key.removeprefix("probed/") for key in keys_of(door, PLAIN)]
    assert 25 < len(names) < 40
    assert door.proxy.client().list_multipart_uploads(Bucket=door.bucket).get("Uploads") is None


def keys_of(door: Door, bucket: str) -> list[str]:
    found = door.proxy.client().list_objects_v2(Bucket=bucket)["Contents"]
    return [item["Key"] for item in found]


def test_what_follows_from_the_answers(door: Door) -> None:
    door.proxy.fault(not_implemented(), op="PutObject", key="*/sha256")
    door.proxy.fault(not_implemented(), op="PutObject", key="*/native")
    door.proxy.fault(DropHeader("range"))
    document = json.loads(probe(door, "--json", "--yes", code=1).out)
    assert list(document) == [
        "waybill", "command", "time", "url", "exit_code", "settings", "rows",
    ]  # fmt: skip
    assert document["exit_code"] == 1
    assert document["settings"] == {
        "endpoint_url": door.proxy.endpoint_url,
        "engine": "boto3",
        "request_checksum_calculation": "when_required",
    }
    keys = ["check", "asks", "need", "answer", "found", "advice"]
    assert all(list(row) == keys for row in document["rows"])
    assert [row["check"] for row in document["rows"]] == NAMES
    rows = {row["check"]: row for row in document["rows"]}
    assert rows["SHA-256"]["found"] == "PutObject is refused with NotImplemented"
    told = [Row(q, Answered(rows[q.name]["answer"]), "") for q in QUESTIONS]
    assert lacking(told) == ["ranges", "multipart"]
    assert [*lines(told, {})][-1] == "Waybill cannot use this store: ranges, multipart"


def test_nothing_is_written_without_a_yes(door: Door) -> None:
    for arguments in ((), ("--json",)):
        said = probe(door, *arguments, code=2)
        assert "add --yes; nothing was written" in said.err
        assert {request.method for request in said.requests} <= {"GET"}


def test_a_store_that_cannot_be_reached_is_not_written_to(door: Door) -> None:
    door.proxy.fault(access_denied(), op="ListObjectsV2")
    said = probe(door, "--yes", code=1)
    assert "reach" in said.out.splitlines()[-1]
    assert {request.method for request in said.requests} == {"GET"}


@pytest.mark.parametrize(
    ("url", "text"),
    [("./folder", "one must be s3://"), ("s3://B", "is not the name of a bucket")],
)
def test_an_address_that_is_none(door: Door, url: str, text: str) -> None:
    said = door.run("probe", url, command="main", code=2)
    assert text in said.err
