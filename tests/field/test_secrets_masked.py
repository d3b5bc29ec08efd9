"""E14: no secret stands in a message, a log or a table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest

from support.failing import fleet, the_failure
from support.objects import keys, stored
from support.proxy import Answer, Proxy
from support.saying import WAYS, Aws, refusal
from support.server import ACCESS_KEY, SECRET_KEY, S3Server
from support.transfers import transfer_of
from support.workflow import Workflow
from waybill.model.secrets import masked

TOKEN = "IQoJb3JpZ2luX2VjWAYBILLTESTSESSIONTOKEN//////////0123456789=="
SIGNATURE = "0123456789abcdef" * 4
SECRETS = {
    "key id": ACCESS_KEY, "secret": SECRET_KEY, "token": TOKEN, "cut token": TOKEN[:30],
    "signature": SIGNATURE,
}  # fmt: skip
ECHO = (
    f"Bad token {TOKEN}, key {ACCESS_KEY}, secret {SECRET_KEY}, cut {TOKEN[:30]}, header"
    f" Authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260102/us-east-1/s3/aws4_request,"
    f" SignedHeaders=host, Signature={SIGNATURE}, query"
    f" ?X-Amz-Credential={quote(ACCESS_KEY)}&X-Amz-Security-Token={quote(TOKEN, safe='')}"
    f"&X-Amz-Signature={SIGNATURE}&x=1 and so on"
)


def told(data: bytes) -> list[str]:
    """Which secrets are in ``data``, as they are or as an address would hold them."""
    forms = {name: {text, quote(text, safe="")} for name, text in SECRETS.items()}
    return [name for name, ways in forms.items() if any(w.encode() in data for w in ways)]


@pytest.mark.parametrize("one_job", [False, True])
def test_E14_what_a_server_echoes_is_masked_everywhere(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path, one_job: bool
) -> None:
    workflow = Workflow(tmp_path, proxy)
    note = tmp_path / "note.json"
    echo = Answer(400, "InvalidRequest", ECHO)
    with fleet(s3.endpoint_url, workflow, bucket) as ships:
        for engine in ("boto3", "native"):
            ships.add(engine, {"a": b"1", "b": b"2"}, engine=engine, one_job_per_batch=one_job,
                      notify__command=["/bin/sh", "-c", f"cat >> {note}; env | grep AWS_ >&2"],
                      ).fault(echo, op="PutObject", key="b")  # fmt: skip
        ships.add("listing", {"a": b"1"}).fault(echo)
        workflow.env.update(AWS_SESSION_TOKEN=TOKEN, WAYBILL_DEBUG="1")
        workflow.configure(**ships.settings)
        run = workflow.start(options=["--cores", "16", "--verbose"]).wait()
    assert run.code == 1
    assert told(ships["boto3"].proxy.requests[0].headers["x-amz-security-token"].encode())
    for name in ("boto3", "native", "listing"):
        the_failure(run, name, "failed with InvalidRequest: Bad token ***", "&x=1 and so on")
    assert told(run.output.encode()) == []
    assert "Bad token ***" in note.read_text()
    written = [Path(top, name) for top, _, names in os.walk(tmp_path) for name in names]
    assert {p.relative_to(tmp_path).parts[0] for p in written} >= {"results", ".snakemake"}
    assert {p: found for p in written if (found := told(p.read_bytes()))} == {}
    for key in keys(s3, bucket):
        assert told(stored(s3, bucket, key)) == []


def test_E14_keys_of_profiles_and_helpers_are_masked(
    aws: Aws, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    """They are in no variable; both engines are told by the same error."""
    own = {"AccessKeyId": "own-key-id-0123456789", "SecretAccessKey": "own-secret/0123456789+a"}
    aws.helper(f"print({json.dumps(own | {'Version': 1, 'SessionToken': TOKEN[::-1]})!r})")
    proxy.fault(Answer(400, "InvalidRequest", f"{own} {TOKEN[::-1]}"))
    for way in WAYS:
        text = str(refusal(transfer_of(tmp_path, bucket, profile="x"), way))
        assert not [s for s in (*own.values(), TOKEN[::-1][:20]) if s in text], text
    aws.profiles(
        "[profile x]\naws_access_key_id = kept-key-id-012345678\n"
        "aws_secret_access_key = kept-secret-0123456789\n"
    )
    proxy.faults.clear()
    proxy.fault(Answer(400, "InvalidRequest", "kept-key-id-012345678 kept-secret-0123456789"))
    text = str(refusal(transfer_of(tmp_path, bucket, profile="x")))
    assert text.endswith("InvalidRequest: *** ***")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@proxy.example:80/", "https://***@proxy.example:80/"),
        ("Bearer abcdefghijklmnop.qrs", "Bearer ***"),
        ("AWS AKIAOTHER00000000000:c2lnbmF0dXJl", "AWS ***"),
        ("the id AKIAOTHER00000000000", "the id ***"),
        (
            "?AWSAccessKeyId=abc&Signature=x%3D&Expires=1",
            "?AWSAccessKeyId=***&Signature=***&Expires=1",
        ),
        ('{"X-Amz-Security-Token": "abc"}', '{"X-Amz-Security-Token": "***"}'),
        ("s3://bucket/a@b/c=d: Basic checks, Signature of x: 12", None),
        ("/data/AKIA/Signature/Credential: is a folder", None),
    ],
)
def test_E14_what_looks_like_a_login_is_masked_and_nothing_else(
    text: str, shown: str | None
) -> None:
    assert masked(text) == (text if shown is None else shown)


def test_E14_short_keys_of_test_servers_do_not_hide_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "minioadmin")
    assert masked("test of /minioadmins/x and minioadmin, 1") == "test of /minioadmins/x and ***, 1"
