"""From where to where ``pt5-uploader`` moves: arguments, environment and ``.env``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from waybill import __version__
from waybill.cli.pt5 import place as pt5_place
from waybill.cli.pt5 import screen
from waybill.cli.pt5.arguments import parse
from waybill.cli.pt5.command import main
from waybill.config import read
from waybill.model.errors import WaybillError
from waybill.model.transfer import Transfer

URL = {"AWS_UPLOAD_URL": "s3://mine/deployment/7"}


@pytest.mark.parametrize(
    ("words", "environ", "expected"),
    [
        ("", {}, None),
        ("", URL, ("mine", "deployment/7/")),
        ("", {"AWS_UPLOAD_URL": "s3://mine"}, ("mine", "")),
        ("", {"AWS_UPLOAD_URL": "s3://mine//lead/"}, ("mine", "lead/")),
        ("--bucket mine", URL, ("mine", "deployment/7/")),
        ("--bucket other", URL, ("other", "")),
        ("--bucket other --prefix p/q", URL, ("other", "p/q/")),
        ("--bucket other", {}, ("other", "")),
        ("--prefix p/", URL, ("mine", "p/")),
        ("--prefix /p/q//", URL, ("mine", "p/q/")),
        ("--prefix=", URL, ("mine", "")),
        ("--prefix p", {}, None),
        ("--bucket other --prefix p", {"AWS_UPLOAD_URL": "nonsense"}, ("other", "p/")),
    ],
)
def test_where_to(words, environ, expected):
    assert pt5_place.target(parse(words.split()), environ) == expected


@pytest.mark.parametrize(
    ("words", "environ", "text"),
    [
        ("", {}, "no source: give --source, or set IFCB_DATA_DIR"),
        ("--source /no/where", {}, "--source: /no/where does not exist"),
        ("", {"IFCB_DATA_DIR": "/no/where"}, "IFCB_DATA_DIR: /no/where does not exist"),
        ("--source /dev/null", URL, "--source: /dev/null is neither a folder nor a file"),
        ("--source .", {}, "no bucket: give --bucket, or set AWS_UPLOAD_URL"),
        ("--source . --bucket B", {}, '--bucket: "B" is not the name of a bucket'),
        ("--source . --prefix a/../b", URL, '--prefix: the prefix has "." or ".."'),
        ("--source .", {"AWS_UPLOAD_URL": "https://x/y"}, "AWS_UPLOAD_URL: is no address like"),
        ("--source .", {"AWS_UPLOAD_URL": "s3://"}, 'AWS_UPLOAD_URL: "" is not the name of a'),
        ("--source . --bucket x1y", {"AWS_UPLOAD_URL": "mine/7"}, "AWS_UPLOAD_URL: is no address"),
    ],
)
def test_mistakes(words, environ, text):
    with pytest.raises(WaybillError) as caught:
        pt5_place.place(parse(words.split()), environ)
    assert str(caught.value).startswith(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--sourc x", "unrecognized arguments: --sourc x"),
        ("--settle -1", "'-1' is not a number of seconds"),
        ("--settle inf", "'inf' is not a number of seconds"),
        ("--workers 0", "'0' is not a number from 1 to 256"),
    ],
)
def test_usage(words, text, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(words.split())
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_help_and_version(capsys):
    for words in ("--version", "--help"):
        with pytest.raises(SystemExit) as caught:
            main([words])
        assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"pt5-uploader {__version__}\n")
    for option in (
        "--source", "--bucket", "--prefix", "--recursive", "--dry-run", "--verbose", "--validate",
        "--all-files",
    ):  # fmt: skip
        assert option in out


def test_dot_env_fills_what_the_environment_leaves_open(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".env").write_text(
        "export AWS_ACCESS_KEY_ID=AKIA\nAWS_SECRET_ACCESS_KEY='a/b+c'\nAWS_DEFAULT_REGION=\n"
        f"AWS_UPLOAD_URL=s3://mine/7 # where\nIFCB_DATA_DIR={tmp_path}\nPYTHONPATH=/evil\nHOME=/x\n"
        "AWS_PROFILE\n"
    )
    monkeypatch.chdir(tmp_path / "a" / "b")
    before = dict(os.environ)
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "a/b+c"}
    others = {"AWS_UPLOAD_URL": "s3://mine/7", "IFCB_DATA_DIR": str(tmp_path)}
    assert pt5_place.read_env({}) == keys | others
    assert pt5_place.read_env({"IFCB_DATA_DIR": "/other"}) == keys | {
        "AWS_UPLOAD_URL": "s3://mine/7"
    }
    # Keys are one pair: not half of one from here and half from there, nor over a profile.
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        assert pt5_place.read_env({name: "x"}) == others
    assert dict(os.environ) == before
    monkeypatch.chdir("/")
    assert pt5_place.read_env({}) == {}
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"AWS_UPLOAD_URL=\xff")
    with pytest.raises(WaybillError, match=r"\.env: byte 15 is not UTF-8"):
        pt5_place.read_env({})


def test_the_configuration(tmp_path):
    odd = tmp_path / 'a $HOME "b"'
    (odd / "sub").mkdir(parents=True)
    (odd / "f[1]*.adc").write_bytes(b"")

    def made(*words: str) -> Transfer:
        wish = parse(["--bucket", "mine", "--source", *words])
        place = pt5_place.place(wish, {})
        homes.add(pt5_place.home_of(wish, place))
        (tmp_path / "c.toml").write_text(pt5_place.config_text(wish, place))
        return read.load(tmp_path / "c.toml")["ifcb"]

    homes: set[Path] = set()
    flat = made(str(odd))
    assert (flat.preset, flat.folder, flat.url) == ("ifcb", odd, "s3://mine/")
    assert (flat.max_concurrency, flat.settle, flat.publishes) == (32, 0, True)
    assert not flat.preset_settings["all_files"]
    assert flat.selection.matches("x.adc") and not flat.selection.matches("sub/x.adc")
    deep = made(str(odd), "--recursive", "--workers", "5", "--settle", "1.5", "--no-manifest")
    assert (deep.max_concurrency, deep.settle, deep.publishes) == (5, 1.5, False)
    assert deep.selection.matches("sub/x.adc")
    one = made(str(odd / "f[1]*.adc"))
    assert one.folder == odd and one.preset_settings["all_files"]
    for path, taken in (("f[1]*.adc", 1), ("f1x.adc", 0), ("f[1]x.adc", 0), ("sub/f[1]*.adc", 0)):
        assert one.selection.matches(path) == bool(taken)
    made(str(odd), "--all-files")
    made(str(odd), "--prefix", "p")
    assert len(homes) == 5


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.00 B"), (1023, "1023.00 B"), (3011, "2.94 KB"), (5 << 20, "5.00 MB"),
     (3 << 50, "3.00 PB"), (5 << 60, "5120.00 PB")],
)  # fmt: skip
def test_units_of_the_seed(size, text):
    assert screen.in_units(size) == text


def test_summary():
    assert list(screen.summary(5, 3011, 0.5)) == [
        "Upload Summary Report:", "Total Files: 5", "Total Size: 2.94 KB",
        "Duration: 0.50 seconds", "Average Rate: 5.88 KB/s", "Files/Second: 10.00",
    ]  # fmt: skip
    assert "Files/Second: 0.00" in list(screen.summary(0, 0, 0))
