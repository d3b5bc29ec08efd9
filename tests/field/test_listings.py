"""What a store tells that cannot be: keys twice, pages without an end, JSON that ends the stack."""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.engines import without_pauses
from support.pages import OBJECT, Pages, page, store
from support.proxy import Proxy
from support.workflow import Workflow
from waybill.config import read
from waybill.inventory import sides
from waybill.model.entries import RemoteEntry
from waybill.model.errors import WaybillError
from waybill.model.transfer import Transfer
from waybill.results import published
from waybill.results.layout import Layout
from waybill.s3 import listing
from waybill.s3.bucket import Bucket
from waybill.verify import lists, proofs

MANIFEST = "manifest-2026-01-02-03-04-05-678.json"
BEFORE = "manifest-2026-01-02-03-04-05-000.json"


@pytest.fixture
def transfer_of(tmp_path: Path) -> Callable[..., Transfer]:
    """The transfer of a configuration."""

    def make(**settings: object) -> Transfer:
        (tmp_path / "data").mkdir(exist_ok=True)
        given = {"source": str(tmp_path / "data"), "destination": "s3://bucket/p/", **settings}
        lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
        (tmp_path / "c.toml").write_text("\n".join(["[transfers.t]", *lines]))
        return read.load(tmp_path / "c.toml")["t"]

    return make


@pytest.fixture
def control_of(
    transfer_of: Callable[..., Transfer], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Pages], Bucket]]:
    """The bucket of a store that answers with what a test says."""
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        yield lambda pages: Bucket(
            transfer_of(endpoint_url=stack.enter_context(store(pages)), timeout=10)
        )


def pages_of(*pages: bytes) -> Pages:
    """A store that has these pages, told apart by a token, the number of the next one."""
    return lambda query: (200, pages[int(query.get("continuation-token", 0))])


@pytest.mark.parametrize("form", ["download", "one_job_per_batch=true"])
def test_A4_an_object_at_the_prefix_itself_is_refused(
    tmp_path: Path, bucket: str, proxy: Proxy, form: str
) -> None:
    work = Workflow(tmp_path / "w", proxy)
    for key, body in (("pfx/", b"x" * 24), ("pfx/a", b"a"), ("pfx/sub/", b""), ("other/", b"")):
        proxy.client().put_object(Bucket=bucket, Key=key, Body=body)
    to = tmp_path / "to"
    work.configure(t={"source": f"s3://{bucket}/pfx", "destination": str(to)})
    end = work.run(code=1, config="" if form == "download" else form)
    (line,) = (line for line in end.lines if "FAILED" in line)
    assert f"s3://{bucket}/pfx/: the key is the prefix itself" in line
    assert (to / "a").read_bytes() == b"a"
    assert sorted(path.name for path in to.iterdir()) == ["a", "sub"]
    if form == "download":
        assert "pfx/" in work.run("verify", code=1).output
        work.configure(t={"source": f"s3://{bucket}/pfx", "destination": str(to), "include": ["a"]})
        work.run()


def test_A4_an_upload_counts_what_holds_bytes_at_its_destination(
    transfer_of: Callable[..., Transfer], tmp_path: Path
) -> None:
    there = [("", 24), ("a/", 3), ("b/", 0), ("c", 1)]
    found = sides.of_upload(
        transfer_of(),
        Layout(tmp_path / "results" / "t"),
        lambda _: [RemoteEntry(path, size, 0, "etag") for path, size in there],
    )
    assert found.only_there == [("./", 24), ("a/", 3), ("c", 1)]


TWICE = {
    "on two pages": [page("p/a", "p/b", token="1"), page("p/b", "p/c")],
    "not in order": [page("p/a", "p/b", token="1"), page("p/c", token="2"), page("p/a")],
    "on one page": [page("p/b", "p/b")],
    "each page again": [page("p/a", "p/b", token="1"), page("p/a", "p/b")],
}


@pytest.mark.parametrize("pages", TWICE.values(), ids=TWICE)
def test_A9_a_key_that_is_told_twice_is_named(
    control_of: Callable[[Pages], Bucket], pages: list[bytes]
) -> None:
    bucket = control_of(pages_of(*pages))
    with pytest.raises(WaybillError, match=r"it tells s3://bucket/p/[ab] twice") as found:
        list(bucket.list_prefix())
    assert found.value.exit_code == 1
    assert re.search(r"the store http://127\.0\.0\.1:\d+ does not list as S3", str(found.value))


def test_A9_also_where_ranges_are_listed_side_by_side(
    control_of: Callable[[Pages], Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "RANGE_NAMES", 10)
    names = [f"p/{number:03}" for number in range(40)]

    def pages(query: dict[str, str]) -> tuple[int, bytes]:
        after = query.get("start-after", "")
        return 200, page(*(name for name in names if name > after), *(["p/000"] if after else []))

    known = [name.removeprefix("p/") for name in names]
    assert [e.path for e in control_of(pages).list_prefix(known=known)] == known
    broken = control_of(lambda query: (200, page(*names, names[0])))
    with pytest.raises(WaybillError, match=r"it tells s3://bucket/p/000 twice"):
        list(broken.list_prefix(known=known))


def test_A9_also_in_the_folder_of_manifests(
    control_of: Callable[[Pages], Bucket], transfer_of: Callable[..., Transfer]
) -> None:
    bucket = control_of(pages_of(page(f"m/{BEFORE}", f"m/{BEFORE}")))
    with pytest.raises(WaybillError, match=rf"it tells s3://bucket/m/{BEFORE} twice"):
        published.known_sha256(transfer_of(publish="../m/"), bucket, [])


def endless(start: bytes) -> Iterator[bytes]:
    yield start
    yield from itertools.repeat(b" " * (1 << 20), 100)


def nested(levels: int) -> bytes:
    return b"<Error>" + b"<a>" * levels + b"</a>" * levels + b"</Error>"


HOSTILE: dict[str, tuple[Pages, str]] = {
    "a token twice": (
        lambda query: (200, page(f"p/{len(query)}" if len(query) < 5 else "p/x", token="again")),
        "continuation token twice|twice",
    ),
    "tokens in a circle": (
        lambda query: (200, page(token="b" if query.get("continuation-token") == "a" else "a")),
        "continuation token twice",
    ),
    "empty pages without an end": (
        lambda query: (200, page(token=f"{int(query.get('continuation-token', 0)) + 1}")),
        "pages in a row were empty",
    ),
    "a page without an end": (
        lambda _: (200, endless(b"<ListBucketResult>")),
        "more than 32 MiB",
    ),
    "no end told": (lambda _: (200, page("p/a").replace(b"false", b"maybe")), "said there is more"),
    "a size that is none": (
        lambda _: (200, page("p/a", each=f"{OBJECT}<Size>1e999</Size>")), "p/a has no size",
    ),
    "a size of many digits": (
        lambda _: (200, page("p/a", each=f"{OBJECT}<Size>{'9' * 5000}</Size>")), "p/a has no size",
    ),
    "a huge size": (
        lambda _: (200, page("p/a", each=f"{OBJECT}<Size>{10**30}</Size>")), "p/a has no size",
    ),
    "a negative size": (
        lambda _: (200, page("p/a", each=f"{OBJECT}<Size>-1</Size>")), "p/a has no size",
    ),
    "no size": (lambda _: (200, page("p/a", each=OBJECT)), "p/a has no size"),
    "no time": (lambda _: (200, page("p/a", each="<Size>1</Size>")), "p/a has no size or time"),
    "a time that is none": (
        lambda _: (200, page("p/a", each="<LastModified>soon</LastModified><Size>1</Size>")),
        "p/a has no size or time",
    ),
    "no key": (lambda _: (200, page("p/a").replace(b"Key>", b"Quay>")), "a key that is not in it"),
    "a key of another place": (lambda _: (200, page("q/a")), "a key that is not in it, 'q/a'"),
    "elements within elements": (lambda _: (403, nested(50_000)), "access denied"),
    "entities": (
        lambda _: (
            200,
            b'<!DOCTYPE a [<!ENTITY a0 "aaaaaaaaaa">'
            + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
            + b"]><ListBucketResult><Name>&a11;</Name></ListBucketResult>",
        ),
        "list s3://bucket/p/: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pages", "says"), HOSTILE.values(), ids=HOSTILE)
def test_E13_a_hostile_listing_is_an_error_and_ends(
    control_of: Callable[[Pages], Bucket], pages: Pages, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = itertools.count()

    def counted(query: dict[str, str]) -> tuple[int, object]:
        if next(asked) > 300:
            raise AssertionError("it is followed for ever")
        return pages(query)

    monkeypatch.setattr(listing, "EMPTY_PAGES", 30, raising=False)
    without_pauses(monkeypatch)
    with pytest.raises(WaybillError, match=says) as found:
        list(control_of(counted).list_prefix())
    assert len(str(found.value)) < 500


DEEP = b"[" * 100_000 + b"]" * 100_000


def of_ours(text: str) -> bytes:
    """A manifest of ours with ``text`` in its only file."""
    return (
        '{"metadata": {"upload_destination": "s3://%s/p/"}, "files": [{"filename": "a", "key":'
        ' "p/a", "etag": "e", "sha256": "' + "0" * 64 + '", ' + text + "}]}"
    ).encode()


DAMAGED = {
    "nested": DEEP,
    "nested in a file": of_ours('"size_bytes": 1, "x": ' + DEEP.decode()),
    "1e999": of_ours('"size_bytes": 1e999'),
    "NaN": of_ours('"size_bytes": NaN'),
    "many digits": of_ours('"size_bytes": ' + "9" * 5000),
    "negative": of_ours('"size_bytes": -1'),
    "a fraction": of_ours('"size_bytes": 1.5'),
    "no table": b"[1, 2]",
    "no JSON": b"<html>",
    "half a character": of_ours('"size_bytes": 1, "etag": "\\ud800"'),
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_E13_a_hostile_manifest_is_named_and_passed_by(
    transfer_of: Callable[..., Transfer],
    bucket: str,
    proxy: Proxy,
    body: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    transfer = transfer_of(destination=f"s3://{bucket}/p/")
    sound = of_ours('"size_bytes": 1').replace(b"%s", bucket.encode())
    for name, data in ((MANIFEST, body.replace(b"%s", bucket.encode())), (BEFORE, sound)):
        proxy.client().put_object(Bucket=bucket, Key=f"p/manifests/{name}", Body=data)
    there, keys = Bucket(transfer), [f"p/manifests/{name}" for name in (MANIFEST, BEFORE)]
    with caplog.at_level(logging.WARNING):
        known = published.known_sha256(transfer, there, keys)
    assert known == {"a": (1, "e", "0" * 64)}
    (said,) = (record.getMessage() for record in caplog.records if record.levelno >= 30)
    assert said.startswith(f"s3://{bucket}/p/manifests/{MANIFEST}: ")
    assert said.endswith("; it is not used")
    proven = proofs.published(transfer, there, "t")
    assert proven is not None
    assert proven.origin == f"s3://{bucket}/p/manifests/{BEFORE}"


def test_E13_a_manifest_cannot_point_out_of_the_folder(
    transfer_of: Callable[..., Transfer], bucket: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    transfer = transfer_of(destination=f"s3://{bucket}/p/")
    body = of_ours('"size_bytes": 1').replace(b"%s", bucket.encode())
    body = body.replace(b'"filename": "a"', b'"filename": "../a"').replace(b"p/a", b"p/../a")
    proxy.client().put_object(Bucket=bucket, Key=f"p/manifests/{MANIFEST}", Body=body)
    assert proofs.published(transfer, Bucket(transfer), "t") is None


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_E13_a_hostile_list_is_named(tmp_path: Path, body: bytes) -> None:
    """Of a verification, or of the record of a publication."""
    file = tmp_path / "list.json"
    file.write_bytes(body)
    if body.startswith(b"{"):
        with pytest.raises(WaybillError, match=r"list\.json: ") as found:
            lists.read(file)
        assert found.value.exit_code == 2
    with pytest.raises(WaybillError, match=r"list\.json: damaged"):
        published.published_key(file)
