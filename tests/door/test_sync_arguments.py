"""The command lines of ``sync-from-s3``, and which configuration and folder they lead to."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from glaciers import LAUNCHER, Glacier

from waybill import __version__


def test_help_and_version_need_no_configuration(glacier: Glacier) -> None:
    glacier.configure("not TOML")
    assert glacier.sync("--version").out == f"sync-from-s3 {__version__}\n"
    said = glacier.sync("sentinel2", "--help").out
    for option in (
        "--dry-run", "--exclude-downloads", "--force-overwrite", "--regions", "--upload", "--yes",
        "--jobs", "--cores", "--config", "--environment", "--profile", "--version",
    ):  # fmt: skip
        assert option in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sentinel", '"sentinel" is no satellite; did you mean "sentinel2"?'),
        ("landsat modis", '"modis" is no satellite; allowed: sentinel2, landsat, all'),
        ("--exclude-download", "unrecognized arguments: --exclude-download"),
        ("--regions clipped", '--regions: "clipped" matches the folder "clipped" too'),
        ("--regions 134_Arsuk,,13*", '--regions: "" is no name of a region'),
        ("--regions a/b", '--regions: "a/b" is no name of a region'),
        ("--jobs 0", "'0' is not a number from 1 to 256"),
        ("--environment cloud", "invalid choice: 'cloud'"),
        ("--config nowhere.toml", "nowhere.toml: no such file"),
    ],
)
def test_usage_errors(glacier: Glacier, words: str, message: str) -> None:
    said = glacier.sync(*words.split(), code=2)
    assert message in said.err
    assert said.out == ""
    assert said.requests == []


def test_mistakes_of_the_configuration_come_at_once(glacier: Glacier) -> None:
    file = glacier.configure(
        '[path]\nbase_dir = "/x"\n[s3]\nbuckett = "x"\nregion = "US West"\n'
        'endpoint_url = "http://user:HUSH@host"\n'
    )
    said = glacier.sync(code=2)
    assert said.err.splitlines() == [
        f'sync-from-s3: {file}: path: unknown key; did you mean "paths"?',
        f'sync-from-s3: {file}: s3.buckett: unknown key; did you mean "bucket"?',
        f'sync-from-s3: {file}: s3.region: "US West" is not allowed; allowed: name of a region,'
        ' like "eu-central-1"',
        f"sync-from-s3: {file}: s3.endpoint_url: holds a user or password; credentials come only"
        " from the AWS chain (value not shown)",
    ]
    # What only the transfers know: under the user's own file all the same.
    file = glacier.configure(
        f'environment = "local"\n[paths]\nlocal_base_dir = "{glacier.data}"\n'
        '[notify]\nslack = "HUSH"\n'
    )
    said = glacier.sync(code=2)
    assert said.err.startswith(f"sync-from-s3: {file}: notify.slack: unknown key; ")
    assert "HUSH" not in said.err
    assert said.requests == []


def leads_to(said_err: str) -> str:
    """The missing data folder that a configuration led to."""
    match = re.search(r"the data folder (/no/\S+) does not exist", said_err)
    assert match, said_err
    return match[1]


def write(folder: Path, where: str, *, ini: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if ini:
        (folder / "config.ini").write_text(f"[PATHS]\nlocal_base_dir = /no/{where}\n")
    else:
        (folder / "config.toml").write_text(f'[paths]\nlocal_base_dir = "/no/{where}"\n')


def test_the_places_of_the_configuration(glacier: Glacier, tmp_path: Path) -> None:
    """A link in the data folder to a link in the project to the launcher of a clone: the folder
    of the command counts first, links followed, then the working folder, then that in the home."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    (project / "sync_from_s3.sh").symlink_to(os.path.relpath(LAUNCHER, project))
    link = glacier.data / "sync_from_s3.sh"
    link.symlink_to(project / "sync_from_s3.sh")
    (glacier.project / "config.toml").unlink()

    def ask(*arguments: str) -> str:
        local = ("--environment", "local")
        return glacier.launch(link, *local, *arguments, cwd=elsewhere, code=2).err

    none = ask()
    assert "no config.toml or config.ini in " in none
    places = [none.index(str(f)) for f in (LAUNCHER.parent, project, elsewhere, glacier.project)]
    assert places == sorted(places)

    write(glacier.project, "home", ini=True)
    assert leads_to(ask()) == "/no/home"
    write(elsewhere, "working", ini=True)
    assert leads_to(ask()) == "/no/working"
    write(project, "project", ini=True)
    assert leads_to(ask()) == "/no/project"
    write(project, "better")
    assert leads_to(ask()) == "/no/better"
    # A configuration of the workflow is another thing.
    (project / "config.toml").write_text('[transfers.x]\nsource = "/x"\n')
    assert leads_to(ask()) == "/no/project"
    write(elsewhere / "own", "own", ini=True)
    assert leads_to(ask("--config", "own/config.ini")) == "/no/own"
    assert "has [transfers]" in ask("--config", str(project / "config.toml"))


def test_a_clone_finds_the_configuration_in_it(glacier: Glacier, tmp_path: Path) -> None:
    """A link to the launcher leads to its clone, and a configuration there is found; beside the
    launcher first, then at the top of the clone."""
    clone, scripts = tmp_path / "clone", tmp_path / "clone" / "scripts"
    shutil.copytree(
        LAUNCHER.parent, scripts, ignore=lambda _, names: {n for n in names if n == "__pycache__"}
    )
    shutil.copytree(LAUNCHER.parents[1] / "workflow", clone / "workflow", symlinks=True)
    link = tmp_path / "sync"
    link.symlink_to(scripts / LAUNCHER.name)
    # There is no environment in this clone: the python3 on PATH is the one that is activated.
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (bin_ / "python3").chmod(0o755)
    path = f"{bin_}:{os.environ['PATH']}"

    def ask() -> str:
        local = ("--environment", "local")
        return leads_to(glacier.launch(link, *local, cwd=tmp_path, code=2, PATH=path).err)

    write(clone, "clone")
    assert ask() == "/no/clone"
    write(scripts, "scripts", ini=True)
    assert ask() == "/no/scripts"


def test_hpc_or_local(glacier: Glacier, tmp_path: Path) -> None:
    """``sbatch`` on PATH, or a job's number, or what is said; a machine may have ``sbatch``
    without being a cluster."""
    file = glacier.configure('[paths]\nbase_dir = "/no/hpc"\nlocal_base_dir = "/no/local"\n')
    here, cluster = tmp_path / "empty", tmp_path / "cluster"
    here.mkdir()
    cluster.mkdir()
    (cluster / "sbatch").write_text("#!/bin/sh\nexit 1\n")
    (cluster / "sbatch").chmod(0o755)

    def ask(*arguments: str, path: Path, **extra: str) -> str:
        return glacier.sync(*arguments, code=2, PATH=str(path), **extra).err

    assert leads_to(ask(path=here, SLURM_JOB_ID="")) == "/no/local"
    false_positive = ask(path=cluster)
    assert leads_to(false_positive) == "/no/hpc"
    assert "sbatch is on PATH; `--environment local` uses local_base_dir" in false_positive
    assert leads_to(ask(path=here, SLURM_JOB_ID="7")) == "/no/hpc"
    assert leads_to(ask("--environment", "local", path=cluster)) == "/no/local"
    text = file.read_text()
    file.write_text(f'environment = "local"\n{text}')
    assert leads_to(ask(path=cluster)) == "/no/local"
    assert leads_to(ask("--environment", "hpc", path=here)) == "/no/hpc"
    file.write_text(f'environment = "auto"\n{text}')
    assert leads_to(ask(path=cluster)) == "/no/hpc"
    file.write_text('[paths]\nlocal_base_dir = "/no/local"\n')
    assert f"{file}: base_dir: not set" in ask(path=cluster)


INI = "[PATHS]\nbase_dir = /no/hpc\nlocal_base_dir = {}\n[SETTINGS]\nexecution_mode = local\n"


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        (INI.format("/no/local"), "/no/local"),
        (INI.format("/no/x").replace("\n", "\r\n"), "/no/x"),
        (INI.format("/no/run=7/x"), "/no/run=7/x"),
        (INI.format("/no/x # here"), "/no/x"),
        ("\ufeff" + INI.format("/no/x"), "/no/x"),
        (INI.format("/no/x").replace("local_base", "  Local_Base"), "/no/x"),
        (INI.format("/no/x").replace("[SET", "local_base_dir_old = /no/old\n[SET"), "/no/x"),
        (f"[OTHER]\nlocal_base_dir = /no/y\n{INI.format('/no/x')}", "/no/x"),
        (INI.format("$WHERE/x"), "/no/where/x"),
        (INI.format("/no/x").replace("= local\n", "= HPC\n"), "/no/hpc"),
    ],
)  # fmt: skip
def test_the_ini_of_the_project(glacier: Glacier, text: str, folder: str) -> None:
    (glacier.project / "config.toml").unlink()
    (glacier.project / "config.ini").write_bytes(text.encode())
    assert leads_to(glacier.sync(code=2, WHERE="/no/where").err) == folder


def test_a_data_folder_is_never_made(glacier: Glacier, tmp_path: Path) -> None:
    file = glacier.configure(f'environment = "local"\n[paths]\nlocal_base_dir = "{tmp_path}/new"\n')
    for arguments in ([], ["--dry-run"], ["--upload", "--yes"]):
        said = glacier.sync(*arguments, code=2)
        assert f"{file}: local_base_dir: the data folder {tmp_path}/new does not exist" in said.err
        assert said.requests == []
    assert not (tmp_path / "new").exists()
    (tmp_path / "new").write_text("a file")
    assert "is not a folder" in glacier.sync(code=2).err
