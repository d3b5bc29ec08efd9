"""E15: regular expressions and patterns that would search for ever."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from sequencing import Core, sent

from support.illumina import make_run
from support.proxy import Proxy
from waybill.config import read
from waybill.model import regexes
from waybill.model.errors import ConfigError, WaybillError
from waybill.model.selection import Selection
from waybill.presets.illumina import routing
from waybill.presets.illumina.routing import Outcome

SHEET = """[Data]
Sample_ID
{}
"""
SLOW = "(a+)+$"
LONG = "a" * 60 + "!"


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regular expressions have a quarter of a second."""
    monkeypatch.setattr(regexes, "SECONDS", 0.25)


def test_E15_a_slow_sample_regex_is_a_problem_of_the_run(tmp_path: Path, hurry: None) -> None:
    run = make_run(tmp_path, samples=[LONG])
    begun = time.process_time()
    found = routing.decide(run, SLOW)
    assert time.process_time() - begun < 20
    assert found.outcome is Outcome.PROBLEM
    assert found.reason.startswith(
        f'{run}: sample_regex: the regular expression "{SLOW}" takes more than 0.25 s for "{LONG}"'
    )
    assert routing.decide(run, "^a+!$").outcome is Outcome.TAKE


@pytest.mark.parametrize("regex", [SLOW, "(a|aa)+$", "(a*)*b", "(a?){40}a{40}$", "(.*)*x$"])
def test_E15_a_slow_exclude_pattern_ends(hurry: None, regex: str) -> None:
    slow = Selection(regexes=[regex])
    with pytest.raises(WaybillError) as caught:
        slow.matches("Data/" + "a" * 39)
        slow.matches(LONG)
    assert "takes more than 0.25 s" in str(caught.value)
    assert caught.value.exit_code == 2


def test_E15_a_pattern_with_many_stars_ends(hurry: None) -> None:
    pattern = "/".join(["**", "a"] * 12) + "/b"
    path = "a/" * 500 + "c"
    with pytest.raises(WaybillError) as caught:
        Selection(exclude=[pattern]).matches(path)
    assert f'the pattern "{pattern}" takes more than' in str(caught.value)
    assert not Selection(exclude=["**/a/**/b"]).matches("a/" * 200 + "b")


def test_E15_a_slow_search_in_another_thread_ends_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(regexes, "SECONDS", 0.25)
    monkeypatch.setattr(regexes, "PROCESS_SECONDS", 1.0)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(regexes.searcher("(x)y"), "axy").result() is True
        with pytest.raises(regexes.SlowRegexError):
            pool.submit(regexes.searcher(SLOW), LONG).result()


def test_E15_the_search_is_as_before() -> None:
    for regex, text, is_found in (
        ("/Thumbnail_Images/", "/a/Thumbnail_Images/x.png", True),
        (r"\.(png|jpg)$", "/x.jpg", True),
        (r"\.(png|jpg)$", "/x.jpg.txt", False),
        ("(?i)SHEET", "/sheet", True),
        ("^/a(b+)?c", "/abbbc", True),
    ):
        assert regexes.searcher(regex)(text) is is_found


@pytest.mark.parametrize("regex", ["(", "a{99999999999999999999}", "(" * 5000 + ")" * 5000])
def test_E15_no_regex_ends_in_another_error(tmp_path: Path, regex: str) -> None:
    for key in ("sample_regex", "exclude_patterns"):
        value = json.dumps(regex if key == "sample_regex" else [regex])
        (tmp_path / "c.toml").write_text(
            f'[transfers.t]\npreset = "illumina"\nsource = "{tmp_path}"\n'
            f'destination = "s3://bucket/x"\nillumina.{key} = {value}\n'
        )
        with pytest.raises(ConfigError, match="is not a regular expression"):
            read.load(tmp_path / "c.toml")


def test_E15_the_monitor_goes_on_with_other_runs(core: Core, proxy: Proxy) -> None:
    slow = core.make_run("slow", SampleSheet=SHEET.format(LONG))
    core.make_run("fine", SampleSheet=SHEET.format("aaaa"))
    core.configure(core.section("A", sample_regex=SLOW), max_cores=1)
    said = core.monitor(code=1)
    assert {key.partition("/")[0] for key in sent(said)} == {"fine"}
    assert f"ERROR: FAILED {slow}: sample_regex: the regular expression" in said.err
