"""The configuration of sync-from-s3: which file counts, and what a person meant by it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from waybill.cli.glacier import config
from waybill.cli.glacier import ini as glacier_ini
from waybill.model.errors import ConfigError, WaybillError

SEED = """\
# Workflow configuration
[REGIONS]
# Examples: 134_Arsuk  OR  134_Arsuk,101_sermiligarssuk
regions = 138_SermiitsiaqInTasermiut

[PATHS]
# Base output directory (on HPC)
#base_dir = /fs/project/old
base_dir = /fs/project/howat.4/greenland_glacier_flow
# Base output directory for local runs (WSL/Ubuntu)
local_base_dir = /home/user/greenland_glacier_flow

[SETTINGS]
runtime = 24:00:00
email = somebody@osu.edu
execution_mode = auto
env = glacier_velocity
"""
BOTH = {
    "base_dir": "/fs/project/howat.4/greenland_glacier_flow",
    "local_base_dir": "/home/user/greenland_glacier_flow",
}


def ini(folder: Path, text: str | bytes) -> Path:
    file = folder / "config.ini"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def toml(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "text",
    [
        SEED.encode(),
        SEED.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + SEED.encode(),
        b"\xef\xbb\xbf" + SEED.removeprefix("# Workflow configuration\n").encode(),
        SEED.upper().replace("/FS/PROJECT/HOWAT.4/GREENLAND", "/fs/project/howat.4/greenland")
        .replace("_GLACIER_FLOW", "_glacier_flow").replace("/HOME/USER/GREENLAND",
        "/home/user/greenland").replace("AUTO", "auto").encode(),
        SEED.replace("\nbase", "\n   base").replace("\nlocal", "\n\tlocal").encode(),
        SEED.replace(" = ", "=").encode(),
        SEED.replace(" = ", " : ").encode(),
        SEED.replace("_flow\n", "_flow   # for all of us\n").encode(),
        SEED.replace("_flow\n", "_flow\t; for = all of us\n").encode(),
        SEED.replace("= /fs/project/howat.4/greenland_glacier_flow",
        '= "/fs/project/howat.4/greenland_glacier_flow" # it').encode(),
        SEED.replace("\nbase_dir = /fs", "\nbase_dir_old = /old\nbase_dir = /fs").encode(),
        SEED.replace("[REGIONS]", "[REGIONS]\nbase_dir = /elsewhere").encode(),
        SEED.replace("\nbase_dir = /fs", "\nbase_dir =\nbase_dir = /fs").encode(),
        ("base_dir = /top\n" + SEED).encode(),
        "\n".join(line for line in SEED.splitlines() if "dir =" in line or "mode" in line).encode(),
        SEED.rstrip("\n").encode(),
    ],
)  # fmt: skip
def test_the_ini_is_read_as_a_person_does(tmp_path, text):
    assert glacier_ini.read(ini(tmp_path, text)) == {**BOTH, "execution_mode": "auto"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("base_dir = /fs/my data/glacier", "/fs/my data/glacier"),
        ("base_dir = /fs/run=7/x=y", "/fs/run=7/x=y"),
        ("base_dir = /fs/a:b", "/fs/a:b"),
        ("base_dir = C#/x", "C#/x"),
        ("base_dir = '/fs/with # inside'  ; it", "/fs/with # inside"),
        ('base_dir = "/fs/x', '"/fs/x'),
        ("base_dir = ~/glacier", "~/glacier"),
        ("base_dir = /fs/Grönland", "/fs/Grönland"),
        ("base_dir = /fs/same\nbase_dir = /fs/same", "/fs/same"),
    ],
)
def test_values_of_the_ini(tmp_path, line, value):
    assert glacier_ini.read(ini(tmp_path, f"[PATHS]\n{line}\n")) == {"base_dir": value}


@pytest.mark.parametrize(
    "text", ["", "[PATHS]\n", "base_dir_old = /x\nmy_base_dir = /y\n", "base_dir = # no\n", "no\n"]
)
def test_nothing_is_set(tmp_path, text):
    assert glacier_ini.read(ini(tmp_path, text)) == {}


def test_an_ini_that_says_two_things(tmp_path):
    text = "[PATHS]\nbase_dir = /a\nlocal_base_dir = /b\nbase_dir = /c\nlocal_base_dir = /d\n"
    with pytest.raises(ConfigError) as caught:
        glacier_ini.read(ini(tmp_path, text))
    assert [problem.partition(".ini: ")[2] for problem in caught.value.problems] == [
        "base_dir: stands in lines 2 and 4 with different values",
        "local_base_dir: stands in lines 3 and 5 with different values",
    ]
    with pytest.raises(ConfigError, match="byte 12 is not UTF-8"):
        glacier_ini.read(ini(tmp_path, b"base_dir = /\xff"))
    with pytest.raises(ConfigError, match='execution_mode: "slurm" is not allowed'):
        config.read(ini(tmp_path, "execution_mode = SLURM"))


def test_the_mode_of_an_ini(tmp_path):
    file = ini(tmp_path, SEED.replace("mode = auto", "mode = HPC"))
    settings = config.read(file)
    assert settings.environment == "hpc"
    assert settings.paths == BOTH
    assert config.read(ini(tmp_path, "base_dir = /x")).environment == "auto"


def test_all_of_a_toml(tmp_path):
    settings = config.read(
        toml(
            tmp_path,
            """
            environment = "hpc"
            [paths]
            base_dir = "/fs/x"
            local_base_dir = "~/x"
            [s3]
            bucket = "mirror"
            base_path = "a/b"
            region = "eu-north-1"
            endpoint_url = "http://127.0.0.1:9000"
            profile = "lab"
            [notify]
            anything = 1
            """,
        )
    )
    assert settings.environment == "hpc"
    assert settings.paths == {"base_dir": "/fs/x", "local_base_dir": "~/x"}
    assert settings.s3 == {
        "bucket": "mirror",
        "base_path": "a/b",
        "region": "eu-north-1",
        "endpoint_url": "http://127.0.0.1:9000",
        "profile": "lab",
    }
    assert settings.notify == {"anything": 1}


def test_every_mistake_at_once(tmp_path):
    file = toml(
        tmp_path,
        """
        environ = "hpc"
        environment = "hcp"
        bucket = "mirror"
        [paths]
        basedir = "/x"
        base_dir = 5
        local_base_dir = ""
        [s3]
        bucket = "Not_A_Bucket"
        base_path = "/a"
        region = "US West"
        endpoint_url = "http://user:HUSH@host"
        secret_key = "HUSH"
        """,
    )
    with pytest.raises(ConfigError) as caught:
        config.read(file)
    found = [problem.removeprefix(f"{file}: ") for problem in caught.value.problems]
    expected = [
        'environ: unknown key; did you mean "environment"?',
        'environment: "hcp" is not allowed; did you mean "hpc"? allowed: "auto", "hpc", "local"',
        'bucket: unknown key; did you mean "s3.bucket"?',
        'paths.basedir: unknown key; did you mean "base_dir"?',
        "paths.base_dir: found a whole number; allowed: text",
        'paths.local_base_dir: "" is not allowed; allowed: text',
        's3.bucket: "Not_A_Bucket" is not the name of a bucket',
        's3.base_path: "/a": allowed: folders',
        's3.region: "US West" is not allowed; allowed: name of a region',
        "s3.endpoint_url: holds a user or password",
        "s3.secret_key: unknown key; credentials come only from the AWS chain",
    ]
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start)
    assert "HUSH" not in "".join(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("environment = 1", "environment: found a whole number"),
        ("paths = 1", "paths: found a whole number; allowed: a table [paths]"),
        ("[path]\n", 'path: unknown key; did you mean "paths"?'),
        ("[paths]\nbucket = 'b'", "paths.bucket: unknown key here; it is for [s3]"),
        ("[s3]\nx = 1", "s3.x: unknown key; allowed: bucket, base_path, region, endpoint_url, pro"),
        ("[s3]\nprofile = ' '", 's3.profile: " " is not allowed; allowed: name of a profile'),
        ("[s3]\nbucket = 1", "s3.bucket: found a whole number; allowed: name of a bucket"),
        ("x = ", "not valid TOML"),
        ("[transfers.a]\n", "has [transfers]: it is for `waybill`"),
    ],
)
def test_a_toml_that_cannot_be_used(tmp_path, text, expected):
    with pytest.raises(ConfigError) as caught:
        config.read(toml(tmp_path, text))
    assert caught.value.problems[0].startswith(f"{tmp_path}/config.toml: {expected}")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Where a configuration may be, first ones first; each holds a link to the command, but for
    the last two, which are the working folder and that in the home."""
    home = tmp_path / "home"
    names = ["clone", "project", "data", "work"]
    folders = [tmp_path / name for name in names]
    folders.append(home / "Github" / "greenland-glacier-flow")
    for folder in folders:
        folder.mkdir(parents=True)
    (folders[0] / "sync").write_text("the command")
    (folders[1] / "sync").symlink_to(folders[0] / "sync")
    (folders[2] / "sync").symlink_to("../project/sync")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(folders[3])
    monkeypatch.setattr(config, "project_root", lambda: folders[0])
    return folders


def test_the_first_place_counts(places):
    command = places[2] / "sync"
    with pytest.raises(WaybillError) as caught:
        config.find(command)
    assert caught.value.exit_code == 2
    listed = str(caught.value).partition(" in ")[2].partition(";")[0]
    assert listed.split(", ") == [str(place) for place in places]

    for place in reversed(places):  # each in front of those before
        file = ini(place, "")
        assert config.find(command) == file
        better = toml(place, "")
        assert config.find(command) == better
        better.write_text("not TOML")
        assert config.find(command) == better, "a mistake is not passed over"
        better.write_text('[transfers.x]\nsource = "y"\n')
        assert config.find(command) == file
    for place in places:
        (place / "config.ini").unlink()
    with pytest.raises(WaybillError, match=f"{places[0]}/config.toml, .* for `waybill`"):
        config.find(command)


def test_a_relative_link_a_loop_and_no_link(places):
    file = ini(places[0], "")
    os.chdir(places[2])
    assert config.find(Path("sync")) == file
    (places[3] / "loop").symlink_to("loop")
    assert config.find(places[3] / "loop") == file  # by project_root
    assert config.find(Path("/nowhere/at/all")) == file


def test_hpc_or_local(tmp_path):
    empty, cluster = tmp_path / "empty", tmp_path / "cluster"
    for folder in (empty, cluster):
        folder.mkdir()
    (cluster / "sbatch").write_text("#!/bin/sh\n")
    here, there = {"PATH": str(empty)}, {"PATH": f"{empty}:{cluster}"}
    assert config.environment_of("auto", there)[0] == "local", "not to be run"
    (cluster / "sbatch").chmod(0o755)
    assert config.environment_of("auto", there) == ("hpc", "sbatch is on PATH")
    assert config.environment_of("auto", here)[0] == "local"
    job = here | {"SLURM_JOB_ID": "1"}
    assert config.environment_of("auto", job) == ("hpc", "SLURM_JOB_ID is set")
    assert config.environment_of("auto", here | {"SLURM_JOB_ID": ""})[0] == "local"
    assert config.environment_of("local", there)[0] == "local"
    assert config.environment_of("hpc", here)[0] == "hpc"


@pytest.mark.parametrize(
    "written", ["{}/a b=c", "~/a b=c", "$HOME/a b=c", "${{HOME}}/a b=c", "a b=c"]
)
def test_the_data_folder(tmp_path, monkeypatch, written):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "a b=c"
    folder.mkdir()
    settings = config.Settings(
        tmp_path / "config.ini", paths={"local_base_dir": written.format(tmp_path)}
    )
    assert config.data_folder(settings, "local", "no SLURM") == folder


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            {"local_base_dir": "/"},
            "base_dir: not set .*sbatch is on PATH; `--environment local` us",
        ),
        (
            {"base_dir": "/no/such"},
            "the data folder /no/such does not exist; make it, or mend base",
        ),
        ({"base_dir": "/etc/passwd"}, "the data folder /etc/passwd is not a folder"),
        ({"base_dir": "$WAYBILL_UNSET/x"}, "the variable WAYBILL_UNSET is not set"),
        ({"base_dir": "s3://bucket/x"}, "s3:// is not supported"),
    ],
)
def test_no_data_folder(paths, expected):
    settings = config.Settings(Path("/p/config.ini"), paths=paths)
    with pytest.raises(WaybillError, match=expected) as caught:
        config.data_folder(settings, "hpc", "sbatch is on PATH")
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("/p/config.ini: base_dir: ")
