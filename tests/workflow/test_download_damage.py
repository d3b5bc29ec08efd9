"""Damage on the way of a download: it ends in the right bytes or in a failure by name, never in a
wrong file under a good name."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.downloads import (
    MIB,
    add_download,
    fetched,
    files,
    put,
    range_fault,
    remove_objects,
    unfinished,
)
from support.failing import Fleet, Way, failures, fleet, the_failures
from support.proxy import (
    Call,
    FlipByte,
    LoseResponse,
    Proxy,
    Reset,
    Stall,
    Truncate,
    internal_error,
    slow_down,
)
from support.server import S3Server
from support.workflow import Finished, Workflow
from waybill.model.target_names import partial_name
from waybill.move.download import WHOLE_BYTES

LARGE = 65 * MIB  # five ranges
ATTEMPTS = 3
KINDS: dict[str, dict[str, Any]] = {  # what an object is held against, and how it was put
    "CRC32": {},
    "CRC64NVME": {"ChecksumAlgorithm": "CRC64NVME"},
    "SHA256": {"ChecksumAlgorithm": "SHA256"},
}
BROKEN = ("the answer keeps breaking off", "run again")
SHORT = {"timeout": 5}  # seconds a silent server costs; a busy machine is silent for two


# What prepares a transfer, checks the run with the damage, and then the run after it.
Scenario = Generator[None, Finished, None]


@pytest.fixture
def ships(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        yield ships
    remove_objects(s3, bucket)


def some_bytes(seed: object, size: int) -> bytes:
    """Bytes that differ in each block."""
    rng = random.Random(str(seed))
    block = rng.randbytes(min(size, MIB))
    return b"".join(rng.randbytes(8) + block for _ in range(size // MIB + 1))[:size]


def check_files(way: Way, expected: dict[str, bytes]) -> None:
    """Exactly these files are there, and nothing is unfinished."""
    there = files(way.folder)
    assert there.keys() == expected.keys()
    assert [path for path in there if there[path] != expected[path]] == []
    assert unfinished(way.folder) == []


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def flip(at: int = -1) -> FlipByte:
    return FlipByte("response", at)


def put_small(ships: Fleet, s3: S3Server, name: str, data: bytes, times: int | None) -> Way:
    """Objects of which one of each kind is damaged so many times."""
    way = add_download(ships, s3, name, {}, **SHORT)
    for kind, how in KINDS.items():
        put(s3, way, kind, data, **how)
    put(s3, way, "source-sha256", data, Metadata={"source-sha256": sha256(data)})
    # An object of a client that sends no checksum: its ETag has to do.
    bare = s3.client(request_checksum_calculation="when_required")
    bare.put_object(Bucket=way.bucket, Key=f"{way.prefix}MD5 ETag", Body=data)
    for number, kind in enumerate([*KINDS, "source-sha256", "MD5 ETag"]):
        way.fault(flip(number * MIB // 3), op="GetObject", key=kind, times=times)
    return way


def small_once(ships: Fleet, s3: S3Server) -> Scenario:
    """All of it is mended by itself."""
    data = some_bytes("small", 2 * MIB + 5)
    way = put_small(ships, s3, "once", data, 1)
    for path in ("cut", "reset", "500", "silent", "slow", "left"):
        put(s3, way, path, data)
    large = some_bytes("large", WHOLE_BYTES + 1)
    put(s3, way, "cut-large", large)
    faults = [
        way.fault(Truncate("response", MIB + 3), op="GetObject", key="cut", times=1),
        way.fault(Truncate("response", MIB + 3), op="GetObject", key="cut-large", times=1),
        way.fault(Reset(MIB + 3, "response"), op="GetObject", key="reset", times=1),
        way.fault(LoseResponse(), op="GetObject", key="reset", times=1, after=1),
        way.fault(internal_error(), op="GetObject", key="500", times=1),
        way.fault(slow_down(), op="GetObject", key="slow", times=1),
        way.fault(Stall(7, "response", MIB), op="GetObject", key="silent", times=1),
        way.fault(Stall(7), op="GetObject", key="silent", times=1, after=1),
    ]
    # A killed run had fetched more: the object was another then.
    way.write(partial_name("left"), b"x" * 3 * MIB)

    run = yield

    assert failures(run, "once") == []
    assert [fault.hits for fault in faults] == [1] * len(faults)
    names = [*KINDS, "source-sha256", "MD5 ETag", "cut", "reset", "500", "silent", "slow", "left"]
    check_files(way, dict.fromkeys(names, data) | {"cut-large": large})
    asked = fetched(way)
    assert all(asked[path] == [None, None] for path in [*KINDS, "source-sha256", "MD5 ETag"])
    assert asked["left"] == [None]
    assert asked["cut"] in ([None, None], [None, 1])  # anew, or the rest only
    assert asked["cut-large"] == [None, 1]  # the rest only
    assert way.marked() == {*names, "cut-large"}

    yield

    assert fetched(way) == {}


def small_ever(ships: Fleet, s3: S3Server) -> Scenario:
    """All of it is named, and the file that is fine is there."""
    data = some_bytes("small", 2 * MIB + 5)
    way = put_small(ships, s3, "ever", data, None)
    for path in ("cut", "reset", "silent", "slow", "fine"):
        put(s3, way, path, data)
    way.fault(Truncate("response", 0), op="GetObject", key="cut")
    way.fault(Reset(0, "response"), op="GetObject", key="reset")
    way.fault(Stall(7, "response"), op="GetObject", key="silent")
    way.fault(slow_down(), op="GetObject", key="slow")

    run = yield

    url = f"s3://{ships.bucket}/ever"
    damaged = f"after {ATTEMPTS} attempts; nothing written"
    checked = [*KINDS, "source-sha256", "MD5 ETag"]
    expected: list[tuple[str, ...]] = [
        ("slow: ", f"{url}/slow: ", "SlowDown", "run again later"),
        *((f"{k}: ", f"{url}/{k} ", f"agree with its {k}, {damaged}") for k in checked),
        *((f"{k}: ", f"{url}/{k}: ", *BROKEN) for k in ("cut", "reset", "silent")),
    ]
    the_failures(run, "ever", sorted(expected))
    way.check_nothing_claimed()
    check_files(way, {"fine": data})
    assert fetched(way)["CRC32"] == [None] * ATTEMPTS

    yield

    names = [*checked, "cut", "reset", "silent", "slow"]
    assert sorted(fetched(way)) == sorted(names)
    check_files(way, dict.fromkeys([*names, "fine"], data))


def large(ships: Fleet, s3: S3Server) -> Scenario:
    """In ranges: what is damaged comes anew as a whole, what breaks off goes on, and what is there
    when it fails is not fetched again."""
    data = some_bytes("large", LARGE)
    way = add_download(ships, s3, "large", {"once": data, "ever": data, "lost": data}, **SHORT)
    once = [
        range_fault(way, 1, Truncate("response", 5 * MIB), "once", times=1),
        range_fault(way, 2, Reset(5 * MIB, "response"), "once", times=1),
        range_fault(way, 3, slow_down(), "once", times=1),
        range_fault(way, 4, Stall(7, "response", 5 * MIB), "once", times=1),
        range_fault(way, 5, flip(), "once", times=1),
        way.fault(internal_error(), op="HeadObject", key="once", times=1),
    ]
    ever = range_fault(way, 2, flip(), "ever")
    range_fault(way, 3, Reset(0, "response"), "lost")
    way.write(partial_name("once"), b"x" * LARGE + b"y")

    run = yield

    url = f"s3://{ships.bucket}/large"
    the_failures(
        run,
        "large",
        [
            ("ever: ", f"{url}/ever do not agree with its ", f"after {ATTEMPTS} attempts"),
            ("lost: ", f"{url}/lost: ", *BROKEN),
        ],
    )
    assert [fault.hits for fault in once] == [1] * len(once)
    assert ever.hits >= ATTEMPTS  # more where a busy machine lets one time out
    way.check_nothing_claimed()
    assert files(way.folder) == {"once": data}
    (left,) = unfinished(way.folder)
    assert left.name == partial_name("lost")
    assert min(Counter(fetched(way)["ever"])[number] for number in range(1, 6)) >= ATTEMPTS
    records = way.results.journal()
    (lost,) = [r["id"] for r in records if r.get("download") == "lost"]
    assert {r["range"] for r in records if r.get("id") == lost and "range" in r} == {1, 2, 4, 5}

    yield

    asked = fetched(way)
    assert {*asked.pop("ever")} == {1, 2, 3, 4, 5}  # one may come twice on a busy machine
    assert asked == {"lost": [3]}
    check_files(way, {"once": data, "ever": data, "lost": data})


def changing(ships: Fleet, s3: S3Server) -> Scenario:
    """An object that is replaced while it is fetched is the new one whole, a removed one is
    named."""
    old, new = some_bytes("old", LARGE), some_bytes("new", LARGE + 3 * MIB)
    little = b"the new object is much shorter"
    way = add_download(ships, s3, "changing", {})
    for path in ("grows", "shrinks", "removed"):
        put(s3, way, path, old)
    for path in ("restless", "small", "small removed", "small shrinks"):
        put(s3, way, path, old[: 3 * MIB])

    def becomes(path: str, data: bytes) -> Call:
        return Call(lambda _: put(s3, way, path, data))

    def removes(path: str) -> Call:
        return Call(lambda _: s3.client().delete_object(Bucket=way.bucket, Key=way.prefix + path))

    count = iter(range(100))
    way.fault(
        Call(lambda _: put(s3, way, "restless", b"version %d" % next(count))),
        op="GetObject",
        key="restless",
    )
    range_fault(way, 3, becomes("grows", new), "grows", times=1)
    range_fault(way, 4, becomes("shrinks", little), "shrinks", times=1)
    range_fault(way, 2, removes("removed"), "removed", times=1)
    for path, act in (
        ("small", becomes("small", new[: 4 * MIB])),
        ("small shrinks", becomes("small shrinks", little)),
        ("small removed", removes("small removed")),
    ):  # after some of the old one has arrived
        way.fault(Truncate("response", 2 * MIB), op="GetObject", key=path, times=1)
        way.fault(act, op="GetObject", key=path, times=1, after=1)

    run = yield

    url = f"s3://{ships.bucket}/changing"
    removed = "was removed since the listing; run again"
    the_failures(
        run,
        "changing",
        [
            (f"removed: {url}/removed {removed}",),
            (f"restless: {url}/restless keeps being replaced; run again later",),
            (f"small removed: {url}/small removed {removed}",),
        ],
    )
    way.check_nothing_claimed()
    whole = {"grows": new, "shrinks": little, "small": new[: 4 * MIB], "small shrinks": little}
    check_files(way, whole)

    yield

    assert sorted(fetched(way)) == ["restless"]
    whole["restless"] = b"version %d" % (next(count) - 1)
    check_files(way, whole)
    assert way.marked() == set(whole)


@pytest.mark.engine
def test_damage_on_the_way(ships: Fleet, s3: S3Server) -> None:
    scenarios = [prepare(ships, s3) for prepare in (small_once, small_ever, large, changing)]
    for scenario in scenarios:
        next(scenario)
    run = ships.run(code=1)
    for scenario in scenarios:
        scenario.send(run)
    ships.mend()
    run = ships.run()
    for scenario in scenarios:
        with pytest.raises(StopIteration):
            scenario.send(run)
