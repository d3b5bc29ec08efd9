"""The failure records of jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from waybill.model.errors import EXIT_CONFIG, ConfigError, EntryError, WaybillError
from waybill.model.failure import Failure
from waybill.results import failures
from waybill.results.layout import Layout


def test_a_record_says_what_lasts(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    written = [Failure("a\tb", 1, "denied", True), Failure("", 1, "the server was busy")]
    failures.write(failures.record_path(layout, "upload", "gut", "b0000000000000000"), written)
    assert list(failures.read(layout)) == written


def test_a_record_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.failures.mkdir()
    (layout.failures / "inventory.tsv").write_text("path\texit_code\tmessage\n\t2\tno such file\n")
    assert list(failures.read(layout)) == [Failure("", 2, "no such file")]


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (WaybillError("S3 kept answering 503"), False),
        (WaybillError("no region", exit_code=EXIT_CONFIG), True),
        (ConfigError(["no such key"]), True),
        (EntryError("a", "the file changed"), False),
        (EntryError("a", "access denied", lasting=True), True),
    ],
)
def test_a_mistake_in_the_configuration_lasts(error: WaybillError, lasting: bool) -> None:
    assert Failure.of(error).lasting is lasting
