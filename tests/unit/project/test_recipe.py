"""The recipe for bioconda says what pyproject.toml says and what bioconda asks for."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jinja2
import pytest
import yaml

from waybill import __version__

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def recipe() -> dict:
    """The recipe as conda-build renders it."""
    text = (ROOT / "packaging" / "meta.yaml").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    pinned = lambda name, max_pin: f"{name} {max_pin}"  # noqa: E731
    return yaml.safe_load(environment.from_string(text).render(PYTHON="py", pin_subpackage=pinned))


def spaced(requirement: str) -> str:
    """A requirement of pip as conda has it: ``boto3 >=1.40``."""
    at = min(requirement.find(c) for c in "<>=" if c in requirement)
    return f"{requirement[:at]} {requirement[at:]}"


def test_the_recipe_has_the_name_bounds_and_commands_of_the_project(recipe: dict) -> None:
    assert recipe["package"]["name"] == PROJECT["name"]
    extras = PROJECT["optional-dependencies"]
    wanted = {spaced(text) for text in [*PROJECT["dependencies"], *extras["slurm"]]}
    wanted = {text.replace("snakemake >", "snakemake-minimal >") for text in wanted}
    python = f"python {PROJECT['requires-python']}"
    assert set(recipe["requirements"]["run"]) == wanted | {python}
    assert python in recipe["requirements"]["host"]
    commands = {f"{name} = {function}" for name, function in PROJECT["scripts"].items()}
    assert set(recipe["build"]["entry_points"]) == commands
    tested = {line.split()[0] for line in recipe["test"]["commands"]}
    assert tested == {*PROJECT["scripts"], "snakemake"}


def test_the_recipe_has_what_bioconda_asks_for(recipe: dict) -> None:
    """The checks of `bioconda-utils lint` that need no channel: completeness, policy, noarch."""
    order = ["package", "source", "build", "requirements", "test", "about", "extra"]
    assert list(recipe) == order
    assert recipe["build"]["number"] == 0
    assert recipe["build"]["noarch"] == "python"
    assert recipe["build"]["run_exports"] == ["snakemake-waybill x.x"]  # of versions 0.x
    assert set(recipe["source"]) == {"url", "sha256"}
    assert len(recipe["source"]["sha256"]) == 64
    about = recipe["about"]
    assert about["license"] == PROJECT["license"]
    assert (ROOT / about["license_file"]).is_file()
    assert about["home"]
    assert len(about["summary"]) <= 120
    assert recipe["test"]["imports"] == ["waybill"]
    assert recipe["extra"]["recipe-maintainers"]


def test_the_version_stands_in_the_package_alone() -> None:
    assert PROJECT["dynamic"] == ["version"]
    for name in ("pyproject.toml", "CITATION.cff", "README.md", "packaging/meta.yaml"):
        assert __version__ not in (ROOT / name).read_text(encoding="utf-8")
