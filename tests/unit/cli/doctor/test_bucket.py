"""What is said of credentials, the clock and the region; the requests are in tests/door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from support.transfers import transfer_of
from waybill.cli.doctor import bucket
from waybill.cli.doctor.bucket import Credentials
from waybill.cli.doctor.rows import Row, Verdict

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def clock(off: timedelta) -> Row:
    return bucket.clock(format_datetime(NOW - off, usegmt=True), NOW)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0, "ok"), (59, "ok"), (-59, "ok"), (90, "warn"), (-90, "warn"), (899, "warn"),
     (900, "fail"), (-3600, "fail")],
)  # fmt: skip
def test_the_clock(seconds: int, verdict: str) -> None:
    row = clock(timedelta(seconds=seconds))
    assert row.verdict == verdict
    if verdict != "ok":
        assert ("ahead of" in row.found) == (seconds > 0)


def test_a_clock_that_cannot_be_compared() -> None:
    assert bucket.clock(None, NOW).verdict is Verdict.UNTOLD
    assert bucket.clock("yesterday", NOW).verdict is Verdict.UNTOLD
    assert bucket.clock("Sun, 29 Nov 2026 12:00:00 -0000", NOW).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("told", "asked", "works", "verdict"),
    [(None, "us-east-1", True, "-"), ("us-east-1", "us-east-1", True, "ok"),
     ("us-east-1", "aws-global", True, "ok"), ("eu-west-1", "us-east-1", True, "warn"),
     ("eu-west-1", "us-east-1", False, "fail")],
)  # fmt: skip
def test_the_region(told: str | None, asked: str, works: bool, verdict: str) -> None:
    row = bucket.region(told, asked, "https://s3", works=works)
    assert row.verdict == verdict
    if verdict in ("warn", "fail"):
        assert row.advice == 'set region = "eu-west-1"'


def end(provider: str, left: timedelta | None, *, temporary: bool = True) -> Row:
    when = None if left is None else NOW + left
    return bucket.ends(Credentials(provider, None, temporary, when), NOW)


def test_the_end_of_credentials() -> None:
    assert end("env", timedelta(hours=13)).verdict is Verdict.OK
    soon = end("env", timedelta(hours=3, minutes=20))
    assert soon.verdict is Verdict.WARN
    assert soon.found == "2026-11-29T15:20:00.000Z, in 3 h 20 min"
    assert end("shared-credentials-file", timedelta(0)).verdict is Verdict.FAIL
    assert end("env", None).verdict is Verdict.UNTOLD
    assert end("env", None, temporary=False).verdict is Verdict.OK
    renewed = end("sso", timedelta(minutes=50))
    assert (renewed.verdict, "renews" in renewed.found) == (Verdict.OK, True)


def test_profiles_that_ask_for_a_code() -> None:
    profiles = {
        "plain": {"aws_access_key_id": "A"},
        "role": {"role_arn": "r", "source_profile": "coded"},
        "coded": {"role_arn": "r", "mfa_serial": "m", "source_profile": "plain"},
        "self": {"role_arn": "r", "source_profile": "self"},
        "only": {"mfa_serial": "m"},
    }
    asked = {name: bucket.asks_for_code(profiles, name) for name in (*profiles, "none")}
    assert asked == {
        "plain": None, "role": "coded", "coded": "coded", "self": None, "only": None, "none": None,
    }  # fmt: skip


def test_ends_that_tools_note_in_a_profile() -> None:
    when = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
    for key, text in (
        ("x_security_token_expires", "2026-11-29T21:00:00+01:00"),
        ("aws_expiration", "2026-11-29T20:00:00.000Z"),
        ("expiration", "2026-11-29 20:00:00"),
    ):
        assert bucket.noted_end({key: text}) == when
    assert bucket.noted_end({}) is None
    assert bucket.noted_end({"expiration": "soon"}) is None


def test_rights_that_a_write_needs(tmp_path: Path) -> None:
    plain = bucket.write(transfer_of(tmp_path))
    assert plain.verdict is Verdict.UNTOLD
    assert plain.advice == (
        "an upload needs s3:PutObject, s3:ListMultipartUploadParts, s3:AbortMultipartUpload"
    )
    more = bucket.write(transfer_of(tmp_path, tags={"a": "b"}, sse="aws:kms"))
    assert "s3:PutObjectTagging" in more.advice
    assert "kms:GenerateDataKey" in more.advice


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90000, "1 d 1 h")],
)
def test_spans(seconds: int, text: str) -> None:
    assert bucket.span(timedelta(seconds=seconds)) == text
