"""Sequencing runs and folders of instruments as they really are."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doors import Door
from sequencing import Core, sent

from support.ifcb import NEW, bin_files
from support.illumina import grow_old, make_run, run_info
from support.proxy import Proxy, access_denied
from support.server import S3Server
from support.uploads import Uploads
from support.workflow import Workflow
from waybill.config import read
from waybill.inventory import sides
from waybill.model import regexes
from waybill.model.entries import RemoteEntry
from waybill.model.errors import ConfigError, WaybillError
from waybill.model.selection import Selection
from waybill.presets.hca import HDF5_SIGNATURE
from waybill.presets.illumina import routing
from waybill.presets.illumina.instrument import Phase, state
from waybill.presets.illumina.routing import Outcome
from waybill.results.layout import Layout
from waybill.s3.content_types import content_type, type_arguments

HOUR = 3600
ISEQ = ("240103_FS10000001_3_BPC00000-0001", "FS10000001")
MINISEQ = ("190211_MN00218_0042_A000H2KYC3", "MN00218")


def run_of(folder: Path, name: str, serial: str, *files: str, age: float = 0) -> Path:
    """A run without RunParameters, all of it ``age`` seconds old."""
    run = folder / name
    (run / "Data").mkdir(parents=True)
    (run / "RunInfo.xml").write_bytes(run_info(name, serial))
    for file in files:
        (run / file).write_bytes(b"")
    grow_old(run, age)
    return run


@pytest.mark.parametrize("name", [ISEQ, MINISEQ], ids=["iSeq 100", "MiniSeq"])
def test_C1_iseq_and_miniseq_are_finished_by_copycomplete_or_after_a_quiet_time(
    tmp_path: Path, name: tuple[str, str]
) -> None:
    run = run_of(tmp_path, *name, "RTAComplete.txt", age=5 * HOUR)
    found = state(run)
    assert found.phase is Phase.NOT_SETTLED
    assert "a run settles for 6 hours, as the " in found.reason
    assert "set complete if not so" in found.reason
    assert state(run, settle=8 * HOUR).phase is Phase.NOT_SETTLED
    grow_old(run, 7 * HOUR)
    assert state(run).phase is Phase.FINISHED
    assert state(run, settle=8 * HOUR).phase is Phase.NOT_SETTLED, "the longer time counts"
    grow_old(run, 0)
    (run / "CopyComplete.txt").write_bytes(b"")
    assert state(run).phase is Phase.FINISHED, "all files have arrived"


def test_C1_a_run_without_either_file_is_never_taken(tmp_path: Path) -> None:
    run = run_of(tmp_path, *ISEQ, age=30 * 24 * HOUR)
    found = state(run)
    assert found.phase is Phase.IN_PROGRESS
    assert found.reason == "no CopyComplete.txt or RTAComplete.txt or RTAComplete.xml yet"


FIRST, SECOND = "CopyComplete.txt", "Analysis/1/Data/Secondary_Analysis_Complete.txt"


def test_C2_all_files_of_complete(tmp_path: Path) -> None:
    run = make_run(tmp_path, "NextSeq 2000")
    both = {"complete": [FIRST, SECOND], "complete_all": True}
    assert state(run, [FIRST, SECOND]).phase is Phase.FINISHED, "any of them"
    found = state(run, **both)
    assert found.phase is Phase.COPYING
    assert f"no {SECOND} yet" in found.reason
    assert FIRST not in found.reason.partition("but ")[2]
    (run / SECOND).parent.mkdir(parents=True)
    (run / SECOND).write_bytes(b"")
    found = state(run, **both)
    assert (found.phase, found.lacks) == (Phase.FINISHED, "")
    (run / FIRST).unlink()
    assert f"no {FIRST} yet" in state(run, **both).reason


def test_C2_the_first_file_waits_for_the_others_no_longer_than_said(tmp_path: Path) -> None:
    run = make_run(tmp_path, "NextSeq 2000", age=3 * HOUR)
    both: dict[str, Any] = {"complete": [FIRST, SECOND], "complete_all": True}
    assert state(run, **both, complete_timeout=4 * HOUR).phase is Phase.COPYING
    assert state(run, **both, complete_timeout=0).phase is Phase.COPYING, "no limit"
    found = state(run, **both, complete_timeout=2 * HOUR)
    assert found.phase is Phase.FINISHED
    assert found.lacks == (
        f"{FIRST} is there, and {SECOND} did not come within 2 hours (complete_timeout)"
    )
    assert state(run, **both, complete_timeout=2 * HOUR, settle=4 * HOUR).phase is Phase.NOT_SETTLED
    (run / FIRST).unlink()
    grow_old(run, 99 * HOUR)
    assert state(run, **both, complete_timeout=HOUR).phase is Phase.COPYING, "none of them came"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("<RunCompletionStatus><CompletionStatus>{}</CompletionStatus></RunCompletionStatus>", s)
        for s in ("UserEndedEarly", "ExceptionEndedEarly")
    ]
    + [
        ('<r xmlns="x"><RunStatus>{}</RunStatus><ErrorDescription>None</ErrorDescription></r>', s)
        for s in ("RunErrored", "UserStopped", "RunAborted")
    ],
)
def test_C2_an_aborted_run_is_told_apart(tmp_path: Path, text: str, status: str) -> None:
    run = make_run(tmp_path, "NextSeq 2000")
    (run / "RunCompletionStatus.xml").write_text(text.format(status))
    found = state(run)
    assert found.phase is Phase.ABORTED
    assert found.reason == (f"RunCompletionStatus.xml says {status}; set aborted to have it taken")
    assert state(run, aborted=True).phase is Phase.FINISHED
    (run / FIRST).unlink()
    assert state(run).phase is Phase.ABORTED, "and not in progress for ever"


@pytest.mark.parametrize(
    "text",
    [
        "<r><CompletionStatus>CompletedAsPlanned</CompletionStatus>"
        "<ErrorDescription>an error that was mended</ErrorDescription></r>",
        "<r><RunStatus>RunCompleted</RunStatus></r>",
        "<r><Status>Failed</Status></r>",
        "<r><RunStatus/></r>",
        "<r>",
        "",
        "RunCompletionStatus.xml\n",
    ],
)
def test_C2_any_other_status_aborts_nothing(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path, "NovaSeq 6000")
    (run / "RunCompletionStatus.xml").write_text(text)
    assert state(run).phase is Phase.FINISHED


ABORTED = "<r><CompletionStatus>UserEndedEarly</CompletionStatus></r>"


def test_C2_the_monitor_waits_for_all_files_and_tells_aborted_runs(core: Core) -> None:
    whole = core.make_run("run_1")
    core.make_run("run_2")
    core.make_run("run_3")
    stopped = core.make_run("run_4")
    (stopped / "RunCompletionStatus.xml").write_text(ABORTED)
    core.add(whole, "Done.txt")
    grow_old(core.data / "A" / "run_3", 50 * HOUR)
    both = {"complete": [FIRST, "Done.txt"], "complete_all": True, "complete_timeout": 48}
    core.configure(core.section("A", **both), max_cores=1, max_age=0)
    said = core.monitor()
    assert {key.partition("/")[0] for key in sent(said)} == {"run_1", "run_3"}
    folder = core.data / "A"
    for line in (
        f"INFO: held back: copying: RTAComplete.txt is there, but no Done.txt yet: {folder}/run_2",
        f"{folder}/run_3: taken as it is: {FIRST} is there, and Done.txt did not come within 2 days"
        " (complete_timeout)",
        "WARNING: held back: aborted: RunCompletionStatus.xml says UserEndedEarly; set aborted to"
        f" have it taken: {stopped}",
    ):
        assert line in said.all, f"{line}\n{said.all}"
    core.configure(core.section("A", **both, aborted=True), max_cores=1, max_age=0)
    core.add(stopped, "Done.txt")
    assert {key.partition("/")[0] for key in sent(core.monitor())} == {"run_4"}

    said = core.upload("--local_path", str(stopped), "--bucket", core.bucket, code=1)
    text = "aborted: RunCompletionStatus.xml says UserEndedEarly; --skip_check uploads it as it is"
    assert text in said.err
    assert "set aborted" not in said.err


def test_C2_a_command_runs_after_each_run(core: Core, tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.mkdir()
    script = tmp_path / "after.py"
    script.write_text(
        "import json, os, pathlib, sys\n"
        "told = json.load(sys.stdin)\n"
        "print('seen', told['run_id'])\n"
        f"if pathlib.Path({str(tmp_path / 'broken')!r}).exists(): sys.exit(3)\n"
        "told['env'] = {k: v for k, v in os.environ.items() if k.startswith('WAYBILL_')}\n"
        f"file = pathlib.Path({str(told)!r}, f\"{{told['run_id']}}-{{os.getpid()}}\")\n"
        "file.write_text(json.dumps(told))\n"
    )
    command = [sys.executable, str(script), "x", "x"]

    def heard() -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(told.iterdir())]

    one, two = core.make_run("run_1"), core.make_run("run_2")
    core.make_run("run_3", without=("CopyComplete.txt",))
    fault = core.proxy.fault(access_denied(), op="PutObject", key="to/run_2/Data/L001.cbcl")
    core.configure(core.section("A", to="to"), max_cores=1, command=command)
    said = core.monitor(code=1)
    (first,) = heard()
    env = first.pop("env")
    manifests = core.keys("^to/manifests/")
    assert first == {
        "run": str(one), "run_id": "run_1", "files": 5,
        "bytes": sum(path.stat().st_size for path in one.rglob("*.*")),
        "destinations": [f"s3://{core.bucket}/to/run_1/"],
        "manifests": [f"s3://{core.bucket}/{key}" for key in manifests],
    }  # fmt: skip
    assert (env["WAYBILL_RUN"], env["WAYBILL_FILES"]) == (str(one), "5")
    assert env["WAYBILL_DESTINATIONS"] == f"s3://{core.bucket}/to/run_1/"
    assert "seen run_1" in said.out

    # The command fails: that is said, and it runs again, though the run is sent only once.
    core.proxy.faults.remove(fault)
    (tmp_path / "broken").touch()
    said = core.monitor(code=1)
    assert sent(said)
    assert f"{two}: the command after the run failed: " in said.err
    assert "exit code 3; it runs again at the next pass" in said.err
    assert core.state("run_2")["completed"] is True
    assert len(heard()) == 1
    (tmp_path / "broken").unlink()
    assert core.monitor().requests == []
    assert [told["run_id"] for told in heard()] == ["run_1", "run_2"]
    core.grow_old(hours=25)  # both are looked at again, and nothing has changed
    core.monitor()
    assert len(heard()) == 2


@pytest.fixture
def look(tmp_path: Path):
    """What an inventory finds of these files."""
    folder = tmp_path / "data"
    folder.mkdir()

    def look(
        preset: str, files: dict[str, bytes], *, there: dict[str, int] | None = None, more: str = ""
    ) -> sides.Sides:
        for path, body in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
        own = {
            "ifcb": 'destination = "s3://bucket/x"\n',
            "hca": 'hca.atlas = "gut-v1"\n',
        }
        (tmp_path / "c.toml").write_text(
            f'[transfers.t]\npreset = "{preset}"\nsource = "{folder}"\n{own[preset]}{more}'
        )
        transfer = read.load(tmp_path / "c.toml")["t"]
        listed = [RemoteEntry(path, size, 0, "etag") for path, size in (there or {}).items()]
        return sides.of_upload(transfer, Layout(tmp_path / "results" / "t"), lambda _: listed)

    return look


def test_C3_hidden_folders_are_not_entered_by_preset_ifcb(look, tmp_path: Path) -> None:
    snapshot = {f".snapshot/hourly.0/{path}": body for path, body in bin_files(NEW).items()}
    files = bin_files(NEW) | snapshot | {f"D2013/.zfs/{NEW}.hdr": b"x"}
    found = look("ifcb", files)
    assert found.paths == sorted(bin_files(NEW))
    assert (found.held, found.skipped, found.refused) == ({}, {}, {})
    # An own list of excludes leaves them out all the same.
    found = look("ifcb", files, more='exclude = ["*.tmp"]\n')
    assert found.paths == sorted(bin_files(NEW))
    assert set(found.skipped.values()) == {"in a hidden folder"}
    assert (found.held, found.refused) == ({}, {})
    assert look("ifcb", files, more="ifcb.all_files = true\n").paths == sorted(files)


def test_C3_a_folder_that_cannot_be_looked_at_is_not_skipped(look, tmp_path: Path) -> None:
    (tmp_path / "data" / "latest").symlink_to("nowhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "more").symlink_to(tmp_path / "elsewhere")
    found = look("ifcb", bin_files(NEW), more='symlinks = "error"\n')
    assert found.refused.keys() == {"more"}
    assert found.skipped.keys() == {"latest"}


USER_BLOCK = b"\0" * 2048 + HDF5_SIGNATURE + b"rest"
H5AD = {
    "s1.h5ad": HDF5_SIGNATURE,
    "s2.h5ad": HDF5_SIGNATURE + b"more",
    "block.h5ad": USER_BLOCK,
    "small-block.h5ad": b"a user block".ljust(512) + HDF5_SIGNATURE,
    "._s1.h5ad": b"\0\5\26\7Mac OS X",
    "text.h5ad": b"<html>not found</html>",
    "empty.h5ad": b"",
    "shifted.h5ad": b"\0" * 100 + HDF5_SIGNATURE + b"\0" * 5000,
    "late.h5ad": b"\0" * 1500 + HDF5_SIGNATURE,
}
NO_HDF5 = ["empty.h5ad", "late.h5ad", "shifted.h5ad", "text.h5ad"]


def test_C3_files_that_are_no_hdf5_are_named_and_those_of_macos_left_out(look, caplog) -> None:
    found = look("hca", H5AD, more="hca.hdf5_only = true\n")
    assert found.paths == ["block.h5ad", "s1.h5ad", "s2.h5ad", "small-block.h5ad"]
    assert sorted(found.refused) == NO_HDF5
    assert all("is no HDF5 file" in reason for reason in found.refused.values())
    assert found.skipped == {"._s1.h5ad": "a file that macOS keeps beside another"}
    # What the bucket has is not read again: nothing of it is going to be sent.
    there = {"text.h5ad": len(H5AD["text.h5ad"]), "late.h5ad": 5}
    found = look("hca", H5AD, there=there, more="hca.hdf5_only = true\n")
    assert sorted(found.refused) == ["empty.h5ad", "late.h5ad", "shifted.h5ad"]
    found = look("hca", H5AD)
    assert found.refused == {}
    assert [r.getMessage().partition(" ")[0] for r in caplog.records] == NO_HDF5
    assert found.skipped.keys() == {"._s1.h5ad"}


def test_C3_hca_smart_sync_names_them_before_anything_is_sent(door: Door) -> None:
    for name in ("s1.h5ad", "._s1.h5ad", "text.h5ad"):
        (door.data / name).write_bytes(H5AD[name])
    dry = door.run("gut-v1", "--dry-run")
    assert dry.puts() == []
    assert "text.h5ad is no HDF5 file" in dry.err
    assert "it is sent as it is (--hdf5-only refuses it)" in dry.err
    said = door.run("gut-v1", "--yes", "--hdf5-only", code=1)
    assert said.puts() == ["gut/gut-v1/source-datasets/s1.h5ad"]
    assert "FAILED text.h5ad: refused: is no HDF5 file" in said.err
    assert "without --hdf5-only it is sent as it is" in said.err
    assert "hdf5_only" not in dry.all + said.all
    assert "skipped ._s1.h5ad: " in said.out
    listed = [[file["filename"] for file in one["files"]] for one in door.manifests()]
    assert listed == [["s1.h5ad"]]
    again = door.run("gut-v1", "--yes")
    assert "text.h5ad is no HDF5 file" in again.err
    assert again.puts() == ["gut/gut-v1/source-datasets/text.h5ad"]
    assert len(door.manifests()) == 2


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/page.html", "text/html"), ("PLOT.PNG", "image/png"), ("x.json", "application/json"),
        ("reads.fastq.gz", "application/gzip"), ("scene.tif", "image/tiff"),
        ("t.tsv", "text/tab-separated-values"), ("calls.vcf", "text/plain"),
        ("S1.bam", ""), ("README", ""), (".html", ""), ("a.html/b", ""), ("x.", ""),
        ("x.h5", "application/x-hdf5"), ("notes.txt", "text/plain"), ("x.svg", "image/svg+xml"),
    ],
)  # fmt: skip
def test_C5_the_name_tells_the_type(path: str, kind: str) -> None:
    assert content_type(path) == kind


def test_C5_the_types_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import mimetypes

    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: ("text/of-this-machine", None))
    monkeypatch.setattr(mimetypes, "types_map", {".html": "text/of-this-machine"})
    assert content_type("x.html") == "text/html"


TYPES = {"page.html": "text/html", "a/plot.png": "image/png", "reads.bam": ""}


@pytest.mark.parametrize("engine", ["boto3", "native"])
def test_C5_objects_have_the_type_of_their_names(
    tmp_path: Path, s3: S3Server, proxy: Proxy, bucket: str, engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    ships = Uploads(tmp_path, bucket, engine=engine)
    (ships.folder / "a").mkdir()
    large = b"in parts" * (65 << 17)
    items = [ships.item(path, path.encode()) for path in TYPES] + [ships.item("big.tiff", large)]
    assert ships.run(*items).failed == []

    def kinds() -> dict[str, str]:
        heads = {
            item.path: s3.client().head_object(Bucket=bucket, Key=f"data/{item.path}")
            for item in items
        }
        return {path: head.get("ContentType", "") for path, head in heads.items()}

    found = kinds()
    assert found.pop("reads.bam") in ("", "binary/octet-stream")
    assert found == {"page.html": "text/html", "a/plot.png": "image/png", "big.tiff": "image/tiff"}
    begun = [r for r in proxy.requests if r.op in ("PutObject", "CreateMultipartUpload")]
    told = {r.key.removeprefix("data/"): r.headers.get("content-type", "") for r in begun}
    assert told["big.tiff"] == "image/tiff"
    assert told["reads.bam"] in ("", "binary/octet-stream")
    proxy.requests.clear()
    ships.journal.unlink()
    ships.transfer = replace(ships.transfer, content_types=False, overwrite="always")
    assert ships.run(*items[:3]).failed == []
    assert set(list(kinds().values())[:3]) <= {"", "binary/octet-stream"}
    s3.client().delete_object(Bucket=bucket, Key="data/big.tiff")


def test_C5_a_type_alone_sends_nothing_again(tmp_path: Path, bucket: str, proxy: Proxy) -> None:
    """Results of an earlier version are those of a transfer without types."""
    work = Workflow(tmp_path, proxy)
    work.write("page.html", b"<html></html>")
    work.configure(t={"destination": f"s3://{bucket}/x", "content_types": False})
    assert work.run().data_puts == ["x/page.html"]
    work.configure(t={"destination": f"s3://{bucket}/x"})
    again = work.run()
    assert (again.data_puts, again.manifest_puts) == ([], [])
    work.write("more.html", b"<html></html>")
    assert work.run().data_puts == ["x/more.html"]
    client = proxy.client()
    kinds = {n: client.head_object(Bucket=bucket, Key=f"x/{n}.html") for n in ("page", "more")}
    assert kinds["more"]["ContentType"] == "text/html"
    assert kinds["page"]["ContentType"] != "text/html"


def test_C5_preset_hca_gives_none(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        f'[transfers.t]\npreset = "hca"\nsource = "{tmp_path}"\nhca.atlas = "gut-v1"\n'
        f'[transfers.u]\nsource = "{tmp_path}"\ndestination = "s3://bucket/x"\n'
    )
    found = read.load(tmp_path / "c.toml")
    assert type_arguments(found["t"], "a.h5ad") == {}
    assert type_arguments(found["u"], "a.h5ad") == {"ContentType": "application/x-hdf5"}


SHEET = """[Data]
Sample_ID
{}
"""
SLOW = "(a+)+$"
LONG = "a" * 60 + "!"


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regular expressions have a quarter of a second."""
    monkeypatch.setattr(regexes, "SECONDS", 0.25)


def test_E15_a_slow_sample_regex_is_a_problem_of_the_run(tmp_path: Path, hurry: None) -> None:
    run = make_run(tmp_path, samples=[LONG])
    begun = time.process_time()
    found = routing.decide(run, SLOW)
    assert time.process_time() - begun < 20
    assert found.outcome is Outcome.PROBLEM
    assert found.reason.startswith(
        f'{run}: sample_regex: the regular expression "{SLOW}" takes more than 0.25 s for "{LONG}"'
    )
    assert routing.decide(run, "^a+!$").outcome is Outcome.TAKE


@pytest.mark.parametrize("regex", [SLOW, "(a|aa)+$", "(a*)*b", "(a?){40}a{40}$", "(.*)*x$"])
def test_E15_a_slow_exclude_pattern_ends(hurry: None, regex: str) -> None:
    slow = Selection(regexes=[regex])
    with pytest.raises(WaybillError) as caught:
        slow.matches("Data/" + "a" * 39)
        slow.matches(LONG)
    assert "takes more than 0.25 s" in str(caught.value)
    assert caught.value.exit_code == 2


def test_E15_a_pattern_with_many_stars_ends(hurry: None) -> None:
    pattern = "/".join(["**", "a"] * 12) + "/b"
    path = "a/" * 500 + "c"
    with pytest.raises(WaybillError) as caught:
        Selection(exclude=[pattern]).matches(path)
    assert f'the pattern "{pattern}" takes more than' in str(caught.value)
    assert not Selection(exclude=["**/a/**/b"]).matches("a/" * 200 + "b")


def test_E15_a_slow_search_in_another_thread_ends_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(regexes, "SECONDS", 0.25)
    monkeypatch.setattr(regexes, "PROCESS_SECONDS", 1.0)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(regexes.searcher("(x)y"), "axy").result() is True
        with pytest.raises(regexes.SlowRegexError):
            pool.submit(regexes.searcher(SLOW), LONG).result()


def test_E15_the_search_is_as_before() -> None:
    for regex, text, is_found in (
        ("/Thumbnail_Images/", "/a/Thumbnail_Images/x.png", True),
        (r"\.(png|jpg)$", "/x.jpg", True),
        (r"\.(png|jpg)$", "/x.jpg.txt", False),
        ("(?i)SHEET", "/sheet", True),
        ("^/a(b+)?c", "/abbbc", True),
    ):
        assert regexes.searcher(regex)(text) is is_found


@pytest.mark.parametrize("regex", ["(", "a{99999999999999999999}", "(" * 5000 + ")" * 5000])
def test_E15_no_regex_ends_in_another_error(tmp_path: Path, regex: str) -> None:
    for key in ("sample_regex", "exclude_patterns"):
        value = json.dumps(regex if key == "sample_regex" else [regex])
        (tmp_path / "c.toml").write_text(
            f'[transfers.t]\npreset = "illumina"\nsource = "{tmp_path}"\n'
            f'destination = "s3://bucket/x"\nillumina.{key} = {value}\n'
        )
        with pytest.raises(ConfigError, match="is not a regular expression"):
            read.load(tmp_path / "c.toml")


def test_E15_the_monitor_goes_on_with_other_runs(core: Core, proxy: Proxy) -> None:
    slow = core.make_run("slow", SampleSheet=SHEET.format(LONG))
    core.make_run("fine", SampleSheet=SHEET.format("aaaa"))
    core.configure(core.section("A", sample_regex=SLOW), max_cores=1)
    said = core.monitor(code=1)
    assert {key.partition("/")[0] for key in sent(said)} == {"fine"}
    assert f"ERROR: FAILED {slow}: sample_regex: the regular expression" in said.err
