"""The chain in the open: what `snakemake -n` and its kin show, targets of single files, hosts."""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from doors import Door

from support.proxy import Proxy
from support.s3_errors import access_denied
from support.workflow import SNAKEFILE, Finished, Workflow

EXAMPLE = SNAKEFILE.parent / "examples" / "host"
CORES = {"options": ["--cores", "2"]}


@pytest.fixture
def work(proxy: Proxy, bucket: str, tmp_path: Path) -> Workflow:
    """Five files in two folders, in batches of at most two."""
    work = Workflow(tmp_path, proxy)
    for name in ("a/1.txt", "a/2.txt", "b/ü 3.txt", "b/4.txt", "b/5.txt"):
        work.write(name, name.encode() * 9)
    work.configure(t={"destination": f"s3://{bucket}/t", "batch.max_files": 2})
    return work


def jobs_shown(run: Finished) -> Counter[str]:
    """The jobs in the first table of a dry run."""
    table = run.output.split("Job stats:")[1].split("total")[0] if "Job stats" in run.output else ""
    return Counter({m[1]: int(m[2]) for m in re.finditer(r"^(\w+) +(\d+)$", table, re.MULTILINE)})


def test_F10_a_dry_run_shows_the_chain_and_moves_nothing(work: Workflow) -> None:
    """Before the first run, after it, and for a new file. When the bucket cannot be reached, only
    the look is known, and the dry run is no success."""
    first = work.run(options=["--cores", "2", "-n"])
    shown = jobs_shown(first)
    assert shown["checksum"] == shown["diff"] == shown["upload"] >= 3
    assert shown["manifest"] == shown["publish"] == shown["summary"] == 1
    assert not first.data_puts and not work.results("t").all("markers")
    done = work.run(**CORES)
    for rule in ("checksum", "diff", "upload", "manifest", "publish"):
        assert done.jobs[rule] == shown[rule], rule
    idle = work.run(options=["--cores", "2", "-n"])
    assert "Nothing to be done" in idle.output and not jobs_shown(idle)
    work.write("b/6.txt", b"new")
    again = work.run(options=["--cores", "2", "-n"])
    assert 1 <= jobs_shown(again)["checksum"] == jobs_shown(again)["upload"] <= 2
    work.proxy.fault(access_denied(), op="ListObjectsV2")
    blind = work.run(options=["--cores", "2", "-n"], code=1)
    assert jobs_shown(blind)["inventory"] == 1
    assert any("t:inventory: list s3://" in line for line in blind.lines), blind.lines
    assert any("t: as it was looked at 20" in line for line in blind.lines), blind.lines
    work.proxy.faults.clear()
    assert work.run(**CORES).data_puts == ["t/b/6.txt"]


def test_F10_a_dry_run_knows_the_settings_of_a_profile(work: Workflow) -> None:
    """Those of a configfile are numbers and truth values, not text."""
    cluster = SNAKEFILE.parent / "workflow" / "profiles" / "slurm" / "cluster.yaml"
    dry = work.run(options=["--cores", "2", "-n", "--configfile", str(cluster)])
    shown = jobs_shown(dry)
    assert shown["upload"] >= 3 and not shown["checksum"] and not shown["diff"]


def test_F10_graphs_and_summaries_show_the_last_look_and_look_at_nothing(work: Workflow) -> None:
    work.run(**CORES)
    work.write("b/6.txt", b"new")
    for option in ("--dag", "--rulegraph", "--summary", "--detailed-summary"):
        run = work.run(options=["--cores", "2", option])
        for rule in ("checksum", "diff", "upload", "manifest", "publish", "summary"):
            assert rule in run.output, (option, rule)
        assert any("as it was looked at 20" in line for line in run.lines), run.lines
        assert not run.requests, option
        assert "pending" not in run.output


@pytest.mark.parametrize("target", ["all", "plan", "report", "verify"])
def test_B16_a_report_works_after_every_target(work: Workflow, target: str) -> None:
    if target == "verify":
        work.run(**CORES)
    work.env["WAYBILL_REPORT"] = "yes"
    work.run(target, **CORES)
    work.run(options=["--cores", "2", "--report", "report.html"])
    page = (work.folder / "report.html").read_text(encoding="utf-8")
    moved = target in ("all", "verify")
    for rule in ("checksum", "diff", *(["upload"] if moved else [])):
        assert f'"{rule}"' in page, rule
    assert "What Waybill knows of these transfers" in page  # the front page
    shown, categories = (
        json.loads(re.findall(rf'<script id="{name}">\s*var {name} = (.*);\s*</script>', page)[0])
        for name in ("results", "categories")
    )
    shown = {file["name"]: file for file in shown.values()}
    assert categories["t"].keys() >= {"Overview", *(["Verification"] if target == "verify" else [])}
    assert all(file["caption"] and file["labels"] for file in shown.values())
    expected = {"index.html", "sizes.svg", "plan.tsv"}
    expected |= {"throughput.svg", "summary.tsv"} if moved else set()
    expected |= {"report.tsv"} if target == "verify" else set()
    assert expected <= shown.keys()
    assert {path.name for path in work.results("t").files("diff")} <= shown.keys()


def test_F12_touch_is_refused_in_one_line(work: Workflow) -> None:
    refused = work.run(options=["--cores", "2", "--touch"], code=2)
    assert [line for line in refused.lines if "--touch" in line] == refused.lines
    assert not refused.requests


def test_F10_jobs_can_be_forced_and_nothing_is_sent_twice(work: Workflow) -> None:
    batches = work.run(**CORES).jobs["upload"]
    for rule, follow in (("checksum", ("diff", "upload")), ("diff", ("upload",)), ("upload", ())):
        again = work.run(options=["--cores", "2", "-R", rule])
        for name in (rule, *follow):
            assert again.jobs[name] == batches, (rule, name)
        assert not again.data_puts and not again.manifest_puts
    work.write("b/6.txt", b"new")
    until = work.run(options=["--cores", "2", "--until", "diff"])
    assert until.jobs["diff"] >= 1 and not until.jobs["upload"] and not until.data_puts


def test_F11_every_file_has_a_target_that_looks_first(work: Workflow) -> None:
    """`sha256sum -c` takes it. A changed file gives its new checksum, a lost one none. Another run
    removes what is out of date."""
    work.run(**CORES)
    target = Path("results/t/files/t/b/ü 3.txt.sha256")
    other = Path("results/t/files/t/a/1.txt.sha256")
    check = ["sha256sum", "--strict", "-c", work.folder / target]
    work.run(str(target), str(other), **CORES)
    subprocess.run(check, cwd=work.source, check=True)
    work.write("b/ü 3.txt", b"other bytes")
    found = work.run(str(target), **CORES)
    assert found.jobs["checksum"] == 1
    subprocess.run(check, cwd=work.source, check=True)
    work.write("b/ü 3.txt", b"once more")
    work.run(**CORES)
    assert not (work.folder / target).exists() and (work.folder / other).exists()
    (work.source / "b/ü 3.txt").unlink()
    gone = work.run(str(target), code=1, **CORES)
    assert any("b/ü 3.txt: no file of t" in line for line in gone.lines), gone.lines


def test_F11_a_file_of_a_fused_transfer_has_a_target_too(work: Workflow) -> None:
    run = work.run(config="one_job_per_batch=true", **CORES)
    assert not run.jobs["checksum"] and not run.jobs["diff"]
    target = "results/t/files/t/b/4.txt.sha256"
    asked = work.run(target, config="one_job_per_batch=true", **CORES)
    assert not asked.jobs["checksum"]
    check = ["sha256sum", "-c", work.folder / target]
    subprocess.run(check, cwd=work.source, check=True)


def test_F11_find_tells_where_a_file_stands(work: Workflow, door: Door, bucket: str) -> None:
    """By path, by path in the dataset, by address; proven, changed, new, and unknown."""
    work.configure(t={"destination": f"s3://{door.bucket}/t", "batch.max_files": 2})

    def find(*files: str, code: int) -> list[dict]:
        arguments = ("find", "--config", "config.toml", "--json", *files)
        said = door.run(*arguments, command="main", cwd=work.folder, code=code)
        return json.loads(said.out)

    find("a/1.txt", code=3)
    door.run("run", "--yes", "--config", "config.toml", command="main", cwd=work.folder)
    address = f"s3://{door.bucket}/t/b/ü 3.txt"
    found = find("a/1.txt", str(work.source / "b/4.txt"), address, code=0)
    assert [one["path"] for one in found] == ["a/1.txt", "b/4.txt", "b/ü 3.txt"]
    assert {one["state"] for one in found} == {"proven"}
    for one in found:
        table = (work.folder / one["files"]["checksums"]).read_text(encoding="utf-8")
        assert f"{one['sha256']}  {one['path']}\n" in table
        assert one["batch"] in one["files"]["marker"] and one["manifest"].startswith("s3://")
    work.write("a/1.txt", b"other")
    work.write("new.txt", b"new")
    changed, new = find("a/1.txt", "new.txt", code=1)
    assert changed["state"] == "changed since it was proven"
    assert new["state"] == "not seen by the last look" and not new["batch"]


@pytest.fixture
def host(proxy: Proxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """The host workflow of examples/, with readings of two stations in its bucket."""
    shutil.copytree(EXAMPLE, tmp_path / "host")
    snakefile = tmp_path / "host" / "Snakefile"
    snakefile.write_text(snakefile.read_text().replace("../../Snakefile", str(SNAKEFILE)))
    for name in ("fetch.toml", "ship.toml"):
        path = tmp_path / "host" / name
        path.write_text(path.read_text().replace("my-bucket", bucket))
    monkeypatch.setattr("support.workflow.SNAKEFILE", snakefile)
    client = proxy.client()
    for day in ("1", "2"):
        client.put_object(Bucket=bucket, Key=f"readings/{day}.csv", Body=b"nuuk,3\nsisimiut,4\n")
    return Workflow(tmp_path / "host", proxy)


def test_F7_the_example_of_a_host_fetches_computes_and_ships(
    host: Workflow, proxy: Proxy, bucket: str
) -> None:
    """Two modules in one host. A run with nothing to do looks, and computes nothing; so does one
    without Snakemake's records."""
    client = proxy.client()
    host.run(**CORES)
    shipped = client.get_object(Bucket=bucket, Key="tables/stations.csv")["Body"].read().decode()
    assert shipped.split() == ["2", "nuuk", "2", "sisimiut"]
    for lost in (False, True):
        if lost:
            shutil.rmtree(host.folder / ".snakemake")
        idle = host.run(**CORES)
        assert idle.jobs == {"fetch_inventory": 1, "ship_inventory": 1}, idle.jobs
    client.put_object(Bucket=bucket, Key="readings/3.csv", Body=b"nuuk,5\n")
    again = host.run(**CORES)
    assert again.jobs["count"] == 1 and again.data_puts == ["tables/stations.csv"]
    shipped = client.get_object(Bucket=bucket, Key="tables/stations.csv")["Body"].read().decode()
    assert shipped.split() == ["3", "nuuk", "2", "sisimiut"]
    proxy.straight().delete_object(Bucket=bucket, Key="tables/stations.csv")
    host.run("ship_verify", code=1, **CORES)


UNPREFIXED = """
module waybill:
    snakefile: {snakefile!r}
    config: {{"toml": "config.toml"}}

rule mine:
    output: "mine.txt"
    shell: "echo done > {{output}}"

use rule * from waybill
"""


def test_F7_the_default_target_stays_the_hosts(
    work: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unprefixed, after a rule of the host. Its jobs for the whole transfer stay local ones."""
    host = work.folder / "host.smk"
    host.write_text(UNPREFIXED.format(snakefile=str(SNAKEFILE)))
    monkeypatch.setattr("support.workflow.SNAKEFILE", host)
    assert work.run(**CORES).jobs == {"mine": 1}
    done = work.run("results/t/summary.tsv", **CORES)
    assert done.jobs["upload"] >= 3
    for rule in ("gather_plan", "manifest", "publish", "summary"):
        assert f"localrule {rule}" in done.output or done.jobs[rule] == 1, rule
