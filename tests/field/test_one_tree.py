"""A run and its jobs are of one Waybill, whatever else Python finds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from sequencing import until

from support import workflow as runs
from support.proxy import Proxy
from support.workflow import Workflow
from waybill.model.errors import WaybillError
from waybill.system import installed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work(proxy: Proxy, bucket: str, tmp_path: Path) -> Workflow:
    """A folder with one file to upload."""
    workflow = Workflow(tmp_path / "work", proxy)
    workflow.write("a", b"data")
    workflow.configure(t={"destination": f"s3://{bucket}/t"})
    return workflow


def copy(folder: Path, package: Path, scripts: Path) -> Path:
    """A copy of all that runs: the rest in ``folder``, the package and the scripts of the rules
    where they are wanted."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "scripts" / "waybill", package, ignore=ignore)
    scripts.mkdir(exist_ok=True)
    for script in (ROOT / "scripts").glob("*.py"):
        shutil.copy(script, scripts)
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    return folder / "Snakefile"


@pytest.mark.parametrize("kind", ["clone", "wheel"])
def test_E4_jobs_run_the_package_of_their_snakefile(
    work: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Another Waybill comes first on the path of Python."""
    found = tmp_path / "found"
    (foreign := tmp_path / "foreign" / "waybill").mkdir(parents=True)
    (foreign / "__init__.py").write_text(f"open({os.fspath(found)!r}, 'a').close()\n")
    if kind == "wheel":
        package = tmp_path / "site" / "waybill"
        snakefile = copy(package, package, package / "scripts")
        monkeypatch.setattr(runs, "SNAKEFILE", snakefile)
    work.env["PYTHONPATH"] = os.fspath(foreign.parent)
    work.run(options=["--cores", "1"])
    assert not found.exists()
    assert work.results("t").checksums().keys() == {"a"}


def test_E4_jobs_refuse_code_that_has_changed_under_a_run(
    work: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "scripts").mkdir()
    snakefile = copy(clone, clone / "scripts" / "waybill", clone / "scripts")
    monkeypatch.setattr(runs, "SNAKEFILE", snakefile)
    running = work.start(options=["--cores", "1"])
    log = work.folder / "output.log"
    until(lambda: b"Provided cores" in log.read_bytes(), "start of the run")
    with (clone / "scripts" / "waybill" / "model" / "units.py").open("a") as module:
        module.write("# another version\n")
    run = running.wait().ended(1)
    where = clone / "scripts" / "waybill"
    line = next(line for line in run.lines if "this job would run" in line)
    assert line.count(f" of {where}") == 2
    assert len(set(line.split("waybill 0.")[1].split()) & set(line.split("waybill 0.")[2].split()))
    assert run.data_puts == []


def test_E4_the_same_code_in_another_folder_is_the_same() -> None:
    told: dict[str, str] = {}
    installed.tell_jobs(told)
    installed.check_job(told)
    ((name, value),) = told.items()
    content, _, package = value.split(" ", 2)
    installed.check_job({name: f"{content} other /net{package}"})
    with pytest.raises(WaybillError) as refused:
        installed.check_job({name: "0.0.9+0123456789ab other /opt/waybill"})
    assert f"waybill {content} of {package}" in str(refused.value)
    assert "waybill 0.0.9+0123456789ab of /opt/waybill" in str(refused.value)
    installed.check_job({})
