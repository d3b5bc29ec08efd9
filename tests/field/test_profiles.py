"""Snakemake's own settings in the profiles, on one machine: caches, triggers, retries."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.proxy import Proxy
from support.s3_errors import access_denied, internal_error
from support.workflow import Finished, Workflow

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "environment.yml", "profiles", "scripts", "slurm", "workflow")
FILES = 3


@pytest.fixture
def small(tmp_path: Path, proxy: Proxy, bucket: str) -> Workflow:
    """A few files to upload, in the folder ``work``."""
    workflow = Workflow(tmp_path / "work", proxy, forks=False)
    for i in range(FILES):
        workflow.write(f"f{i}.bin", b"%d" % i * 500)
    workflow.configure(t={"destination": f"s3://{bucket}/data"})
    return workflow


def drop_capabilities() -> None:
    """Bind a process of root by permissions, as its user would be."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


AS_USER = {"preexec_fn": drop_capabilities if os.geteuid() == 0 else None}


def unusable_home(kind: str, tmp_path: Path) -> str:
    """A home below a file, or one that is not writable."""
    if kind == "missing":
        (tmp_path / "file").write_text("")
        return str(tmp_path / "file" / "home")
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    return str(home)


@pytest.mark.parametrize("kind", ["missing", "read-only"])
def test_F8_a_home_that_cannot_be_used_is_not_needed(
    small: Workflow, tmp_path: Path, kind: str
) -> None:
    small.env = {"HOME": unusable_home(kind, tmp_path), "XDG_CACHE_HOME": ""}
    run = small.start(**AS_USER).wait().ended(0)
    assert len(run.data_puts) == FILES


@pytest.mark.parametrize("command", ["plan", "run", "verify"])
def test_F8_a_command_does_not_need_a_home(small: Workflow, tmp_path: Path, command: str) -> None:
    small.run()
    small.env = {"HOME": unusable_home("read-only", tmp_path), "XDG_CACHE_HOME": ""}
    done = waybill(small, command, "--config", "config.toml")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_F8_snakemakes_caches_are_beside_its_other_files(small: Workflow, tmp_path: Path) -> None:
    """Wherever the run is started; a cache that the user has chosen is used."""
    home, elsewhere, chosen = tmp_path / "home", tmp_path / "elsewhere", tmp_path / "chosen"
    home.mkdir()
    elsewhere.mkdir()
    small.env = {"HOME": str(home), "XDG_CACHE_HOME": ""}
    small.start(cwd=elsewhere, close_fds=True).wait().ended(0)
    assert [*home.iterdir(), *elsewhere.iterdir()] == []
    assert (small.folder / ".snakemake/cache/snakemake").is_dir()
    small.env["XDG_CACHE_HOME"] = str(chosen)
    shutil.rmtree(small.folder / ".snakemake/cache")
    small.start(close_fds=True).wait().ended(0)
    assert (chosen / "snakemake").is_dir()
    assert not (small.folder / ".snakemake/cache").exists()


@pytest.mark.parametrize("command", ["plan", "run", "verify", "snakemake"])
def test_B13_a_working_folder_that_cannot_be_written_is_named(
    small: Workflow, tmp_path: Path, command: str
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    config = str(small.folder / "config.toml")
    if command == "snakemake":
        command_line = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile")]
        done = started(small, [*command_line, "--config", f"toml={config}"], cwd=closed)
    else:
        done = waybill(small, command, "--config", config, cwd=closed)
    assert done.returncode in (1, 2)
    first, *more = done.stderr.splitlines()
    if command == "snakemake":  # says which profile it uses
        (first,) = more
    if command == "snakemake":
        assert first.startswith(f"waybill: {closed}/"), done.stderr
        assert "Permission denied" in first
    else:
        assert first.startswith(f"waybill: {closed}: no folder to work in; change into one that")
    assert command == "snakemake" or more == []


def waybill(
    small: Workflow, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return started(small, [sys.executable, "-m", "waybill", *arguments], cwd=cwd or small.folder)


def started(small: Workflow, command: list[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command, run to its end by somebody whom permissions bind."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SNAKEMAKE_"))}
    env = {**inherited, **small.proxy.env(), "PYTHONPATH": str(ROOT / "scripts"), **small.env}
    return subprocess.run(
        command, cwd=cwd, env=env, check=False, capture_output=True, text=True, **AS_USER
    )


def test_B15_new_code_is_no_reason_to_do_proven_batches_again(
    small: Workflow, tmp_path: Path
) -> None:
    """``git pull`` gives the scripts and the environment new times and new bytes."""
    clone = copy_of_the_project(tmp_path / "clone")

    def run() -> Finished:
        options = ["--snakefile", str(clone / "Snakefile"), "-d", str(small.folder)]
        return small.start(options=options, close_fds=True).wait().ended(0)

    first = run()
    assert len(first.data_puts) == FILES
    for script in sorted((clone / "scripts").glob("*.py")):
        script.write_text(script.read_text() + "# A comment.\n")
    (clone / "environment.yml").write_text((clone / "environment.yml").read_text() + "# More.\n")
    again = run()
    assert again.jobs == Counter(inventory=1, all=1)
    assert again.manifest_puts == []


def copy_of_the_project(folder: Path) -> Path:
    """What a clone holds, as far as a run needs it."""
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        if (ROOT / part).is_dir() and not (ROOT / part).is_symlink():
            shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=ignored)
        else:
            shutil.copy2(ROOT / part, folder / part, follow_symlinks=False)
    return folder


def failed(run: Finished) -> str:
    """The only failure that the last lines name."""
    (line,) = (line for line in run.lines if line.startswith("waybill: t: FAILED "))
    return line


def test_F12_missing_credentials_are_not_tried_again(small: Workflow) -> None:
    small.env = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    run = small.run(code=1, options=["--retries", "2"])
    assert "no AWS credentials found" in failed(run)
    assert "Trying to restart" not in run.output


def test_F12_a_refused_file_is_not_tried_again(small: Workflow) -> None:
    refused = small.proxy.fault(access_denied(), op="PutObject", key="data/f1.bin")
    run = small.run(code=1, options=["--retries", "2"])
    assert "access denied to PutObject" in failed(run)
    assert "Trying to restart" not in run.output
    assert refused.hits == 1


def test_F12_what_may_pass_is_tried_again(small: Workflow) -> None:
    """Also where the run before has failed for a reason that lasts."""
    refused = small.proxy.fault(access_denied(), op="PutObject", key="data/f1.bin")
    small.run(code=1, options=["--retries", "1"])
    small.proxy.faults.remove(refused)
    small.proxy.fault(internal_error(), op="PutObject", key="data/f1.bin")
    run = small.run(code=1, options=["--retries", "1"])
    assert "S3 kept answering" in failed(run)
    assert run.output.count("Trying to restart") == 1
