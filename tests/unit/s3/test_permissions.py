"""Policies: the least that a task needs, as IAM reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.transfers import transfer_of
from waybill.s3.permissions import NEEDS, Extra, Task, action_of, actions, needs, policy, writing
from waybill.s3.permissions_page import page


def statements(task: Task, *extras: Extra, **more: object) -> dict[str, dict]:
    return {each["Sid"]: each for each in policy(task, extras, **more)["Statement"]}


def test_an_upload() -> None:
    found = statements(Task.UPLOAD)
    assert list(found) == ["List", "Objects"]
    assert found["List"]["Resource"] == "arn:aws:s3:::BUCKET"
    assert found["List"]["Condition"] == {"StringLike": {"s3:prefix": "PREFIX/*"}}
    assert set(found["Objects"]["Action"]) == {
        "s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload",
    }  # fmt: skip
    assert found["Objects"]["Resource"] == "arn:aws:s3:::BUCKET/PREFIX/*"


def test_manifests_beside_the_data() -> None:
    found = statements(Task.UPLOAD, places=["PREFIX", "MANIFESTS"])
    assert found["Objects"]["Resource"][1] == "arn:aws:s3:::BUCKET/MANIFESTS/*"
    assert found["List"]["Condition"]["StringLike"]["s3:prefix"][1] == "MANIFESTS/*"


@pytest.mark.parametrize("task", [Task.DOWNLOAD, Task.VERIFY, Task.DOCTOR])
def test_what_only_reads_may_not_write(task: Task) -> None:
    allowed = actions(needs(task, list(Extra)))
    assert [name for name in allowed if re.search("Put|Abort|Delete|Generate", name)] == []


def test_kms() -> None:
    upload, download = statements(Task.UPLOAD, Extra.KMS), statements(Task.DOWNLOAD, Extra.KMS)
    assert upload["Key"]["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]
    assert download["Key"]["Action"] == "kms:Decrypt"
    assert "Key" not in statements(Task.UPLOAD)


def test_nothing_deletes_and_nothing_stands_twice() -> None:
    assert not [need for need in NEEDS if "Delete" in need.action or need.action.endswith("*")]
    keys = [(need.operation, need.action) for need in NEEDS]
    assert len(set(keys)) == len(keys)
    assert action_of("UploadPart") == "s3:PutObject"


def test_what_the_writing_of_a_transfer_needs(tmp_path: Path) -> None:
    assert writing(transfer_of(tmp_path)) == [
        "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload",
    ]  # fmt: skip
    more = writing(transfer_of(tmp_path, tags={"a": "b"}, sse="aws:kms"))
    assert more[3:] == ["s3:PutObjectTagging", "kms:GenerateDataKey", "kms:Decrypt"]
    assert "kms:Decrypt" in writing(transfer_of(tmp_path, sse_kms_key_id="k"))
    assert writing(transfer_of(tmp_path, acl="private"))[3:] == ["s3:PutObjectAcl"]
    assert "kms:Decrypt" not in writing(transfer_of(tmp_path, sse="AES256"))


def test_the_policies_of_the_page_are_json() -> None:
    blocks = re.findall(r"```json\n(.*?)```", page(), re.DOTALL)
    assert len(blocks) >= 10
    for block in blocks:
        assert json.loads(block)["Version"] == "2012-10-17"
