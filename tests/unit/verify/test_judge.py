"""The rules of a verification: what follows from which difference, and whose turn it is."""

from __future__ import annotations

import math
from base64 import b64encode
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError
from waybill.s3.object_check import by_sha256
from waybill.verify.judge import (
    Expected,
    Finding,
    Look,
    hold,
    hold_listed,
    in_sample,
    judge_content,
    judge_metadata,
)

OURS, OTHER = "a" * 64, "b" * 64
MS = 1_000_000
EXPECTED = Expected("p", "x/p", 10, 7_000 * MS + 1, OURS, "etag")
FILE = LocalEntry("p", 10, 7_000 * MS + 1, 5)
OBJECT = RemoteEntry("p", 10, 99, "etag")

EQUAL, LOOK = "= both", "look"
FILES = {
    "same": FILE,
    "gone": None,
    "size": FILE._replace(size=11),
    "mtime": FILE._replace(mtime_ns=FILE.mtime_ns + 1),
    "unreadable": EntryError("p", "no"),
}
OBJECTS = {
    "same": OBJECT,
    "gone": None,
    "size": OBJECT._replace(size=9),
    "etag": OBJECT._replace(etag="other"),
}
# file, object: what is found of an upload at depth listing, metadata, content
TABLE = {
    ("same", "same"): (EQUAL, LOOK, LOOK),
    ("same", "gone"): ("+ destination", "+ destination", "+ destination look"),
    ("same", "size"): ("* destination", "* destination", "* destination look"),
    ("same", "etag"): ("* destination", LOOK, LOOK),
    ("gone", "same"): ("- source", "- source look", "- source look"),
    ("gone", "gone"): ("! both", "! both", "! both"),
    ("gone", "size"): ("- source, * destination",) * 3,
    ("gone", "etag"): ("- source, * destination", "- source look", "- source look"),
    ("size", "same"): ("* source", "* source look", "* source look"),
    ("size", "gone"): ("* source, + destination",) * 3,
    ("mtime", "same"): ("* source", "* source look", LOOK),
    ("mtime", "gone"): ("* source, + destination", "* source, + destination", "+ destination look"),
    ("mtime", "etag"): ("* source, * destination", "* source look", LOOK),
    ("unreadable", "same"): ("! source", "! source look", "! source look"),
    ("unreadable", "gone"): ("! source, + destination",) * 3,
}
OTHER_WAY = {"source": "destination", "destination": "source", "both": "both"}


def said(findings: list[Finding], look: Look | None = None) -> str:
    text = ", ".join(f"{f.status} {f.side}" for f in findings)
    return f"{text} {LOOK}".strip() if look else text


@pytest.mark.parametrize("depth", [0, 1, 2], ids=["listing", "metadata", "content"])
@pytest.mark.parametrize(("file", "there"), TABLE)
def test_what_the_walk_and_the_listing_tell(file: str, there: str, depth: int) -> None:
    name = ("listing", "metadata", "content")[depth]
    expected = TABLE[file, there][depth]
    found, look = hold(EXPECTED, FILES[file], OBJECTS[there], direction="upload", depth=name)
    assert said(found, look) == expected
    assert all(f.path == "p" and f.size == 10 for f in found)
    assert any(f.fails for f in found) == (expected not in (EQUAL, LOOK))
    if look:
        # A side is looked at when nothing was found there; at metadata only the object is.
        assert (look.mtime_ns is not None) == (name == "content" and "source" not in expected)
        assert bool(look.etag) == ("destination" not in expected)
        assert look.complete == (expected == LOOK)

    # A download is the same, with the sides exchanged and the sign of what is gone with them.
    found, look = hold(EXPECTED, FILES[file], OBJECTS[there], direction="download", depth=name)
    signs = {"- source": "+ destination", "+ destination": "- source"}
    for part in expected.removesuffix(LOOK).strip().split(", ") if expected != LOOK else []:
        sign, side = part.split()
        assert signs.get(part, f"{sign} {OTHER_WAY[side]}") in said(found, look)
    assert len(found) == len([p for p in expected.split(", ") if p != LOOK])


def test_only_what_the_destination_has_more_is_a_note() -> None:
    failing = {
        f"{status} {side}"
        for status in "=+*-!"
        for side in ("source", "destination", "both")
        if Finding(status, side, "p", 1).fails
    }
    notes = {"- destination", "= source", "= destination", "= both"}
    assert not failing & notes
    assert len(failing) == 15 - len(notes)


def test_times_are_as_fine_as_the_proof_tells_them() -> None:
    coarse = EXPECTED._replace(mtime_ns=7_000 * MS)
    for expected, tick, same in (
        (EXPECTED, 1, True),
        (coarse, 1, False),
        (coarse, MS, True),
        (EXPECTED._replace(mtime_ns=None), 1, True),
        (EXPECTED._replace(mtime_ns=7_001 * MS), MS, False),
    ):
        found, _ = hold(expected, FILE, OBJECT, direction="upload", depth="listing", tick_ns=tick)
        assert (said(found) == EQUAL) == same
    before = EXPECTED._replace(mtime_ns=-MS)  # 1969
    local = FILE._replace(mtime_ns=-MS + 1)
    found, _ = hold(before, local, OBJECT, direction="upload", depth="listing", tick_ns=MS)
    assert said(found) == EQUAL


def test_a_dataset_that_is_gone_from_the_source_is_looked_at_in_the_bucket_alone() -> None:
    how = {"direction": "upload", "bucket_only": True}
    assert said(*hold(EXPECTED, None, OBJECT, depth="listing", **how)) == EQUAL
    assert said(*hold(EXPECTED, None, None, depth="listing", **how)) == "+ destination"
    for depth in ("metadata", "content"):
        found, look = hold(EXPECTED, None, OBJECT, depth=depth, **how)
        assert said(found, look) == LOOK
        assert look.complete
        assert look.mtime_ns is None
    unproven = EXPECTED._replace(sha256="")
    found, look = hold(unproven, None, OBJECT, depth="content", **how)
    assert said(found, look) == EQUAL
    assert "never proven" in found[0].reason


def test_a_folder_that_an_object_stands_for_has_no_bytes() -> None:
    expected = Expected("f/", "x/f/", 0, 1, "", "etag")
    here, there = LocalEntry("f/", 0, 2, 0), RemoteEntry("f/", 0, 9, "etag")
    for depth in ("listing", "metadata", "content"):
        assert said(*hold(expected, here, there, direction="download", depth=depth)) == EQUAL
        found, look = hold(expected, None, there, direction="download", depth=depth)
        assert said(found, look) == "+ destination"


LOOKED = Look("p", "x/p", 10, OURS, "etag", "etag", 7, 5, True)
REWRITTEN = LOOKED._replace(etag="new")
UNPROVEN = LOOKED._replace(sha256="")


@pytest.mark.parametrize(
    ("look", "etag", "native", "claimed", "expected", "reason"),
    [
        (LOOKED, "etag", OURS, OURS, EQUAL, ""),
        (LOOKED, "etag", OURS, "", EQUAL, ""),
        (LOOKED, "etag", "", OURS, EQUAL, ""),
        (LOOKED, "etag", "", "", EQUAL, "tells no SHA-256"),
        (LOOKED, "etag", OTHER, OURS, "* destination", "S3 stores"),
        (LOOKED, "etag", OURS, OTHER, "* destination", "source-sha256"),
        (LOOKED, "etag", "", OTHER, "* destination", "source-sha256"),
        (LOOKED, "later", OURS, OURS, "! destination", "run again"),
        # Written again: what its writer claims proves nothing, what S3 computed does.
        (REWRITTEN, "new", OURS, "", EQUAL, ""),
        (REWRITTEN, "new", OURS, OTHER, "* destination", "source-sha256"),
        (REWRITTEN, "new", OTHER, OURS, "* destination", "S3 stores"),
        (REWRITTEN, "new", "", OURS, "* destination", "ETag"),
        (REWRITTEN, "new", "", "", "* destination", "ETag"),
        (UNPROVEN, "etag", "", "", EQUAL, "never proven"),
        (UNPROVEN, "etag", OURS, OURS, EQUAL, "never proven"),
        (UNPROVEN._replace(etag="new"), "new", OURS, OURS, "* destination", "ETag"),
    ],
)
def test_stored_checksums(
    look: Look, etag: str, native: str, claimed: str, expected: str, reason: str
) -> None:
    head = {"Metadata": {"Source-SHA256": claimed}} if claimed else {}
    if native:
        head["ChecksumSHA256"] = b64encode(bytes.fromhex(native)).decode()
    verdict = by_sha256(head, look.sha256, look.stands(etag))
    found = judge_metadata(look, etag, verdict, direction="upload")
    assert said(found) == expected
    assert (reason in found[0].reason) if reason else not found[0].reason
    partly = judge_metadata(look._replace(complete=False), etag, verdict, direction="upload")
    assert said(partly) == ("" if expected == EQUAL else expected)


FAILED = Finding("!", "destination", "p", 10, "no")


@pytest.mark.parametrize(
    ("look", "local", "there", "expected"),
    [
        (LOOKED, OURS, OURS, EQUAL),
        (LOOKED, OTHER, OURS, "* source"),
        (LOOKED, OURS, OTHER, "* destination"),
        (LOOKED, OTHER, OTHER, "* source, * destination"),
        (LOOKED, OURS, FAILED, "! destination"),
        (LOOKED, OTHER, FAILED, "! destination, * source"),
        (LOOKED, OURS, None, EQUAL),
        (LOOKED, None, OTHER, "* destination"),
        (LOOKED._replace(complete=False), None, OURS, ""),
        (UNPROVEN, OURS, OURS, EQUAL),
        (UNPROVEN, OURS, OTHER, "* both"),
        (UNPROVEN, OURS, FAILED, "! destination"),
    ],
)
def test_every_byte(look: Look, local: object, there: object, expected: str) -> None:
    assert said(judge_content(look, local, there, direction="upload")) == expected


@pytest.mark.parametrize(
    ("size", "sha256", "local", "listing", "content"),
    [
        (10, OURS, FILE, EQUAL, LOOK),
        (None, OURS, FILE, EQUAL, LOOK),
        (10, "", FILE, EQUAL, "! destination"),
        (11, OURS, FILE, "* destination", "* destination"),
        (10, OURS, None, "+ destination", "+ destination"),
        (10, OURS, EntryError("p", "no"), "! destination", "! destination"),
    ],
)
def test_a_list(size, sha256: str, local, listing: str, content: str) -> None:
    expected = Expected("p", "", size, None, sha256, "")
    assert said(*hold_listed(expected, local, depth="listing")) == listing
    assert said(*hold_listed(expected, local, depth="content")) == content


shares = st.integers(1, 40).flatmap(lambda m: st.tuples(st.integers(1, m), st.just(m)))


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=50, unique=True),
    shares,
    st.dates(date(2020, 1, 1), date(2100, 1, 1)),
)
def test_a_sample_takes_all_in_turn(paths: list[str], share: tuple[int, int], day: date) -> None:
    n, m = share
    days = [day + timedelta(i) for i in range(math.ceil(m / n))]
    taken = [{path for path in paths if in_sample(path, share, d)} for d in days]
    assert set().union(*taken) == set(paths)  # all of them
    whole = taken[: m // n]
    assert sum(map(len, whole)) == len(set().union(*whole))  # none twice before the others
    assert taken[0] == {path for path in reversed(paths) if in_sample(path, share, day)}


def test_a_sample_is_about_as_large_as_it_says_and_another_one_each_day() -> None:
    paths = [f"folder/file{i}.dat" for i in range(20_000)]
    day = date(2026, 1, 1)
    today, tomorrow = (
        {p for p in paths if in_sample(p, (1, 20), d)} for d in (day, day + timedelta(1))
    )
    assert 900 < len(today) < 1100
    assert not today & tomorrow
    assert in_sample("not \udcff UTF-8", (1, 1), day)
    assert sum(in_sample("not \udcff UTF-8", (1, 9), day + timedelta(i)) for i in range(9)) == 1
