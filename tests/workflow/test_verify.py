"""Target ``verify`` in the workflow: its jobs, its last words, its exit codes."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from pathlib import Path

from support.failing import fleet, the_failure
from support.proxy import Proxy, access_denied, expired_token
from support.server import S3Server
from support.verifying import read_report, tree
from support.workflow import Finished, Workflow

FILES = {f"folder/file {i}": b"%d" % i * 100 for i in range(12)}


def report(workflow: Workflow, transfer: str) -> dict[str, str]:
    """Sign and side of each file."""
    found = read_report(workflow.results(transfer).root / "verify" / "report.tsv")
    return {path: " ".join(said.split()[:2]) for path, said in found.items()}


def only_read(run: Finished) -> None:
    assert {request.method for request in run.requests} <= {"GET", "HEAD"}


def test_both_ways(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> None:
    """Nothing to check, all agrees, one of each is wrong; each run looks, and changes nothing."""
    workflow = Workflow(tmp_path, proxy)
    url, back = f"s3://{bucket}", tmp_path / "back"
    settings = {"verify.depth": "content", "batch.max_files": 6}
    workflow.configure(
        up={"destination": f"{url}/up", **settings},
        down={"source": f"{url}/down", "destination": str(back), **settings},
    )
    client = s3.client()
    for path, data in FILES.items():
        workflow.write(path, data)
        client.put_object(Bucket=bucket, Key=f"down/{path}", Body=data)

    run = workflow.run("verify", code=3)
    only_read(run)
    assert run.operations == {"ListObjectsV2": 2}  # for published manifests
    for name in ("up", "down"):
        assert [line for line in run.lines if f"{name}: nothing to check: no marker" in line]

    workflow.run()
    before = tree(tmp_path / "results")
    assert any(path.startswith("down/markers/") for path in before)
    run = workflow.run("verify")
    only_read(run)
    assert run.operations == {"ListObjectsV2": 2, "GetObject": 2 * len(FILES)}
    assert run.jobs["verify_batch"] >= 4
    assert tree(tmp_path / "results") == before
    for name in ("up", "down"):
        assert report(workflow, name) == dict.fromkeys(FILES, "= both")
        last = f"waybill: {name}: 12 files proven, 1.4 KiB; depth content: all agree; see "
        assert f"{last}results/{name}/verify/report.tsv" in run.lines

    # Nothing is left of the run before, neither here nor in Snakemake's memory.
    assert len(list(tmp_path.glob("results/*/verify/run-*"))) == 2
    records = (base64.b64decode(p.name) for p in tmp_path.glob(".snakemake/metadata/*"))
    assert len({re.search(rb"/verify/(run-\d+)/", r)[1] for r in records if b"/verify/" in r}) == 1

    changed, gone, *_ = FILES
    (workflow.source / gone).unlink()
    workflow.write("new here", b"1")
    client.put_object(Bucket=bucket, Key=f"down/{changed}", Body=FILES[changed][::-1] + b"1")
    client.put_object(Bucket=bucket, Key="up/new there", Body=b"1")
    (back / gone).unlink()
    # It looks all the same, whatever Snakemake knows of the files that are there.
    memory = (tmp_path / ".snakemake").rename(tmp_path / "memory")
    run = workflow.run("verify", code=1)
    only_read(run)
    assert tree(tmp_path / "results") == before
    agree = dict.fromkeys(FILES, "= both")
    up = {gone: "- source", "new here": "+ source", "new there": "- destination"}
    down = {changed: "* source", gone: "+ destination"}
    assert report(workflow, "up") == agree | up
    assert report(workflow, "down") == agree | down
    for name, named in (("up", up), ("down", down)):
        took, *said = [line for line in run.lines if line.startswith(f"waybill: {name}: ")]
        assert took.startswith(f"waybill: {name}: took ")
        for line, (path, sign) in zip(said, sorted(named.items()), strict=False):
            assert line.startswith(f"waybill: {name}: {sign}: {path}: "), said
        assert len(said) == len(named) + 1
    assert "1 gone from the source, 1 never moved, 1 only at the destination" in run.output

    # A move after it finds all as it would have without.
    shutil.rmtree(tmp_path / ".snakemake")
    memory.rename(tmp_path / ".snakemake")
    run = workflow.run()
    assert run.data_puts == ["up/new here"]


def test_a_verification_that_cannot_look(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    """One clear line, exit code 1, no report; the other transfers are verified all the same."""
    files = {name: name.encode() * 100 for name in "ab"}
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        for name in ("listing", "fine"):
            ships.add(name, files)
        ships.add("expired", files, verify__depth="content")
        ships.run()
        before = tree(tmp_path / "results")
        ships["listing"].fault(access_denied(), op="ListObjectsV2")
        ships["expired"].fault(expired_token(), op="GetObject")

        run = ships.run("verify", code=1)

        url = f"s3://{bucket}"
        the_failure(run, "listing", f"list {url}/listing/: access denied to ListObjectsV2")
        the_failure(run, "expired", f"{url}/expired/", "have expired", "renew")
        assert report(ships.workflow, "fine") == dict.fromkeys(files, "= both")
        assert len(list(tmp_path.glob("results/*/verify/**/report.tsv"))) == 2
        assert tree(tmp_path / "results") == before

        # It stands alone, and its report is no target: that of the last run would do.
        for targets in (["verify", "plan"], ["results/fine/verify/report.tsv"]):
            refused = ships.run(*targets, code=2)
            assert any("verify" in line for line in refused.lines)
            assert not refused.jobs


def test_a_folder_against_lists(proxy: Proxy, bucket: str, tmp_path: Path) -> None:
    """S3 is not asked: not for what agrees, not for what does not."""
    workflow = Workflow(tmp_path, proxy)
    for path, data in FILES.items():
        workflow.write(path, data)
    here = {"cwd": workflow.source, "check": True, "capture_output": True}
    (tmp_path / "list").write_bytes(subprocess.run(["sha256sum", *FILES], **here).stdout)
    (tmp_path / "nothing").write_text("# nothing\n")
    address = f"s3://{bucket}/never"
    against = {"verify.against": "list", "batch.max_files": 6}
    workflow.configure(
        up={"destination": address, **against},
        down={"source": address, "destination": str(workflow.source), **against},
        none={"destination": address.replace("never", "none"), "verify.against": "nothing"},
    )
    run = workflow.run("verify", code=3)
    assert run.jobs["verify_batch"] >= 4
    for name in ("up", "down"):
        assert report(workflow, name) == dict.fromkeys(FILES, "= both")
    assert [line for line in run.lines if "none: nothing to check: " in line]

    changed, gone, *_ = FILES
    workflow.write(changed, FILES[changed][:-1] + b"x")
    (workflow.source / gone).unlink()
    workflow.write("new", b"new")
    run = workflow.run("verify", code=1)
    for name in ("up", "down"):
        found = {path: sign for path, sign in report(workflow, name).items() if sign != "= both"}
        named = {changed: "* destination", gone: "+ destination", "new": "- destination"}
        assert found == named
    assert "10 agree, 1 differ, 1 missing, 1 not listed" in run.output
    assert proxy.requests == []
