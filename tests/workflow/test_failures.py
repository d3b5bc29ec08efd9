"""Failures of credentials, bucket, network and configuration: each ends in one line that names it,
leaves nothing marked and the other transfers done, and a plain rerun sends what is missing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.failing import Fleet, failures, fleet, the_failure, the_failures
from support.limits import Limits
from support.objects import keys, stored
from support.proxy import (
    Answer,
    Fault,
    Proxy,
    Request,
    Reset,
    access_denied,
    expired_token,
    internal_error,
    invalid_access_key,
    signature_mismatch,
    slow_down,
    wrong_region,
)
from support.server import S3Server, env_for
from support.workflow import SNAKEFILE, Workflow

ROOM_BYTES = 64 << 10
ONE = {"a file": b"its bytes"}


@pytest.fixture
def ships(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        yield ships


class SignedElsewhere(Fault):
    """A fault of requests that are signed for another region than ``region``."""

    region = "eu-central-1"

    def take(self, request: Request) -> bool:
        signed = f"/{self.region}/s3/aws4_request" in request.headers.get("authorization", "")
        return not signed and super().take(request)


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.engine
def test_what_refuses_a_listing(ships: Fleet, s3: S3Server) -> None:
    url = {}
    refusals = {
        "denied": access_denied(),
        "expired": expired_token(),
        "unknown-key": invalid_access_key(),
        "bad-secret": signature_mismatch(),
        "redirect": wrong_region("eu-west-3", bucket=ships.bucket),
        "malformed": wrong_region("eu-west-3", 400, wrong="us-east-1"),
        "no-answer": Answer(400, "RequestTimeTooSkewed", "The difference is too large."),
    }
    for name, answer in refusals.items():
        ships.add(name, ONE).fault(answer)
        url[name] = f"s3://{ships.bucket}/{name}/"
    ships.add("no-bucket", ONE, destination="s3://waybill-no-such-bucket/no-bucket")
    closed = f"http://127.0.0.1:{closed_port()}"
    ships.add("closed", ONE, endpoint_url=closed)
    ships.add("fine", ONE)
    # A store that, as S3 itself, would answer if asked with the right region.
    for name, status in (("follows-301", 301), ("follows-400", 400)):
        answer = wrong_region(SignedElsewhere.region, status, bucket=ships.bucket)
        ships.add(name, ONE).proxy.faults.append(SignedElsewhere(answer))

    run = ships.run(code=1)

    the_failure(run, "denied", url["denied"], "access denied to ListObjectsV2", "permission")
    the_failure(run, "expired", url["expired"], "have expired", "renew")
    the_failure(run, "unknown-key", url["unknown-key"], "InvalidAccessKeyId", "renew")
    the_failure(run, "bad-secret", url["bad-secret"], "SignatureDoesNotMatch", "check")
    the_failure(run, "redirect", url["redirect"], f"{ships.bucket!r} is in region eu-west-3", "set")
    the_failure(run, "malformed", url["malformed"], "region = 'eu-west-3'")
    the_failure(run, "no-answer", url["no-answer"], "clock of this machine")
    the_failure(run, "no-bucket", "'waybill-no-such-bucket' does not exist", "never creates")
    the_failure(run, "closed", f"s3://{ships.bucket}/closed/", closed, "check the network")
    failed = [*refusals, "no-bucket", "closed"]
    for name in failed:
        ships[name].check_nothing_claimed()
        assert len(ships[name].proxy.requests) <= 2  # nothing that is hopeless is tried again
    for name in ("fine", "follows-301", "follows-400"):
        assert failures(run, name) == []
        assert ships[name].marked() == set(ONE)
        assert len(ships[name].published) == 1
    # The right region is found once in a job, not once in a request.
    # An engine that leaves it to botocore asks once itself.
    assert [r.status for r in ships["follows-400"].proxy.select(op="PutObject")].count(400) <= 3
    assert run.seconds < 120

    ships.mend()
    ships.settings["no-bucket"]["destination"] = f"s3://{ships.bucket}/no-bucket"
    ships.settings["closed"]["endpoint_url"] = ships["closed"].proxy.endpoint_url
    # All of them left the same behind: nothing.
    mended = ("expired", "no-bucket", "closed")
    ships.run(config=f"transfers=fine,{','.join(mended)}")
    for name in mended:
        assert ships[name].puts() == list(ONE)
        assert stored(s3, ships.bucket, f"{name}/a file") == ONE["a file"]
    assert ships["fine"].puts() == []


def test_no_credentials_and_no_server(ships: Fleet) -> None:
    ships.add("bare", ONE)
    nobody = {k: v for k, v in env_for(ships["bare"].proxy.endpoint_url).items() if "KEY" not in k}
    inherited = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}
    run = ships.run(code=1, env={**inherited, **nobody})
    url = f"s3://{ships.bucket}/bare/"
    the_failure(run, "bare", url, "no AWS credentials found", "AWS_PROFILE", "aws configure")
    ships["bare"].check_nothing_claimed()
    assert ships["bare"].proxy.requests == []
    ships.run()
    assert ships["bare"].marked() == set(ONE)
    # What that run saw is not told again as if it were still so.
    port = closed_port()
    del ships.settings["bare"]["endpoint_url"]
    ships.workflow.env["AWS_ENDPOINT_URL"] = f"http://user:password@127.0.0.1:{port}/path"
    blind = ships.run(code=1)
    the_failure(blind, "bare", url, f"cannot reach http://127.0.0.1:{port} (")
    assert not [line for line in blind.lines if "proven" in line]
    assert "password" not in blind.output


def test_mistakes_in_the_configuration_end_in_2(ships: Fleet) -> None:
    ships.add("profile", ONE, profile="nobody-has-this")
    ships.add("missing", {}).folder.rmdir()
    ships.add("no-folder", {}).folder.rmdir()
    ships["no-folder"].folder.write_bytes(b"a file")
    ships.add("fine", ONE)
    run = ships.run(code=2)
    the_failure(run, "profile", "profile 'nobody-has-this' is not configured", "list-profiles")
    the_failure(run, "missing", f"{ships['missing'].folder}: ", "does not exist", "`source`")
    the_failure(run, "no-folder", f"{ships['no-folder'].folder}: ", "not a folder", "`source`")
    for name in ("profile", "missing", "no-folder"):
        ships[name].check_nothing_claimed()
        assert ships[name].proxy.requests == []
    assert ships["fine"].marked() == set(ONE)

    del ships.settings["profile"]["profile"]
    ships["missing"].write("a file", b"its bytes")
    ships.mend()
    ships.run(config="transfers=fine,profile,missing")
    assert ships["profile"].puts() == ships["missing"].puts() == list(ONE)
    assert ships["fine"].puts() == []


def test_all_mistakes_of_a_toml_file_at_once(proxy: Proxy, tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, proxy)
    workflow.configure(
        a={"destination": "s3://a..b/x", "symlink": "skip", "compare": "md5"},
        b={"destination": "s3://fine/x", "batch.max_files": 0, "source": "s3://also/x"},
    )
    run = workflow.run(code=2)
    named = ("a.destination", "a.symlink", "a.compare", "b.batch.max_files", "b.destination")
    for name in named:
        (line,) = [line for line in run.lines if f"transfers.{name}:" in line]
        assert line.startswith("waybill: config.toml: ")
    assert len(run.lines) == len(named)
    assert '"symlinks"' in run.output
    assert proxy.requests == []
    assert not (tmp_path / "results").exists()


def test_nothing_selected_ends_in_3_and_held_back_in_0(ships: Fleet) -> None:
    ships.add("empty", ONE, include=["*.h5ad"])
    ships.add("held", ONE, settle=3600)
    ships.add("fine", ONE)
    run = ships.run(code=3)
    assert failures(run, "empty") == []
    assert [x for x in run.lines if x.startswith("waybill: empty: nothing to upload in ")]
    assert [x for x in run.lines if x.startswith("waybill: held: 1 held back: ")]
    for name in ("empty", "held"):
        ships[name].check_nothing_claimed()
        assert ships[name].puts() == []
    assert ships["fine"].marked() == set(ONE)

    held = ships.run(config="transfers=held")
    assert [x for x in held.lines if x.startswith("waybill: held: 1 held back: ")]
    ships["held"].check_nothing_claimed()
    ships.settings["held"]["settle"] = 0
    ships.run(config="transfers=held")
    assert ships["held"].puts() == list(ONE)


@pytest.mark.engine
def test_failures_in_the_middle_of_an_upload(ships: Fleet, s3: S3Server) -> None:
    """What fails for one object fails it alone; what would fail them all ends the job at once;
    retries help, and have an end. What was done is known either way."""
    files = {f"f{i}": b"%d" % i * 10 for i in range(8)}
    batches = {"batch__max_files": 5, "max_concurrency": 1}
    ships.add("put", files, **batches).fault(access_denied(), op="PutObject", key="f[16]")
    ships.add("head", files)
    for name, data in files.items():  # without metadata, so every one must be asked for
        s3.client().put_object(Bucket=ships.bucket, Key=f"head/{name}", Body=data)
    ships["head"].fault(access_denied(), op="HeadObject", key="f5")
    ships.add("token", files, max_concurrency=1).fault(expired_token(), op="PutObject", after=5)
    endless = ships.add("endless", files)
    for path, action in (("f1", slow_down()), ("f3", internal_error()), ("f5", Reset(3))):
        endless.fault(action, op="PutObject", key=path)
    flaky = ships.add("flaky", files)
    helped = [
        flaky.fault(slow_down(), op="ListObjectsV2", times=1),
        flaky.fault(slow_down(), op="PutObject", key="f1", times=2),
        flaky.fault(internal_error(), op="PutObject", key="f[2-5]", times=8),
        flaky.fault(Reset(), op="PutObject", key="f6", times=2),
    ]
    flaky.fault(access_denied(), op="PutObject", key="manifests/*")

    run = ships.run(code=1)

    url = f"s3://{ships.bucket}"
    denied = "access denied to PutObject"
    the_failures(run, "put", [("f1: ", f"put/f1: {denied}"), ("f6: ", f"put/f6: {denied}")])
    the_failure(run, "head", "f5: ", f"{url}/head/f5: access denied to HeadObject")
    the_failure(run, "token", f"{url}/token/: ", "have expired", "renew")
    the_failures(
        run,
        "endless",
        [
            (f"f1: {url}/endless/f1: ", "SlowDown", "run again later"),
            (f"f3: {url}/endless/f3: ", "InternalError", "run again later"),
            (f"f5: {url}/endless/f5: ", "the answer", "does not come", "check the network"),
        ],
    )
    the_failure(run, "flaky", f"{url}/flaky/manifests/manifest-", denied, "permission")
    assert [fault.hits for fault in helped] == [1, 2, 8, 2]
    done = {
        name: {r["done"] for r in ships[name].results.journal() if "done" in r}
        for name in ("put", "token", "endless")
    }
    assert done["put"] == set(files) - {"f1", "f6"}
    assert done["endless"] == set(files) - {"f1", "f3", "f5"}
    assert done["token"] == {"f0", "f1", "f2", "f3", "f4"}
    assert max(endless.puts().count(path) for path in files) <= 10
    # Its job ended at the first refused request; its one thread had perhaps begun another.
    assert len(ships["token"].puts()) in (6, 7)
    assert ships["head"].puts() == []
    assert ships["put"].marked() == {"f0"}  # the only one whose batch is whole
    for name in ("head", "token", "endless"):
        ships[name].check_nothing_claimed()
    assert not list(ships["put"].results.root.glob("manifests/*"))
    assert flaky.marked() == set(files)
    for name in ("put", "flaky"):
        assert not list(ships[name].results.root.glob("published/*"))
        assert not ships[name].published

    ships.mend()
    ships.run()
    for name, sent in (
        ("head", []),
        ("flaky", []),
        *((n, set(files) - d) for n, d in done.items()),
    ):
        assert ships[name].puts() == sorted(sent), name
    for name, way in ships.ways.items():
        assert way.marked() == set(files), name
        assert len(way.published) == 1, name
    assert {k for k in keys(s3, ships.bucket) if "/manifests/" not in k} == {
        f"{name}/{path}" for name in ships.ways for path in files
    }


def test_a_full_disk_for_results(ships: Fleet) -> None:
    """What was sent but could not be written down is neither marked nor sent again."""
    # By the size of what is written about one file, in ascending order: list, journal.
    for name, count in (("list", 2000), ("journal", 400)):
        ships.add(name, {f"{name}-{i:04}": b"%d" % i for i in range(count)})
    run = ships.run(code=1, limits=Limits(file_bytes=ROOM_BYTES))
    for name in ships.ways:
        the_failure(run, name, f"results/{name}: the results folder is full (", "make room")
        ships[name].check_nothing_claimed()
    assert not list(ships["list"].results.root.glob("inventory/*/*.tsv"))
    assert ships["list"].puts() == []
    files = {path.name for path in ships["journal"].folder.iterdir()}
    sent = ships["journal"].puts()
    assert 100 < len(sent) < len(files)
    ships.mend()
    ships.run(config="transfers=journal")
    again = set(ships["journal"].puts())
    assert again >= files - set(sent)
    assert len(again.intersection(sent)) <= 32  # cut off half-way when the job ended
    assert ships["journal"].marked() == files


def test_a_log_that_cannot_be_written() -> None:
    """A full disk for the log of a job: what a user must read is printed, and nothing else."""
    code = """if True:
        import logging, pathlib
        from waybill.stages import job
        job._log_to(pathlib.Path("/dev/full"), "transfer:upload")
        logging.getLogger("waybill").error("one clear line")
    """
    scripts = str(SNAKEFILE.parent / "scripts")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": scripts}, capture_output=True, text=True
    )
    assert done.stderr == "waybill: transfer:upload: one clear line\n"
