"""What is written as text in a configuration: places, sizes and samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from waybill.model.locations import key_prefix, local_path, parse_s3
from waybill.model.units import parse_sample, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://abc", ("abc", "")),
        ("s3://abc/", ("abc", "")),
        ("s3://a.b-c/x/y", ("a.b-c", "x/y/")),
        ("s3://abc/x//y/", ("abc", "x//y/")),
    ],
)
def test_s3_addresses(text, expected):
    assert parse_s3(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3://ab",
        "s3://Abc",
        "s3://a_c",
        "s3://-abc",
        "s3://abc.",
        "s3://a..b",
        "s3://192.168.1.1",
        f"s3://{'a' * 64}",
        "s3://abc//x",
        "s3://abc/../x",
        "s3://abc/x/./y",
    ],
)
def test_wrong_s3_addresses(text):
    with pytest.raises(ValueError, match=r"bucket|prefix"):
        parse_s3(text)


def test_folders(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("LAB", "x")
    monkeypatch.setenv("NONE", "")
    monkeypatch.delenv("UNSET", raising=False)
    assert local_path("~/a") == Path("/home/me/a")
    assert local_path("$LAB/${LAB}y/$$z") == Path("x/xy/$z")
    assert local_path("rel") == Path("rel")
    for text, why in (
        ("$UNSET/a", "UNSET is not set"),
        ("${NONE}/a", "NONE is empty"),
        ("${LAB:-x}/a", "without the name"),
        ("~nobody-by-that-name/a", "no home folder"),
        ("https://HUSH@host/", "^https:// is not supported"),
        ("a\0b", "control"),
    ):
        with pytest.raises(ValueError, match=why) as caught:
            local_path(text)
        assert "HUSH" not in str(caught.value)


def test_key_prefix():
    assert key_prefix("", "manifests/") == "manifests/"
    assert key_prefix("a/b/", "../m") == "a/m/"
    assert key_prefix("a//b/", "../m/") == "a//m/"
    assert key_prefix("a/", "./m/../n/") == "a/n/"
    for prefix, text in (("", "../m"), ("a/", ".."), ("a/", "/m"), ("a/", ""), ("a/", "m//n")):
        with pytest.raises(ValueError):
            key_prefix(prefix, text)


@pytest.mark.parametrize(
    ("text", "size"),
    [(5, 5), ("5", 5), ("1 KiB", 1024), ("1kB", 1000), ("1.5gib", 3 << 29), ("0.1MB", 100_000)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", [-1, True, "", "GiB", "5M", "1e3", "-5", "1,5GB", 1.5])
def test_wrong_sizes(text):
    with pytest.raises(ValueError):
        parse_size(text)


def test_samples():
    assert parse_sample("2/7") == (2, 7)
    for text in ("0/1", "3/2", "1", "1/2/3", "01/2", "a/b"):
        with pytest.raises(ValueError):
            parse_sample(text)
