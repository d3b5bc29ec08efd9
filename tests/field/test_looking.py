"""A run looks at both sides, whatever Snakemake knows or was asked for, or says that it did not."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from support.proxy import Proxy
from support.workflow import Finished, Workflow


@pytest.fixture
def work(proxy: Proxy, bucket: str, tmp_path: Path) -> Workflow:
    """Six files in batches of three."""
    workflow = Workflow(tmp_path, proxy)
    for number in range(6):
        workflow.write(f"d/f{number}", b"%d" % number * 50)
    workflow.configure(t={"destination": f"s3://{bucket}/t", "batch.max_files": 3})
    return workflow


def last_line(run: Finished) -> str:
    return run.lines[-1] if run.lines else ""


def test_F1_a_lost_record_of_the_inventory_does_not_blind_a_run(work: Workflow) -> None:
    """As in a new clone with the results that the README lists copied in."""
    work.run()
    shutil.rmtree(work.folder / ".snakemake")
    shutil.rmtree(work.folder / "results/t/inventory")
    work.write("new", b"new")
    run = work.run()
    assert run.data_puts == ["t/new"]
    assert "7 files" in last_line(run) and "all proven" in last_line(run)


def test_F1_whatever_else_is_lost_ends_with_a_true_verdict(work: Workflow) -> None:
    work.run()
    results = work.folder / "results" / "t"
    for number, lost in enumerate((["inventory"], ["state.json", "markers"], ["manifests"])):
        for name in lost:
            path = results / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        work.write(f"new{number}", b"new")
        run = work.run()
        assert run.data_puts == [f"t/new{number}"]
        assert f"{7 + number} files" in last_line(run) and "all proven" in last_line(run), lost


def test_F2_a_table_that_is_named_is_of_the_files_of_now(work: Workflow) -> None:
    work.run()
    changed = work.write("d/f0", b"other")
    named = [str(p.relative_to(work.folder)) for p in work.results("t").files("checksums")]
    run = work.run(*named)
    assert work.results("t").checksums()["d/f0"] == hashlib.sha256(changed.read_bytes()).hexdigest()
    assert run.data_puts == []
    assert last_line(run) == "waybill: t: 6 files, 255 B: 2 of 3 batches proven"
    # The batch that is asked for need not be there any more.
    for gone in ("b.d_f9.11111111", f"b{'1' * 16}"):  # as it is named now, and as it was
        run = work.run(f"results/t/markers/t/{gone}.tsv", code=1)
        assert f"FAILED there is no batch {gone} of t any more" in run.output


def test_F2_a_choice_of_rules_is_done_after_a_look(work: Workflow) -> None:
    run = work.run(options=["--until", "upload"])
    assert len(run.data_puts) == 6 and run.manifest_puts == []
    work.write("new", b"new")
    run = work.run(options=["--until", "gather_plan"])
    assert run.jobs["inventory"] == 1 and run.data_puts == []
    assert (
        last_line(run) == "waybill: t: 7 files, 303 B: 1 to move, 6 to keep; see results/t/plan.tsv"
    )


def test_F2_where_nobody_looked_there_is_no_verdict(work: Workflow) -> None:
    work.run()
    work.write("new", b"new")
    run = work.run("plan", options=["--until", "diff"], code=1)
    assert run.lines == [
        "waybill: t: nothing was looked at, so there is no verdict; run again, for all of it"
    ]
    run = work.run(options=["--omit-from", "inventory"], code=2)
    assert run.lines == ["waybill: --omit-from inventory: nothing would be looked at"]


NO_LOCKS = """
import errno, fcntl, os

def refuse(*_):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

fcntl.flock = refuse
"""


def test_F4_results_on_a_file_system_without_flock(
    proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    """Every process of the run is refused a lock, as on Lustre without the mount option. The run
    goes on, and says so once."""
    work = Workflow(tmp_path / "w", proxy, forks=False)
    work.write("a", b"a")
    work.configure(t={"destination": f"s3://{bucket}/t"})
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_LOCKS)
    work.env["PYTHONPATH"] = str(tmp_path / "site")
    own = {"options": ["--cores", "1"], "umask": 0o022}  # an interpreter of its own, no fork
    run = work.run(**own)
    assert run.data_puts == ["t/a"] and "all proven" in last_line(run)
    (said,) = [line for line in run.output.splitlines() if "has no locks" in line]
    assert said.startswith("waybill: ") and "results/t: the file system has no locks" in said
    assert work.run(**own).data_puts == []
