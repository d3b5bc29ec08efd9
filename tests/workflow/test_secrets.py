"""No credential appears in what a run writes or prints, however it ends."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from support.failing import failures, fleet, the_failure
from support.objects import keys, stored
from support.proxy import (
    Proxy,
    expired_token,
    invalid_access_key,
    signature_mismatch,
)
from support.server import ACCESS_KEY, SECRET_KEY, S3Server
from support.workflow import Workflow

TOKEN = "IQoJb3JpZ2luX2VjWAYBILLTESTSESSIONTOKEN//////////0123456789=="
SECRETS = {"access key": ACCESS_KEY, "secret key": SECRET_KEY, "session token": TOKEN}


def tell_tales(data: bytes) -> list[str]:
    """Which of the secrets ``data`` holds, as they are or as an address would hold them."""
    return [
        name
        for name, secret in SECRETS.items()
        if secret.encode() in data or quote(secret, safe="").encode() in data
    ]


def files_below(folder: Path) -> list[Path]:
    return [Path(top, name) for top, _, names in os.walk(folder) for name in names]


def check_no_tales(folder: Path, output: str, s3: S3Server, bucket: str) -> None:
    written = files_below(folder)
    assert {p.relative_to(folder).parts[0] for p in written} >= {"results", ".snakemake"}
    found = {p: tales for p in written if (tales := tell_tales(p.read_bytes()))}
    assert found == {}
    assert tell_tales(output.encode()) == []
    published = [key for key in keys(s3, bucket) if "/manifests/" in key]
    assert published
    for key in published:
        assert tell_tales(stored(s3, bucket, key)) == [], key


def test_no_credential_is_written_or_printed(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    workflow = Workflow(tmp_path, proxy)
    files = {"a": b"1", "b": b"2"}
    with fleet(s3.endpoint_url, workflow, bucket) as ships:
        ships.add("fine", files)
        ships.add("listing", files).fault(invalid_access_key(ACCESS_KEY))
        refusals = {"signature": signature_mismatch(ACCESS_KEY), "expired": expired_token()}
        for name, answer in refusals.items():
            ships.add(name, files).fault(answer, op="PutObject", key="b")

        workflow.env.update(AWS_SESSION_TOKEN=TOKEN, WAYBILL_DEBUG="1")
        workflow.configure(**ships.settings)
        run = workflow.start(options=["--cores", "16", "--verbose"]).wait()
        assert run.code == 1
        assert failures(run, "fine") == []
        for name in ("listing", *refusals):
            the_failure(run, name, f"s3://{bucket}/{name}/")
        # The secrets were there to be told: they travelled in the requests.
        request = ships["fine"].proxy.requests[0]
        assert request.headers["x-amz-security-token"] == TOKEN
        assert ACCESS_KEY in request.headers["authorization"]
        check_no_tales(tmp_path, run.output, s3, bucket)

        ships.mend()
        del workflow.env["WAYBILL_DEBUG"]
        run = ships.run()
        assert all(len(ships[name].published) == 1 for name in ("listing", *refusals))
        check_no_tales(tmp_path, run.output, s3, bucket)
