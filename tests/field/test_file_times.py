"""B9: times of files that are before the year 1, after 9999, or in the future."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import Door

from support.proxy import Proxy
from support.transfers import transfer_of
from support.walking import paths, walk
from support.workflow import Workflow
from waybill.inventory.walk import Walk
from waybill.model.selection import Selection
from waybill.model.times import utc, utc_of_file
from waybill.move.compare import source_mtime
from waybill.presets.illumina import waiting
from waybill.results import manifest
from waybill.results.marker import Proof
from waybill.verify import lists

LATE_NS = 300_000_000_000 * 10**9 + 5  # in the year 11476
LATEST_NS = 8_210_266_876_799 * 10**9  # in the year 262142
EARLY_NS = -70_000_000_000 * 10**9  # before the year 1
OLD_NS = -1_500_000_000 * 10**9 + 7  # in the year 1922


def proof_of(path: str, mtime_ns: int) -> Proof:
    return Proof(path, path, 1, mtime_ns, "ab" * 32, "etag", "", "2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize("mtime_ns", [LATE_NS, LATEST_NS, EARLY_NS, OLD_NS, 0, -1])
def test_B9_a_manifest_has_the_time_of_any_file(tmp_path: Path, mtime_ns: int) -> None:
    from datetime import UTC, datetime

    transfer = transfer_of(tmp_path)
    proofs = [proof_of("f", mtime_ns), proof_of("g", 10**18)]
    data = b"".join(manifest.manifest(transfer, "t", proofs, datetime.now(UTC)))
    (odd, usual) = json.loads(data)["files"]
    assert usual["modified_at"] == "2001-09-09T01:46:40.000Z"
    assert "mtime_ns" not in usual
    if mtime_ns in (LATE_NS, LATEST_NS, EARLY_NS):
        assert (odd["modified_at"], odd["last_modified"], odd["mtime_ns"]) == (None, None, mtime_ns)
    else:
        assert odd["modified_at"] == utc(mtime_ns)
        assert "mtime_ns" not in odd
    (tmp_path / "m.json").write_bytes(data)
    with (tmp_path / "m.json").open("rb") as file:
        assert manifest.holds_the_same(file, transfer, "t", proofs)
    found = [entry.mtime_ns for entry in lists.manifest(data, "m.json")]
    tick = 1 if odd["modified_at"] is None else lists.MANIFEST_TICK_NS
    assert found[0] is not None and found[0] // tick == mtime_ns // tick


def test_B9_the_time_of_a_file_is_never_an_error() -> None:
    for ns in (LATE_NS, LATEST_NS, EARLY_NS):
        assert utc_of_file(ns) is None
    assert utc_of_file(OLD_NS) == "1922-06-20T21:20:00.000Z"
    for ns in (LATE_NS, LATEST_NS, OLD_NS, -1, EARLY_NS):
        seconds, rest = divmod(ns, 10**9)
        assert source_mtime({"Metadata": {"source-mtime": f"{seconds}.{rest:09d}"}}, 0) == ns


def test_B9_a_file_that_is_dated_in_the_future_settles(tree: Path) -> None:
    now = time.time_ns()
    os.utime(tree / "a.tif", ns=(LATE_NS, LATE_NS))
    assert "a.tif" in walk(tree, settle_before=now - 10**12).held, "it came just now"
    settled = Walk(tree, Selection(), settle_before=(tree / "a.tif").stat().st_ctime_ns + 1)
    assert "a.tif" in paths(settled.tree())


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files can have the time LATE_NS, which those of ext4 cannot."""
    for place in (tmp_path, Path("/dev/shm")):
        if not place.is_dir():
            continue
        folder = Path(tempfile.mkdtemp(prefix="waybill-", dir=place))
        try:
            os.utime(folder, ns=(LATE_NS, LATE_NS))
            if folder.stat().st_mtime_ns == LATE_NS:
                yield folder
                return
        finally:
            shutil.rmtree(folder)
    pytest.skip("no file system here has such times")


def test_B9_a_run_of_the_year_10000_is_not_too_old(far: Path) -> None:
    from datetime import UTC, datetime

    (far / "RunInfo.xml").write_bytes(b"")
    os.utime(far / "RunInfo.xml", ns=(LATE_NS, LATE_NS))
    assert waiting.too_old(far, None, 72, datetime.now(UTC)) is None
    os.utime(far / "RunInfo.xml", ns=(OLD_NS, OLD_NS))
    assert "hours ago, more than max_age" in (
        waiting.too_old(far, None, 72, datetime.now(UTC)) or ""
    )


def test_B9_all_of_a_transfer_works(bucket: str, proxy: Proxy, far: Path, door: Door) -> None:
    work = Workflow(far, proxy)
    dates = {"late": LATE_NS, "old": OLD_NS, "before": -1, "usual": 10**18}
    for name, ns in dates.items():
        os.utime(work.write(name, name.encode()), ns=(ns, ns))
    work.configure(t={"destination": f"s3://{bucket}/x"})
    assert "Traceback" not in work.run("plan").output
    first = work.run()
    assert len(first.data_puts) == 4
    assert any("late: its time is beyond the years 1 to 9999" in line for line in first.lines)
    (key,) = first.manifest_puts
    body = proxy.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    times = {file["filename"]: file for file in json.loads(body)["files"]}
    assert (times["late"]["modified_at"], times["late"]["mtime_ns"]) == (None, LATE_NS)
    assert times["before"]["modified_at"] == "1969-12-31T23:59:59.999Z"
    again = work.run()
    assert (again.data_puts, again.manifest_puts) == ([], [])
    work.run("verify")
    for words in (("status",), ("find", "late"), ("plan",)):
        config = ("--config", "config.toml")
        said = door.run(*words, *config, command="main", cwd=work.folder)
        assert "unexpected" not in said.all
