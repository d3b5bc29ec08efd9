"""A line that is no TOML is shown with the right form, which is TOML; a secret is not shown."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from waybill.config import read
from waybill.config.toml_mistakes import plain_name
from waybill.model.errors import ConfigError
from waybill.model.locations import local_path


def mistake(folder: Path, line: str) -> str:
    """What is said about a configuration with this line, as a whole."""
    file = folder / "c.toml"
    file.write_text(line if line.lstrip().startswith("[") else f"[transfers.t]\n{line}\n")
    with pytest.raises(ConfigError) as error:
        read.load(file)
    (problem,) = error.value.problems
    return problem.removeprefix(f"{file}: not valid TOML: ")


@pytest.mark.parametrize(
    "line, right",
    [
        ('source = "C:\\data\\new"', 'source = "/mnt/c/data/new"'),
        ('source = "\\\\server\\Users\\x"', "source = '\\\\server\\Users\\x'"),
        ('include = "\\w+.h5"', "include = '\\w+.h5'"),
        ("source = /data/new", 'source = "/data/new"'),
        ("source = My Data/new", 'source = "My Data/new"'),
        ("source = C:\\data", "source = 'C:\\data'"),
        ("destination = s3://mine/x/", 'destination = "s3://mine/x/"'),
        ("source: /data/new", 'source = "/data/new"'),
        ('source: "/data/new"', 'source = "/data/new"'),
        ("settle: 60", "settle = 60"),
        ("publish = False", "publish = false"),
        ("include = [*.h5, a/b]", 'include = ["*.h5", "a/b"]'),
        ('source = "/data', 'source = "/data"'),
        ("[transfers.größe]", "[transfers.grosse]"),
        ("[transfers.my data]", "[transfers.my-data]"),
        ("[transfers.数据]", "[transfers.data]"),
    ],
)
def test_the_line_and_its_right_form(tmp_path: Path, line: str, right: str) -> None:
    said = mistake(tmp_path, line)
    number = 1 if line.startswith("[") else 2
    assert said.startswith(f"line {number}: {line}: ")
    assert said.endswith(right)
    tomli.loads(right)


def test_a_line_that_nobody_understands_is_shown_with_the_column(tmp_path: Path) -> None:
    said = mistake(tmp_path, 'source = "data" x')
    assert said.startswith("Expected newline")
    assert said.endswith('(at line 2, column 17): source = "data" x')
    assert "that is YAML; TOML has [transfers.NAME]" in mistake(tmp_path, "transfers:")


@pytest.mark.parametrize("key", ["notify.smtp_password", "notify.webhook", "secret_access_key"])
def test_a_secret_is_never_shown(tmp_path: Path, key: str) -> None:
    said = mistake(tmp_path, f"{key} = hush-hush")
    assert "hush" not in said
    assert "line 2" in said


def test_a_path_of_windows_is_no_folder_beside_the_configuration() -> None:
    for text in ("C:\\data\\new", "C:/data/new"):
        with pytest.raises(ValueError, match=r'path of Windows; in WSL it is "/mnt/c/data/new"'):
            local_path(text)
    assert local_path("./C:/data") == Path("C:/data")


def test_plain_names() -> None:
    assert plain_name("größe") == "grosse"
    assert plain_name("Ærø-2") == "r-2"
    assert plain_name("_") == "data"
