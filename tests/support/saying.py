"""What a transfer says when S3 or its credentials fail, without a job: in one line."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import botocore.exceptions as be
import pytest

from support.engines import put
from support.server import ACCESS_KEY, SECRET_KEY, env_for
from waybill.model.errors import WaybillError
from waybill.model.transfer import Transfer
from waybill.s3.bucket import Bucket
from waybill.s3.engine.choose import make_engine
from waybill.s3.errors import explain

WAYS = ("list", "boto3", "native")  # the ways to S3


def refusal(transfer: Transfer, way: str = "list") -> WaybillError:
    """The error of a listing, or of a put by an engine, as a job tells it."""
    with pytest.raises(WaybillError) as caught:
        if way == "list":
            list(Bucket(transfer).list_prefix())
        else:
            _put(replace(transfer, engine=way))
    assert "unexpected" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def _put(transfer: Transfer) -> None:
    engine = make_engine(transfer, accelerate=False)
    try:
        put(engine, b"x", key="x")
    except (be.BotoCoreError, be.ClientError) as error:
        raise explain(error, transfer) from None
    finally:
        engine.close()


class Aws:
    """The AWS side of a user: variables, and the two files of ``~/.aws``."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, endpoint_url: str) -> None:
        self._folder, self._patch = folder, patch
        self.config = folder / "aws-config"
        self.env = env_for(endpoint_url)
        patch.setattr("waybill.s3.engine.limit.Gate.back_off", lambda *_: 0.0)
        patch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
        for name, value in self.env.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
            patch.delenv(name, raising=False)

    def set(self, **variables: str | None) -> None:
        """Set these variables; None takes one away."""
        for name, value in variables.items():
            if value is None:
                self._patch.delenv(name, raising=False)
            else:
                self._patch.setenv(name, value)

    def without_keys(self) -> None:
        self.set(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)

    def profiles(self, text: str | bytes) -> None:
        """Write the file of profiles; the variables hold no keys then."""
        self.without_keys()
        self.config.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.set(AWS_CONFIG_FILE=str(self.config))

    def helper(self, program: str, name: str = "x") -> None:
        """A profile whose ``credential_process`` is this Python program."""
        file = self._folder / "helper.py"
        file.write_text(program)
        self.profiles(f"[profile {name}]\ncredential_process = {sys.executable} {file}\n")


MFA = f"""\
[profile x]
role_arn = arn:aws:iam::123456789012:role/data
mfa_serial = arn:aws:iam::123456789012:mfa/me
source_profile = base
[profile base]
aws_access_key_id = {ACCESS_KEY}
aws_secret_access_key = {SECRET_KEY}
"""
