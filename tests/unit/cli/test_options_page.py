"""docs/options.md has every command, and every option that its help has."""

from __future__ import annotations

from waybill.cli import main, options_page


def test_the_page_is_up_to_date() -> None:
    assert options_page.main(["--check"]) == 0, "run: make docs"


def test_every_command_has_a_section_with_its_options() -> None:
    page = options_page.page()
    for name in main.COMMANDS:
        assert f"\n## waybill {name}\n" in page
    for name in ("hca-smart-sync", "sync-from-s3", "s3-upload upload", "pt5-uploader"):
        assert f"\n## {name}\n" in page
    assert "| `--depth listing or metadata or content` |" in page
    assert "| `--workers N` | files on their way at a time (default: 32) |" in page
    assert "| `--sample N/M` |" in page
    assert "SUPPRESS" not in page and "None" not in page
