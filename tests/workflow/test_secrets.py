"""No credential appears in what a run writes or prints, however it ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
    """Which of the secrets ``data`` holds."""
    return [name for name, secret in SECRETS.items() if secret.encode() in data]


def files_below(folder: Path) -> list[Path]:
    return [Path(top, name) for top, _, names in os.walk(folder) for name in names]


@pytest.mark.parametrize("debug", ["", "1"])
def test_no_credential_is_written_or_printed(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path, debug: str
) -> None:
    workflow = Workflow(tmp_path, proxy)
    workflow.env.update(AWS_SESSION_TOKEN=TOKEN, WAYBILL_DEBUG=debug)
    files = {"a": b"1", "b": b"2"}
    with fleet(s3.endpoint_url, workflow, bucket) as ships:
        ships.add("fine", files)
        ships.add("listing", files).fault(invalid_access_key(ACCESS_KEY))
        refusals = {
            "unknown": invalid_access_key(ACCESS_KEY),
            "signature": signature_mismatch(ACCESS_KEY),
            "expired": expired_token(),
        }
        for name, answer in refusals.items():
            ships.add(name, files).fault(answer, op="PutObject", key="b")
        run = ships.run(code=1)
        # The secrets were there to be told: they travelled in the requests.
        request = ships["fine"].proxy.requests[0]
        assert request.headers["x-amz-security-token"] == TOKEN
        assert ACCESS_KEY in request.headers["authorization"]
        assert len(ships["fine"].published) == 1
        assert failures(run, "fine") == []
        for name in ("listing", *refusals):
            the_failure(run, name, f"s3://{bucket}/{name}/")

        written = files_below(tmp_path)
        inside = {path.relative_to(tmp_path).parts[0] for path in written}
        assert inside >= {"results", ".snakemake", "output.log"}
        logs = [p for p in written if p.suffix == ".log" and "results" in p.parts]
        assert len(logs) > 5
        found = {p: tales for p in written if (tales := tell_tales(p.read_bytes()))}
        assert found == {}
        assert tell_tales(run.output.encode()) == []
        for key in keys(s3, bucket):
            assert tell_tales(stored(s3, bucket, key)) == [], key
