"""What a configuration says about verifying against a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from waybill.config import read
from waybill.model.errors import ConfigError
from waybill.model.transfer import Transfer


def load(tmp_path: Path, text: str, **overrides: object) -> Transfer:
    file = tmp_path / "config.toml"
    file.write_text(f'[transfers.t]\nsource = "/d"\ndestination = "s3://bucket/x"\n{text}\n')
    return read.load(file, overrides=overrides)["t"]


@pytest.mark.parametrize(
    ("text", "overrides", "depth"),
    [
        ('verify.against = "/lists/of.sha256"', {}, "content"),
        ('verify = {against = "/lists/of.sha256", sample = "1/2"}', {}, "content"),
        ('verify = {against = "/lists/of.sha256", depth = "listing"}', {}, "listing"),
        ('verify.against = "/lists/of.sha256"', {"verify": {"depth": "listing"}}, "listing"),
        ("", {"verify": {"against": "/lists/of.sha256"}}, "content"),
    ],
)
def test_against_looks_at_the_bytes_unless_told_otherwise(
    tmp_path: Path, text: str, overrides: dict[str, object], depth: str
) -> None:
    transfer = load(tmp_path, text, **overrides)
    assert transfer.verify_against == Path("/lists/of.sha256")
    assert transfer.verify_depth == depth


def test_without_it(tmp_path: Path) -> None:
    transfer = load(tmp_path, "")
    assert (transfer.verify_against, transfer.verify_depth) == (None, "listing")


def test_a_relative_list_starts_where_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LISTS", "lists")
    against = load(tmp_path, 'verify.against = "$LISTS/a"').verify_against
    assert against == tmp_path / "lists" / "a"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('verify = {against = "x", depth = "metadata"}', 'verify.depth: cannot be "metadata"'),
        ('verify.against = "s3://bucket/list"', "verify.against: s3:// is not supported"),
        ("verify.against = 1", "verify.against: found a whole number"),
        ('verify.aganst = "x"', 'did you mean "against"?'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]
