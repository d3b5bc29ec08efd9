"""What instruments and their software write that the product took for something else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cytobots import cytobot

from support.ifcb import NEW, bin_files
from support.illumina import grow_old, run_info
from support.proxy import Proxy, access_denied
from support.workflow import Workflow
from waybill.config import read
from waybill.inventory import sides
from waybill.presets.illumina import instrument
from waybill.presets.illumina.instrument import Phase
from waybill.results.layout import Layout

OLD = "D20130526T105207_IFCB013"


def without_starts(name: str, images: list[tuple[int, int]]) -> dict[str, bytes]:
    """A bin of software 2.x: the row of a trigger without an image begins at byte 0."""
    files = bin_files(name, images)
    rows = [row.split(b",") for row in files[f"{name}.adc"].splitlines()]
    for row in rows:
        if row[15:17] == [b"0", b"0"]:
            row[17] = b"0"
    return files | {f"{name}.adc": b"".join(b",".join(row) + b"\n" for row in rows)}


@pytest.fixture
def held(tmp_path: Path) -> Callable[..., sides.Sides]:
    """What is held back of these files, all as old as ``age`` seconds."""

    def look(files: dict[str, bytes], age: float = 0) -> sides.Sides:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for path, body in files.items():
            (folder / path).write_bytes(body)
            os.utime(folder / path, (time.time() - age,) * 2)
        (tmp_path / "c.toml").write_text(
            f'[transfers.t]\npreset = "ifcb"\nsource = "{folder}"\ndestination = "s3://bucket/x"\n'
        )
        transfer = read.load(tmp_path / "c.toml")["t"]
        return sides.of_upload(transfer, Layout(tmp_path / "results" / "t"), lambda _: [])

    return look


IMAGES = [(40, 50), (10, 20)]


@pytest.mark.parametrize(
    "images",
    [
        [*IMAGES, (0, 0)],
        [IMAGES[0], (0, 0), IMAGES[1]],
        [(0, 0), *IMAGES, *[(0, 0)] * 10],
        [*IMAGES, *[(0, 0)] * 1_000],
        [(0, 0)] * 300,
        [*IMAGES, (0, 5), (5, 0)],
    ],
    ids=["last", "in between", "many", "beyond the tail", "none", "one side"],
)
def test_A7_a_trigger_without_an_image_says_nothing(
    held: Callable[..., sides.Sides], images: list[tuple[int, int]]
) -> None:
    files = without_starts(NEW, images)
    if (0, 5) in images:
        rows = files[f"{NEW}.adc"].splitlines(keepends=True)
        files[f"{NEW}.adc"] = b"".join(rows[:2]) + b"".join(
            row.replace(b",2200,", b",0,") for row in rows[2:]
        )
    found = held(files)
    assert (found.held, found.paths) == ({}, sorted(files))
    if images[0] == (0, 0) and len(images) == 300:
        return
    for size in (-1, 3):  # and one that is half-written is still found
        cut = files[f"{NEW}.roi"][:size] if size < 0 else files[f"{NEW}.roi"] + b"\0" * size
        assert held({**files, f"{NEW}.roi": cut}).held.keys() == files.keys()


def test_A7_a_bin_that_waits_longer_than_a_day_is_a_problem(
    held: Callable[..., sides.Sides],
) -> None:
    half = {path: body for path, body in bin_files(NEW).items() if not path.endswith(".hdr")}
    young = held(half, age=23 * 3600)
    assert (young.held.keys(), young.overdue) == (half.keys(), {})
    old = held(half, age=25 * 3600)
    assert old.held.keys() == half.keys()
    assert old.overdue == {
        NEW: "half-written, and unchanged for 25 hours: no .hdr yet; complete it, put it into a"
        ' folder "skip", or send it as it is (all_files)'
    }


def test_A7_a_run_with_such_a_bin_ends_with_1(tmp_path: Path, bucket: str, proxy: Proxy) -> None:
    user = cytobot(tmp_path, bucket, proxy)
    half = {path: body for path, body in bin_files(OLD).items() if not path.endswith(".roi")}
    half[f"{OLD}.adc"] = half[f"{OLD}.adc"][:-20]
    user.place(without_starts(NEW, [*IMAGES, (0, 0)]) | half)
    place = ["--source", str(user.data), "--bucket", bucket, "--prefix", "x"]
    said = user.upload(*place)
    assert sorted(user.objects()) == [f"x/{NEW}.{kind}" for kind in ("adc", "hdr", "roi")]
    assert "All but what waits is proven" in said.out
    for path in half:
        os.utime(user.data / path, (time.time() - 25 * 3600,) * 2)
    said = user.upload(*place, code=1)
    assert f"{OLD}: half-written, and unchanged for 25 hours: .adc ends within a row" in said.err
    assert "is proven" not in said.out

    work = Workflow(tmp_path / "work", proxy)
    work.configure(
        t={"preset": "ifcb", "source": str(user.data), "destination": f"s3://{bucket}/x"}
    )
    (line,) = (line for line in work.run(code=1).lines if "FAILED" in line)
    assert f"{OLD}: half-written" in line
    assert f"{OLD}: half-written" in work.run("verify", code=1).output


def bare(folder: Path, name: str, serial: str, *files: str) -> Path:
    """A run without RunParameters."""
    run = folder / name
    (run / "Data").mkdir(parents=True)
    (run / "RunInfo.xml").write_bytes(run_info(name, serial))
    for file in files:
        (run / file).write_bytes(b"")
    return run


def test_A8_a_novaseq_6000dx_is_known_by_its_serial(tmp_path: Path) -> None:
    run = bare(tmp_path, "250602_ADX00001_0023_AHNOVADX01", "ADX00001", "RTAComplete.txt")
    grow_old(run, 7 * 86400)
    found = instrument.state(run)
    assert found.phase == Phase.COPYING
    assert "the NovaSeq 6000 still copies" in found.reason
    (run / "RunInfo.xml").unlink()  # the name of the folder tells it too
    assert instrument.state(run).phase == Phase.COPYING
    (run / "CopyComplete.txt").write_bytes(b"")
    assert instrument.state(run).phase == Phase.FINISHED


@pytest.mark.parametrize("serial", ["XYZ123", "FS10000123", "MN00218"])
def test_A8_where_copying_is_not_told_a_run_has_to_be_quiet(tmp_path: Path, serial: str) -> None:
    run = bare(tmp_path, f"250602_{serial}_0023_AHX", serial, "RTAComplete.txt")
    found = instrument.state(run)
    assert found.phase == Phase.NOT_SETTLED
    assert "a run settles for 6 hours" in found.reason
    assert "may copy without CopyComplete.txt; set complete if not so" in found.reason
    assert instrument.state(run, ["RTAComplete.txt"]).phase == Phase.FINISHED
    grow_old(run, 7 * 3600)
    assert instrument.state(run).phase == Phase.FINISHED
    (run / "InterOp").mkdir()
    (run / "InterOp" / "TileMetricsOut.bin").write_bytes(b"late")
    assert instrument.state(run).phase == Phase.NOT_SETTLED
    (run / "CopyComplete.txt").write_bytes(b"")
    assert instrument.state(run).phase == Phase.FINISHED


FILES = {
    "RunInfo.xml": b"<RunInfo/>",
    "SampleSheet.csv": b"[Data]\nSample_ID\nS1\n",
    "Data/a.cbcl": b"a" * 1000,
    "Data/b.cbcl": b"b" * 1000,
    "RTAComplete.txt": b"",
    "CopyComplete.txt": b"",
}
FIRST, LAST = ("RunInfo.xml", "SampleSheet.csv"), ("RTAComplete.txt", "CopyComplete.txt")


@pytest.mark.parametrize("form", ["", "one_job_per_batch=true"], ids=["chain", "one job"])
def test_D3_only_what_is_last_waits_for_a_first_file_that_fails(
    tmp_path: Path, bucket: str, proxy: Proxy, form: str
) -> None:
    work = Workflow(tmp_path / "w", proxy)
    for path, data in FILES.items():
        work.write(path, data)
    settings: dict[str, Any] = {"first": list(FIRST), "last": list(LAST), "batch.max_files": 1}
    work.configure(t={"destination": f"s3://{bucket}/run", **settings})
    fault = proxy.fault(access_denied(), op="PutObject", key="run/RunInfo.xml")
    failed = work.run(code=1, config=form)
    (line,) = (line for line in failed.lines if "FAILED" in line and "waits" not in line)
    assert "t: FAILED RunInfo.xml: " in line
    assert any("2 files of `last` wait" in line for line in failed.lines), failed.lines
    assert not failed.manifest_puts
    there = {item["Key"] for item in proxy.client().list_objects_v2(Bucket=bucket)["Contents"]}
    assert there == {f"run/{path}" for path in FILES if path not in ("RunInfo.xml", *LAST)}
    tried = [r.key.removeprefix("run/") for r in failed.requests if r.op == "PutObject"]
    middle = [tried.index(path) for path in tried if path.startswith("Data/")]
    assert max(tried.index(path) for path in FIRST) < min(middle), tried

    proxy.faults.remove(fault)
    mended = work.run(config=form)
    assert mended.data_puts == sorted(f"run/{path}" for path in ("RunInfo.xml", *LAST))
    assert len(mended.manifest_puts) == 1
    again = work.run(config=form)
    assert (again.data_puts, again.manifest_puts) == ([], [])
    assert set(again.jobs) <= {"inventory", "all"}
    # What was proven is open again, and so is what comes first: that is tried before all others.
    for path in ("RunInfo.xml", "Data/a.cbcl"):
        proxy.straight().delete_object(Bucket=bucket, Key=f"run/{path}")
    repaired = work.run(config=form)
    puts = [r.key for r in repaired.requests if r.op == "PutObject" and "manifest" not in r.key]
    assert puts == ["run/RunInfo.xml", "run/Data/a.cbcl"]


def test_D3_a_download_that_fails_first_keeps_nothing_but_the_last(
    tmp_path: Path, bucket: str, proxy: Proxy
) -> None:
    work = Workflow(tmp_path / "w", proxy)
    for path, data in FILES.items():
        proxy.client().put_object(Bucket=bucket, Key=f"run/{path}", Body=data)
    to = tmp_path / "to"
    work.configure(
        t={"source": f"s3://{bucket}/run", "destination": str(to), "first": list(FIRST),
           "last": list(LAST)}
    )  # fmt: skip
    fault = proxy.fault(access_denied(), op="GetObject", key="run/RunInfo.xml")
    work.run(code=1)
    arrived = {str(path.relative_to(to)) for path in to.rglob("*.*") if path.is_file()}
    assert arrived == {path for path in FILES if path not in ("RunInfo.xml", *LAST)}
    proxy.faults.remove(fault)
    work.run()
    assert {str(p.relative_to(to)) for p in to.rglob("*.*") if p.is_file()} == set(FILES)
    assert work.run().jobs.keys() <= {"inventory", "all"}


def test_D3_results_of_an_earlier_version_are_not_made_anew(tmp_path: Path) -> None:
    """There a marker alone told that the first files were moved, and jobs know it as their input:
    with another one Snakemake would make them again."""
    from waybill.stages.run_inputs import _tried

    layout, batch = Layout(tmp_path), "a" + "0" * 16
    assert _tried(layout, "t", batch) == layout.tried("t", batch)
    for path in (layout.marker("t", batch), layout.tried("t", batch)):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        known = layout.marker if path == layout.marker("t", batch) else layout.tried
        assert _tried(layout, "t", batch) == known("t", batch)
