"""The reference page says what the schema says, and is up to date."""

from __future__ import annotations

import pytest

from waybill.config import check, docs


def test_page_is_up_to_date():
    assert docs.main(["--check"]) == 0, "run: python -m waybill.config.docs --write"


def test_check_and_write(tmp_path, capsys):
    file = tmp_path / "configuration.md"
    assert docs.main(["--file", str(file)]) == 1
    assert "--write" in capsys.readouterr().err
    assert docs.main(["--write", "--file", str(file)]) == 0
    assert docs.main(["--check", "--file", str(file)]) == 0
    file.write_text(file.read_text() + "\n")
    assert docs.main(["--check", "--file", str(file)]) == 1


def test_check_and_write_exclude_each_other():
    with pytest.raises(SystemExit) as caught:
        docs.main(["--check", "--write"])
    assert caught.value.code == 2


def test_every_key_has_one_row():
    page = docs.page()
    for key, rules in check.properties().items():
        for name in [f"{key}.{leaf}" for leaf in rules.get("properties", ())] or [key]:
            assert page.count(f"\n| `{name}` |") == 1, name


def test_every_row_has_five_cells():
    rows = [line for line in docs.page().splitlines() if line.startswith("| `")]
    settings = [row for row in rows if row.count(" | ") != 1]  # the patterns have two cells
    assert settings and all(row.count(" | ") == 4 for row in settings)


def test_every_group_is_used_and_known():
    groups = list(check.schema()["x-groups"])
    used = [rules["x-group"] for rules in check.properties().values()]
    assert list(dict.fromkeys(used)) == groups
