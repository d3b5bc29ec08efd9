"""Configurations that would send data to the wrong place, or over what runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from doors import Door

from support.proxy import Proxy
from support.workflow import SNAKEFILE, Workflow
from waybill.cli import state_folder
from waybill.config import read as config
from waybill.model.errors import ConfigError

ROOT = Path(__file__).parents[2]

Problems = Callable[..., list[str]]


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Problems:
    """What is wrong with a configuration that is read in a working folder of its own."""
    work = tmp_path / "work"
    (work / "config").mkdir(parents=True)
    monkeypatch.chdir(work)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)

    def read(text: str, **how: object) -> list[str]:
        (work / "config" / "config.toml").write_text(text)
        try:
            config.load("config/config.toml", **how)
        except ConfigError as error:
            assert error.exit_code == 2
            return error.problems
        return []

    return read


def two(first: str, second: str, shared: str = "") -> str:
    return f"{shared}\n[transfers.first]\n{first}\n[transfers.second]\n{second}\n"


def up(destination: str, *more: str, source: str = "/data/a") -> str:
    return "\n".join([f'source = "{source}"', f'destination = "{destination}"', *more])


def down(destination: str, *more: str, source: str = "s3://bucket/x") -> str:
    return up(destination, *more, source=source)


BOTH_WRITE = {
    "uploads to one place": two(up("s3://bucket/x"), up("s3://bucket/x/", source="/data/b")),
    "one inside the other": two(up("s3://bucket/x/sub"), up("s3://bucket/x", source="/data/b")),
    "at the top": two(up("s3://bucket"), up("s3://bucket/x", source="/data/b")),
    "from one source": two(up("s3://bucket/x"), up("s3://bucket/x")),
    "two names of one store": two(
        up("s3://bucket/x"),
        up("s3://bucket/x", 'endpoint_url = "https://s3.eu-west-1.amazonaws.com"'),
    ),
    "another folder is left out": two(
        up("s3://bucket/x", 'exclude = ["/other/"]'), up("s3://bucket/x/sub")
    ),
    "patterns that may meet": two(
        up("s3://bucket/x", 'include = ["*.tif"]'), up("s3://bucket/x", 'include = ["a*"]')
    ),
    "downloads to one folder": two(down("/data/x"), down("/data/x", source="s3://other/y")),
    "one folder inside the other": two(down("/data/x/y"), down("/data/x", source="s3://other/y")),
    "names that fold": two(
        down("/data/x", 'include = ["*.TIF"]'), down("/data/x", 'include = ["*.tif"]')
    ),
    "runs of two folders": two(
        up("s3://bucket/x"), up("s3://bucket/x", source="/data/b"),
        '[defaults]\npreset = "illumina"',
    ),
    "a folder named like a run": two(
        up("s3://bucket/x", 'preset = "illumina"'), up("s3://bucket/x/241023_A01295_0432_X")
    ),
    "runs inside of data": two(
        up("s3://bucket"), up("s3://bucket/runs", 'preset = "illumina"', source="/seq")
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", BOTH_WRITE.values(), ids=BOTH_WRITE)
def test_A2_two_transfers_that_could_write_one_name_are_refused(
    problems: Problems, text: str
) -> None:
    (found,) = problems(text)
    assert found.startswith("config/config.toml: transfers.second.destination: ")
    assert 'transfer "first"' in found
    assert "both could write one name; give one another destination, or " in found
    assert problems(text, transfers=["first"]) == [found], "also where one of them is chosen"


def test_A2_links_and_the_command_line_do_not_hide_it(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    text = two(down(f"{tmp_path}/real"), down(f"{tmp_path}/link/sub", source="s3://other/y"))
    assert len(problems(text)) == 1
    apart = two(up("s3://bucket/x"), up("s3://bucket/y"))
    assert problems(apart) == []
    assert len(problems(apart, overrides={"destination": "s3://bucket/z"})) == 1


APART = {
    "other prefixes": two(up("s3://bucket/x"), up("s3://bucket/xy")),
    "other buckets": two(up("s3://bucket/x"), up("s3://other/x")),
    "other stores": two(
        up("s3://bucket/x"), up("s3://bucket/x", 'endpoint_url = "http://localhost:9000"')
    ),
    "there and back": two(up("s3://bucket/x"), down("/data/a")),
    "manifests inside of the other": two(
        up("s3://bucket/x", 'exclude = ["/deep/"]'), up("s3://bucket/x/deep", 'publish = "../m/"')
    ),
    "the inner one is left out": two(
        up("s3://bucket/x/a/b"), up("s3://bucket/x", 'exclude = ["/a/"]')
    ),
    "the other's folder is not taken": two(
        up("s3://bucket/x", 'include = ["/images/"]'), up("s3://bucket/x/tables", source="/data/b")
    ),
    "other kinds of files": two(
        up("s3://bucket/x", 'include = ["*.tif", "*.tiff"]'),
        up("s3://bucket/x", 'include = ["*.csv"]'),
    ),
    "all but what the other one takes": two(
        down("/data/x", 'include = ["*.h5ad"]'), down("/data/x", 'exclude = ["*.h5ad"]')
    ),
    "regions of one satellite": two(
        'glacier.regions = ["134_Arsuk"]', 'glacier.regions = ["19*"]',
        '[defaults]\npreset = "glacier"\nglacier.satellite = "landsat"\n'
        'glacier.data_folder = "/data"',
    ),
    "two satellites": two(
        'glacier.satellite = "landsat"', 'glacier.satellite = "sentinel2"',
        '[defaults]\npreset = "glacier"\nglacier.data_folder = "/data"',
    ),
    "two folders of an atlas": two(
        'hca.folder = "source-datasets"', 'hca.folder = "integrated-objects"',
        '[defaults]\npreset = "hca"\nsource = "/data"\nhca.atlas = "gut-v1"',
    ),
    "sections of a monitor": two(
        up("s3://bucket/x", 'illumina.sample_regex = "_1"'),
        up("s3://bucket/x", 'illumina.sample_regex = "_2"'),
        '[defaults]\npreset = "illumina"\nillumina.uploads = "/var/log/uploads"',
    ),
    "runs beside runs": two(
        up("s3://bucket/"), up("s3://bucket/assay_2"), '[defaults]\npreset = "illumina"'
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", APART.values(), ids=APART)
def test_A2_what_cannot_collide_stays_allowed(problems: Problems, text: str) -> None:
    assert problems(text) == []


def test_A2_the_examples_stay_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IFCB_DATA_DIR", "/data/ifcb")
    monkeypatch.setenv("SLACK_ALERT", "https://hooks.example.org/x")
    monkeypatch.chdir(ROOT)
    for file in (ROOT / "config").glob("*.toml"):
        assert config.load(file), file


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("destination", up("s3://bucket/repro ")),
        ("destination", up(" s3://bucket/repro")),
        ("destination", up("s3://bucket/repro\\u00a0")),
        ("destination", up("s3://bucket/repro\\ufeff")),
        ("source", down("/data/to", source="s3://bucket/repro ")),
        ("source", up("s3://bucket/x", source="/data/a ")),
        ("source", up("s3://bucket/x", source="$WITH_BLANK")),
        ("destination", down(" data")),
        ("results", up("s3://bucket/x", 'results = "results "')),
        ("publish", up("s3://bucket/x", 'publish = "manifests/ "')),
        ("verify.against", up("s3://bucket/x", 'verify.against = "list.json "')),
        ("glacier.data_folder", 'preset = "glacier"\nglacier.satellite = "landsat"\n'
         'glacier.data_folder = "/data "'),
    ],
)  # fmt: skip
def test_A6_a_blank_at_either_end_of_a_place_is_refused(
    problems: Problems, monkeypatch: pytest.MonkeyPatch, key: str, text: str
) -> None:
    monkeypatch.setenv("WITH_BLANK", "/data/ifcb ")
    (found,) = problems(f"[transfers.t]\n{text}")
    assert found.startswith(f"config/config.toml: transfers.t.{key}: ")
    shown = ('repro "', '" s3:', "\\xa0", "\\ufeff", '/ "', ' data"', 'a "', 's "', 'b "', 'n "')
    assert any(blank in found for blank in shown), found
    assert " with a blank; take it away" in found


def test_A6_a_blank_inside_is_a_name(problems: Problems) -> None:
    text = "[transfers.t]\n" + up("s3://bucket/deployment 7/repro /", source="/data/a b /")
    assert problems(text) == []


def test_A6_the_doors_refuse_it_too(door: Door) -> None:
    for command, arguments in (
        ("pt5", ["--source", str(door.data), "--bucket", door.bucket, "--prefix", "repro "]),
        ("s3_upload", ["upload", "--local_path", str(door.data), "--bucket", door.bucket,
                       "--remote_path", "/repro "]),
    ):  # fmt: skip
        said = door.run(*arguments, command=command, code=2)
        assert 'repro " ends with a blank' in said.err
        assert door.keys() == []


EXPOSED = {
    "the working folder": "{work}",
    "the working folder, by a dot": ".",
    "above it": "{work}/..",
    "through a link": "{tmp}/link",
    "the folder of the configuration": "{work}/config",
    "below that": "{work}/config/data",
    "profiles": "{work}/profiles",
    "what Snakemake keeps": "{work}/.snakemake/data",
    "a workflow": "{work}/workflow",
    "results": "{work}/results",
    "inside results": "{work}/results/t/manifests",
    "the folder of the Snakefile": str(ROOT),
    "the rules": str(ROOT / "workflow" / "rules"),
    "the code": str(ROOT / "scripts"),
}


@pytest.mark.parametrize("destination", EXPOSED.values(), ids=EXPOSED)
def test_E8_keys_cannot_replace_what_the_run_reads(
    problems: Problems, tmp_path: Path, destination: str
) -> None:
    (tmp_path / "link").symlink_to("work")
    place = destination.format(work=tmp_path / "work", tmp=tmp_path)
    text = "[transfers.t]\n" + down(place, "allow_git_worktree = true")
    (found,) = problems(text)
    assert found.startswith("config/config.toml: transfers.t.destination: ")
    assert "an object could replace what the run itself reads" in found
    assert problems("[transfers.t]\n" + up("s3://bucket/x", source=place)) == []


def test_E8_a_folder_of_its_own_is_allowed(problems: Problems, tmp_path: Path) -> None:
    for place in ("data", f"{tmp_path}/data", "configuration", f"{ROOT}/demo"):
        assert problems("[transfers.t]\n" + down(place)) == []
    (found,) = problems(
        "[transfers.t]\n" + down(f"{tmp_path}/data", f'results = "{tmp_path}/data/.waybill"')
    )
    assert f"{tmp_path}/data holds the results" in found


def test_E8_a_door_runs_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working folder of its user does not count, that of the workflow does."""
    data, home = tmp_path / "data", tmp_path / "home" / "state"
    data.mkdir()
    home.mkdir(parents=True)
    monkeypatch.chdir(data)
    text = "[transfers.t]\n" + down(f"{data}")
    assert state_folder.configure(home / "c.toml", text)["t"].folder == data
    with pytest.raises(ConfigError, match="an object could replace"):
        state_folder.configure(home / "c.toml", "[transfers.t]\n" + down(f"{tmp_path}/home"))


def test_E8_like_a2_ends_a_run_with_2_before_it_begins(
    tmp_path: Path, bucket: str, proxy: Proxy
) -> None:
    work = Workflow(tmp_path / "w", proxy)
    proxy.client().put_object(Bucket=bucket, Key="p/config.toml", Body=b"evil")
    work.configure(
        t={"source": f"s3://{bucket}/p", "destination": str(work.folder)},
        a={"destination": f"s3://{bucket}/x"},
        b={"destination": f"s3://{bucket}/x/y"},
    )
    end = work.run(code=2)
    assert len(end.lines) == 2
    assert end.requests == []
    assert (work.folder / "config.toml").read_bytes() != b"evil"


@pytest.fixture
def latin(tmp_path: Path) -> dict[str, str]:
    """The variables of a locale that is not UTF-8."""
    other = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    if shutil.which("localedef") is None:
        return other
    folder = tmp_path / "locales"
    folder.mkdir()
    made = ["localedef", "-c", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / "de_DE.ISO-8859-1")]
    if subprocess.run(made, capture_output=True, check=False).returncode > 1:
        return other
    return {"LC_ALL": "de_DE.ISO-8859-1", "LOCPATH": str(folder)}


def test_A5_snakemake_refuses_a_locale_that_is_not_utf8(
    tmp_path: Path, bucket: str, proxy: Proxy, latin: dict[str, str]
) -> None:
    work = Workflow(tmp_path / "w", proxy)
    work.write("café.txt", b"x")
    work.configure(t={"destination": f"s3://{bucket}/x"})
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LC_", "LANG"))}
    base = {**inherited, **proxy.env()}

    def run(**env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "-d", "."]
        return subprocess.run(
            [*command, "--config", "toml=config.toml"], cwd=work.folder, env={**base, **env},
            capture_output=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip

    refused = run(**latin)
    assert refused.returncode == 2, refused.stderr[-3000:]
    (line,) = (line for line in refused.stderr.splitlines() if line.startswith("waybill: "))
    assert line.startswith(f"waybill: the locale (LC_ALL={latin['LC_ALL']}) is ")
    assert line.endswith("set PYTHONUTF8=1 and run again")
    assert proxy.requests == []
    for right in ({**latin, "PYTHONUTF8": "1"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}):
        done = run(**right)
        assert done.returncode == 0, done.stderr[-3000:]
    listed = proxy.client().list_objects_v2(Bucket=bucket, Prefix="x/c")["Contents"]
    assert [item["Key"] for item in listed] == ["x/café.txt"]


def test_A5_a_door_works_in_utf8_whatever_the_locale_says(
    door: Door, latin: dict[str, str]
) -> None:
    (door.data / "café.txt").write_bytes(b"x")
    place = ["--source", str(door.data), "--bucket", door.bucket, "--all-files"]
    door.run(*place, command="pt5", **latin)
    assert door.keys(r"\.txt") == ["café.txt"]
