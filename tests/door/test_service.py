"""`waybill` without a person: in a folder that is not its own, without a home, under cron."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doors import Door

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def drop_capabilities() -> None:
    """Bind a process of root by permissions, as its user would be."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


def as_service(door: Door, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `waybill` as a user who may write to nothing that the test has not opened for it."""
    return subprocess.run(
        [sys.executable, "-m", "waybill", *words], cwd=cwd, env=door.env(HOME="/nonexistent"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
        preexec_fn=drop_capabilities if os.geteuid() == 0 else None,
    )  # fmt: skip


def test_a_service_in_the_root_folder_without_a_home(door: Door, tmp_path: Path) -> None:
    """Results and Snakemake's own files are where the configuration says, and nothing is said."""
    door.write("a.bin")
    state = tmp_path / "state"
    toml = tmp_path / "service.toml"
    toml.write_text(
        f'[transfers.t]\nsource = "{door.data}"\ndestination = "s3://{door.bucket}/p/"\n'
        f'results = "{state}"\n'
    )
    before = sorted(Path("/").iterdir())
    run = as_service(door, Path("/"), "run", "--yes", "--quiet", "--config", str(toml))
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert door.keys("a.bin") == ["p/a.bin"]
    assert sorted(p.name for p in state.iterdir()) == [".snakemake", "t"]
    assert sorted(Path("/").iterdir()) == before
    status = as_service(door, Path("/"), "status", "--config", str(toml))
    assert (status.returncode, status.stderr) == (0, "")
    assert "all proven" in status.stdout


def test_a_folder_that_is_not_writable(door: Door, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "config").mkdir(parents=True)
    (work / "config" / "config.toml").write_text(
        f'[transfers.t]\nsource = "{door.data}"\ndestination = "s3://{door.bucket}/p/"\n'
    )
    door.write("a.bin")
    work.chmod(0o555)
    for words in (["plan"], ["run", "--yes"], ["verify"]):
        said = as_service(door, work, *words)
        assert said.returncode == 2
        assert said.stderr == (
            f"waybill: {work}: no folder to work in; change into one that you may write to, or set"
            " `results` to a whole path\n"
        )
    there = f"s3://{door.bucket}/p/"
    said = as_service(door, work, "copy", str(door.data), there, "--yes")
    assert said.returncode == 1
    assert f"{work}/results: Permission denied; give this user the permission" in said.stderr
    elsewhere = str(tmp_path / "results")
    said = as_service(door, work, "copy", str(door.data), there, "--yes", "--results", elsewhere)
    assert (said.returncode, said.stderr) == (0, "")
    assert door.keys("a.bin") == ["p/a.bin"]


def units() -> dict[str, str]:
    """The units of the page, by file name."""
    blocks = re.findall(r"```ini\n# /etc/systemd/system/(\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in blocks] == ["waybill.service", "waybill.timer"]
    return dict(blocks)


def test_the_units_of_the_page_start_what_there_is() -> None:
    from waybill.cli.main import make_parser

    (command,) = re.findall(r"^ExecStart=\S+/waybill (.*)$", units()["waybill.service"], re.M)
    given = make_parser("run").parse_args(command.split())
    assert (given.yes, given.quiet, given.config) == (True, True, "/etc/waybill/config.toml")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_takes_the_units_of_the_page(tmp_path: Path) -> None:
    for name, text in units().items():
        (tmp_path / name).write_text(
            re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.M)
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
