"""Failures of credentials, bucket, network and configuration: each ends in one line that names it,
leaves nothing marked and the other transfers done, and a plain rerun sends what is missing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.failing import Fleet, failures, fleet, the_failure, the_failures
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
from support.workflow import Workflow

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
    assert [r.status for r in ships["follows-400"].proxy.select(op="PutObject")].count(400) <= 2
    assert run.seconds < 60

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


def test_no_credentials(ships: Fleet) -> None:
    ships.add("bare", ONE)
    nobody = {k: v for k, v in env_for(ships["bare"].proxy.endpoint_url).items() if "KEY" not in k}
    inherited = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}
    run = ships.run(code=1, env={**inherited, **nobody})
    url = f"s3://{ships.bucket}/bare/"
    the_failure(run, "bare", url, "no AWS credentials found", "AWS_PROFILE", "aws configure")
    ships["bare"].check_nothing_claimed()
    assert ships["bare"].proxy.requests == []
    # What an earlier run saw is not told again as if it were still so.
    ships.run()
    blind = ships.run(code=1, env={**inherited, **nobody})
    assert len(failures(blind, "bare")) == 1
    assert not [line for line in blind.lines if "proven" in line]


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
    ships["no-folder"].folder.unlink()
    for name in ("missing", "no-folder"):
        ships[name].write("a file", b"its bytes")
    ships.mend()
    ships.run()
    assert [way.puts() for way in ships.ways.values()] == [["a file"]] * 3 + [[]]


def test_all_mistakes_of_a_toml_file_at_once(proxy: Proxy, tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, proxy)
    workflow.configure(
        a={"destination": "s3://UPPER/x", "symlink": "skip", "compare": "md5"},
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
    assert [x for x in run.lines if x.startswith("waybill: empty: no file to upload in ")]
    assert [x for x in run.lines if x.startswith("waybill: held: 1 held back: ")]
    for name in ("empty", "held"):
        ships[name].check_nothing_claimed()
        assert ships[name].puts() == []
    assert ships["fine"].marked() == set(ONE)

    held = ships.run(config="transfers=held")
    assert [x for x in held.lines if x.startswith("waybill: held: 1 held back: ")]
    ships["held"].check_nothing_claimed()
    ships.settings["held"]["settle"] = 0
    ships.settings["empty"]["include"] = ["a*"]
    ships.run(config="transfers=held,empty")
    assert ships["held"].puts() == ships["empty"].puts() == list(ONE)


def test_failures_in_the_middle_of_an_upload(ships: Fleet, s3: S3Server) -> None:
    """What fails for one object fails it alone; what would fail them all ends the job at once.
    What was done is known either way."""
    files = {f"f{i}": b"%d" % i * 10 for i in range(8)}
    batches = {"batch__max_files": 5, "max_concurrency": 1}
    ships.add("put", files, **batches).fault(access_denied(), op="PutObject", key="f[16]")
    ships.add("head", files)
    for name, data in files.items():  # without metadata, so every one must be asked for
        s3.client().put_object(Bucket=ships.bucket, Key=f"head/{name}", Body=data)
    ships["head"].fault(access_denied(), op="HeadObject", key="f5")
    ships.add("token", files, **batches).fault(expired_token(), op="PutObject", after=5)
    ships.add("publish", files).fault(access_denied(), op="PutObject", key="manifests/*")
    flaky = ships.add("flaky", files)
    flaky.fault(slow_down(), op="PutObject", key="f1", times=2)
    flaky.fault(internal_error(), op="PutObject", key="f[2-5]", times=8)
    flaky.fault(Reset(), op="PutObject", key="f6", times=2)
    flaky.fault(slow_down(), op="ListObjectsV2", times=1)

    run = ships.run(code=1)

    url = f"s3://{ships.bucket}"
    denied = "access denied to PutObject"
    the_failures(run, "put", [("f1: ", f"put/f1: {denied}"), ("f6: ", f"put/f6: {denied}")])
    the_failure(run, "head", "f5: ", f"{url}/head/f5: access denied to HeadObject")
    the_failure(run, "token", f"{url}/token/: ", "have expired", "renew")
    the_failure(run, "publish", f"{url}/publish/manifests/manifest-", denied, "permission")
    assert failures(run, "flaky") == []
    assert {fault.hits for fault in flaky.proxy.faults} == {1, 2, 8}
    done = {name: journalled(ships, name) for name in ("put", "token")}
    assert done["put"] == set(files) - {"f1", "f6"}
    assert ships["put"].marked() == {"f0"}  # the only one whose batch is whole
    assert len(done["token"]) == 5
    # Each job ends at its first refused request.
    assert len(ships["token"].puts()) <= 5 + len(ships["token"].results.files("diff"))
    ships["head"].check_nothing_claimed()
    assert ships["head"].puts() == []
    for name in ("put", "token"):
        assert not list(ships[name].results.root.glob("manifests/*"))
        assert not ships[name].published
    assert ships["publish"].marked() == ships["flaky"].marked() == set(files)
    assert not list(ships["publish"].results.root.glob("published/*"))

    ships.mend()
    ships.run()
    assert ships["put"].puts() == ["f1", "f6"]
    assert set(ships["token"].puts()) == set(files) - done["token"]
    assert len(ships["token"].puts()) == 3
    for name in ("head", "publish", "flaky"):
        assert ships[name].puts() == []
    for name, way in ships.ways.items():
        assert way.marked() == set(files), name
        assert len(way.published) == (0 if name == "flaky" else 1), name
    assert {k for k in keys(s3, ships.bucket) if "/manifests/" not in k} == {
        f"{name}/{path}" for name in ships.ways for path in files
    }


def journalled(ships: Fleet, name: str) -> set[str]:
    """The paths that the journals of a transfer tell as done."""
    return {r["done"] for r in ships[name].results.journal() if "done" in r}


def test_what_never_ends_fails_alone(ships: Fleet) -> None:
    """Retries have an end, also of S3's request to slow down, and the others do not wait."""
    files = {f"f{i}": b"%d" % i * 10 for i in range(6)}
    endless = {"slow": slow_down(), "broken": internal_error(), "cut": Reset(3)}
    for name, action in endless.items():
        ships.add(name, files, max_concurrency=2).fault(action, op="PutObject", key="f3")
    run = ships.run(code=1)
    assert run.seconds < 120
    the_failure(run, "slow", f"f3: s3://{ships.bucket}/slow/f3: ", "SlowDown", "run again later")
    the_failure(run, "broken", f"s3://{ships.bucket}/broken/f3: ", "InternalError", "run again")
    the_failure(run, "cut", f"s3://{ships.bucket}/cut/f3: ", "cannot reach", "run again")
    for name in endless:
        way = ships[name]
        assert way.puts().count("f3") <= 10
        way.check_nothing_claimed()
        assert journalled(ships, name) == set(files) - {"f3"}
    ships.mend()
    ships.run()
    assert [way.puts() for way in ships.ways.values()] == [["f3"]] * 3
