"""C6: buckets that are not one's own, and names that AWS does not allow."""

from __future__ import annotations

import dataclasses
import random
import re
import socket
from pathlib import Path
from typing import Any

import botocore.exceptions as be
import pytest

from support.jobs import ENGINES, LOGIN, MIB, Use, fetch, make
from support.objects import stored
from support.proxy import (
    Call,
    DropHeader,
    Proxy,
    Request,
)
from support.server import S3Server
from support.transfers import transfer_of
from support.uploads import Uploads
from support.workflow import Workflow
from waybill.config import read
from waybill.model.errors import ConfigError
from waybill.model.target_names import Limits, refusals
from waybill.model.transfer import Transfer
from waybill.move.publish import publish
from waybill.s3.bucket import Bucket
from waybill.s3.client import make_client
from waybill.s3.engine.native import NativeEngine


@ENGINES
def test_C6_a_public_bucket_needs_no_keys(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(proxy.endpoint_url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    files = {"a": b"1", "large": random.Random(1).randbytes(9 * MIB)}
    for path, data in files.items():
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=data, ACL="public-read")
    transfer = transfer_of(tmp_path, bucket, "data/", anonymous=True)
    assert {entry.path for entry in Bucket(transfer).list_prefix()} == files.keys()
    assert not Bucket(transfer).accelerates()
    outcome = fetch(tmp_path / "in", bucket, s3, *files, engine=engine, anonymous=True)
    assert outcome.failed == []
    for path, data in files.items():
        assert (tmp_path / "in" / path).read_bytes() == data
    job = Uploads(tmp_path, bucket, engine=engine, anonymous=True)
    assert job.fail(job.item("b", b"2")) == {}
    assert stored(s3, bucket, "data/b") == b"2"
    signs = {"authorization", "x-amz-security-token"}
    assert not [r.op for r in proxy.requests if signs & r.headers.keys()]
    with make(transfer_of(tmp_path, bucket, engine=engine, anonymous=True)) as made:
        assert isinstance(made, NativeEngine) == (engine == "native")


def test_C6_a_whole_run_without_keys(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    workflow = Workflow(tmp_path, proxy)
    name = "data/X:1-2.vcf"
    s3.client().put_object(Bucket=bucket, Key=name, Body=b"1", ACL="public-read")
    workflow.configure(
        t={
            "source": f"s3://{bucket}/data",
            "destination": str(tmp_path / "public"),
            "endpoint_url": proxy.endpoint_url,
            "anonymous": True,
        }
    )
    empty = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    workflow.run(code=0, env=empty)
    assert (tmp_path / "public" / "X:1-2.vcf").read_bytes() == b"1"
    assert not [r for r in proxy.requests if "authorization" in r.headers]


@ENGINES
def test_C6_a_canned_acl_is_sent_with_each_new_object(
    engine: str,
    use: Use,
    proxy: Proxy,
    bucket: str,
    tmp_path: Path,
    small_parts: bytes,
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine, acl="bucket-owner-full-control")
    assert job.fail(job.item("a", b"1"), job.item("large", small_parts)) == {}
    manifest = tmp_path / "m.json"
    manifest.write_text('{\n"generated_at": "2026-01-02T03:04:05.678Z",\n  "files": [\n  ]\n}\n')
    publish(dataclasses.replace(job.transfer, publish_prefix="data/manifests/"), manifest)
    new = [r for r in proxy.requests if r.op in ("PutObject", "CreateMultipartUpload")]
    assert len(new) == 3
    assert {r.headers.get("x-amz-acl") for r in new} == {"bucket-owner-full-control"}
    others = [r for r in proxy.requests if r not in new]
    assert not [r.op for r in others if "x-amz-acl" in r.headers]


def configured(tmp_path: Path, **settings: Any) -> Transfer:
    """The transfer of a configuration."""
    import json

    given = {"source": str(tmp_path), "destination": "s3://bucket/p/", **settings}
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
    (tmp_path / "c.toml").write_text("\n".join(["[transfers.t]", *lines]))
    return read.load(tmp_path / "c.toml")["t"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"acl": "bucket-owner"}, 'did you mean "bucket-owner-read"'),
        ({"acl": "log-delivery-write"}, "is not allowed"),
        ({"anonymous": "yes"}, "true or false"),
        ({"anonymous": True, "requester_pays": True}, "anonymous: cannot be true"),
        ({"destination": "s3://Under_score/p"}, "is not the name of a bucket"),
        ({"destination": "s3://arn:aws:s3:eu-west-1:12:accesspoint/x/p"}, "is not the ARN"),
        ({"destination": "s3://arn:aws:sqs:eu-west-1:123456789012:q/p"}, "is not the ARN"),
        ({"destination": "s3://a/b:c@d/p", "endpoint_url": "http://h"}, "2 to 255"),
        (
            {"destination": f"s3://{'arn:aws:s3:eu-west-1:123456789012:accesspoint/x'}/p",
             "addressing_style": "path"},
            'addressing_style: cannot be "path"',
        ),
        (
            {"destination": f"s3://{'arn:aws:s3:eu-west-1:123456789012:accesspoint/x'}/p",
             "accelerate": True},
            "accelerate: cannot be true for an access point",
        ),
    ],
)  # fmt: skip
def test_C6_what_cannot_be_is_refused(
    settings: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(ConfigError, match=re.escape(says)):
        configured(tmp_path, **settings)


@pytest.mark.parametrize("name", ["Under_Score.Data", "ab", "UPPER"])
def test_C6_other_stores_have_other_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    there = configured(tmp_path, destination=f"s3://{name}/p", endpoint_url="http://store:9000")
    assert (there.bucket, there.prefix) == (name, "p/")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:9000")
    assert configured(tmp_path, destination=f"s3://{name}/p").bucket == name


@ENGINES
def test_C6_a_bucket_with_capitals_and_underscores_is_used(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    name = s3.make_bucket("Waybill_Field.Data")
    job = Uploads(tmp_path, name, engine=engine)
    try:
        assert job.fail(job.item("a", b"1")) == {}
        assert stored(s3, name, "data/a") == b"1"
        assert [e.path for e in Bucket(job.transfer).list_prefix()] == ["a"]
        assert fetch(tmp_path / "in", name, s3, "a", engine=engine).failed == []
    finally:
        s3.client().delete_object(Bucket=name, Key="data/a")
        s3.client().delete_bucket(Bucket=name)


ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint"


@pytest.mark.parametrize(
    ("place", "name", "host"),
    [
        (
            f"{ARN}/mine/p",
            f"{ARN}:mine",
            "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
        ),
        (f"{ARN}:mine", f"{ARN}:mine", "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com"),
        (
            "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-1/accesspoint/mine/p",
            "arn:aws:s3-outposts:eu-west-1:123456789012:outpost:op-1:accesspoint:mine",
            "mine-123456789012.op-1.s3-outposts.eu-west-1.amazonaws.com",
        ),
        (
            "arn:aws:s3::123456789012:accesspoint/m.mrap/p",
            "arn:aws:s3::123456789012:accesspoint:m.mrap",
            "m.mrap.accesspoint.s3-global.amazonaws.com",
        ),
    ],
    ids=["slash", "colon", "outpost", "several regions"],
)
def test_C6_the_arn_of_an_access_point_names_a_bucket(
    place: str,
    name: str,
    host: str,
    use: Use,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests go where botocore sends them; the region is that of the ARN."""
    use("")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    transfer = configured(tmp_path, destination=f"s3://{place}", publish="manifests")
    assert transfer.bucket == name
    assert transfer.prefix in ("p/", "")
    sent: list[str] = []
    client = make_client(transfer)

    def stop(request: Any, **_: object) -> None:
        sent.append(request.url)
        raise be.EndpointConnectionError(endpoint_url=request.url)

    client.meta.events.register_first("before-send.s3.ListObjectsV2", stop)
    with pytest.raises(be.EndpointConnectionError):
        client.list_objects_v2(Bucket=transfer.bucket, Prefix=transfer.prefix)
    assert host in sent[0]
    assert read.load(tmp_path / "c.toml")["t"].url.startswith(f"s3://{name}/")
    if "outpost" not in place and ".mrap" not in place:
        with make(transfer) as engine:
            assert isinstance(engine, NativeEngine)
            assert (engine._to.host, engine._to.path, engine._to.region) == (host, "/", "eu-west-1")


@ENGINES
def test_C6_an_access_point_is_used(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its host leads to the server here, which knows it as a bucket."""
    use(proxy.endpoint_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://s3.test:{proxy.port}")
    host = f"mine-123456789012.s3.test:{proxy.port}"
    real = socket.getaddrinfo

    def to_here(name: Any, *more: Any, **options: Any) -> Any:
        here = "127.0.0.1" if str(name).endswith("s3.test") else name
        return real(here, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", to_here)
    hosts: set[str] = set()

    def lead(request: Request) -> None:
        hosts.add(request.headers["host"])
        request.target = f"/{bucket}{request.target}"

    proxy.fault(Call(lead))
    proxy.fault(DropHeader("host"))
    job = Uploads(tmp_path, f"{ARN}:mine", engine=engine)
    assert job.fail(job.item("a", b"1")) == {}
    assert stored(s3, bucket, "data/a") == b"1"
    assert [e.path for e in Bucket(job.transfer).list_prefix()] == ["a"]
    assert hosts == {host}


@ENGINES
@pytest.mark.parametrize(
    ("profile", "given", "path"),
    [("path", None, "/my-data/"), ("virtual", "path", "/my-data/"), ("path", "virtual", "/"),
     (None, None, "/")],
)  # fmt: skip
def test_C6_the_addressing_style_of_the_profile_is_obeyed(
    engine: str,
    profile: str | None,
    given: str | None,
    path: str,
    use: Use,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    config = tmp_path / "aws"
    style = f"s3 =\n  addressing_style = {profile}\n" if profile else ""
    config.write_text(f"[profile lab]\nregion = eu-west-1\n{LOGIN}{style}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    more = {"addressing_style": given} if given else {}
    transfer = configured(tmp_path, destination="s3://my-data/p", profile="lab", **more)
    transfer = dataclasses.replace(transfer, engine=engine)
    with make(transfer) as made:
        sent: list[str] = []

        def stop(request: Any, **_: object) -> None:
            sent.append(request.url)
            raise be.ClientError({}, "HeadObject")

        made.client.meta.events.register_first("before-send.s3.HeadObject", stop)
        with pytest.raises(be.ClientError):
            made.client.head_object(Bucket="my-data", Key="key")
        assert sent[0].endswith(f".amazonaws.com{path}key")
        if isinstance(made, NativeEngine):
            assert made._to.path == path


@ENGINES
def test_C6_a_name_with_a_colon_is_no_drive(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    names = ["X:1-2.vcf", "chr/X:1-2.vcf", "C:", "x:"]
    for name in names:
        s3.client().put_object(Bucket=bucket, Key=f"data/{name}", Body=name.encode())
    where = {"root": str(tmp_path), "files": (), "folders": (), "limits": Limits()}
    assert refusals(names, **where) == {}
    assert refusals(["C:/Windows", "C:\\Windows"], **where).keys() == {"C:/Windows", "C:\\Windows"}
    assert fetch(tmp_path / "in", bucket, s3, *names, engine=engine).failed == []
    for name in names:
        assert (tmp_path / "in" / name).read_bytes() == name.encode()
