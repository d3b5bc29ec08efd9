"""Which presets there are: those of the package, and those of other distributions."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from support.published import publish, publish_seis
from waybill.cli import main
from waybill.config import check, docs
from waybill.model.errors import ConfigError
from waybill.presets import registry

SEIS = '[transfers.t]\npreset = "seis"\nsource = "/d"\nseis.network = "GR"\n'


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of distributions that Python finds."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def forget():
        for known in (registry.published, registry._load, check.schema_of_all):
            known.cache_clear()
        for name in [name for name in sys.modules if name.startswith("waybill_")]:
            del sys.modules[name]

    forget()
    yield tmp_path / "site"
    forget()


@pytest.fixture
def refused(load):
    """The only problem of a configuration."""

    def _refused(text):
        with pytest.raises(ConfigError) as caught:
            load(text)
        (problem,) = caught.value.problems
        return problem

    return _refused


def module(**changes):
    arguments = {"name": '"seis"', **changes}
    given = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return f"from waybill.presets.preset import Preset\nPRESET = Preset({given})\n"


def test_every_preset_of_the_package_is_called_like_its_module():
    folder = Path(registry.__file__).parent
    places = {path.stem for path in folder.iterdir() if not path.name.startswith("__")}
    assert set(registry.built_in()) == places - {"preset", "registry"}
    assert all(registry.get(name) is preset for name, preset in registry.built_in().items())


def test_entry_points_are_not_read_for_presets_of_the_package(load, monkeypatch):
    registry.published.cache_clear()
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: 1 / 0)
    text = '[transfers.{0}]\npreset = "{0}"\nsource = "/d"\ndestination = "s3://bucket/{0}"\n'
    found = load(text.format("generic") + text.format("ifcb") + text.format("illumina"))
    assert {registry.get(transfer.preset).name for transfer in found.values()} == set(found)


def test_a_published_preset(load, site):
    publish_seis(site)
    transfer = load(SEIS)["t"]
    assert transfer.preset_settings == {"network": "GR", "bucket": "seis-archive", "today": False}
    assert (transfer.url, transfer.include) == ("s3://seis-archive/GR/", ("*.mseed",))
    assert (transfer.tool, transfer.compare) == ("seis-archive", "size")
    assert load(f'{SEIS}compare = "mtime"\n')["t"].compare == "mtime"
    assert load(SEIS, overrides={"seis": {"today": True}})["t"].preset_settings["today"]


def test_its_table_is_for_it_alone(refused, site):
    publish_seis(site)
    other = '[transfers.t]\nsource = "/d"\ndestination = "s3://bucket"\n'
    assert refused(f"{other}seis.today = true") == (
        'c.toml: transfers.t.seis: only with preset = "seis"'
    )
    assert refused(f"[defaults]\nseis.today = true\n{other}") == (
        'c.toml: defaults.seis: only with preset "seis", which no transfer has'
    )


def test_the_page_has_it_when_asked(site, tmp_path, capsys):
    publish_seis(site)
    assert "seis" not in docs.page()
    page = docs.page(published=True)
    assert "## Preset seis (seismometers)\n" in page
    assert "\n| `seis.today` | true or false | `false` |" in page
    assert "but presets `hca`, `glacier` and `seis` derive it." in page
    (site / "waybill_seis.py").write_text("1 / 0")
    check.schema_of_all.cache_clear()
    registry._load.cache_clear()
    del sys.modules["waybill_seis"]
    assert docs.main(["--published", "--write", "--file", str(tmp_path / "page.md")]) == 2
    assert "waybill-seis 1.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("", "AttributeError: module 'waybill_x' has no attribute 'PRESET'"),
        ("PRESET = {}", "waybill_x:PRESET is no waybill.presets.preset.Preset"),
        (module(name='"seiss"'), 'waybill_x:PRESET is called "seiss"'),
        (module(settings="{'a': {'type': 'txt'}}"), "its table: properties.a.type: 'txt' is not"),
    ],
)
def test_one_that_cannot_be_used_names_its_distribution(refused, site, text, why):
    publish(site, "waybill-x", {"seis": "waybill_x:PRESET"}, waybill_x=text)
    expected = f'preset "seis" of waybill-x 1.0 cannot be loaded: {why}'
    assert refused(SEIS).startswith(expected)


def test_one_that_nobody_asks_for_is_in_nobodys_way(load, refused, site):
    publish(site, "waybill-x", {"seis": "waybill_x:PRESET"}, waybill_x="1 / 0")
    plain = '[transfers.t]\nsource = "/d"\ndestination = "s3://bucket"\n'
    assert load(plain)["t"].preset == "generic"
    assert refused(f'{plain}preset = "seiss"').endswith('"illumina", "ifcb", "seis"')
    assert refused(f"{plain}compere = 1").startswith("c.toml: transfers.t.compere: unknown key")


def test_names_that_are_taken(load, refused, site):
    publish(
        site,
        "waybill-x",
        {"hca": "waybill_x:PRESET", "tags": "waybill_x:TAGS"},
        waybill_x=module() + 'TAGS = Preset(name="tags")\n',
    )
    own = load('[transfers.t]\npreset = "hca"\nsource = "/d"\nhca.atlas = "gut-v1"\n')["t"]
    assert own.tool == "hca-smart-sync"
    assert refused('[transfers.t]\npreset = "tags"\nsource = "/d"\n') == (
        'preset "tags" of waybill-x 1.0 cannot be loaded: its name is that of a setting'
    )


def test_two_of_one_name(refused, site):
    for name in ("x", "y"):
        point = {"seis": f"waybill_{name}:PRESET"}
        publish(site, f"waybill-{name}", point, **{f"waybill_{name}": module()})
    problem = refused(SEIS)
    assert "of waybill-x 1.0 and waybill-y 1.0" in problem and "uninstall all but one" in problem


def test_what_it_sets_is_held_against_the_schema(refused, site):
    text = module(defaults="lambda settings: {'destination': 's3://bucket', 'settle': 'long'}")
    publish(site, "waybill-x", {"seis": "waybill_x:PRESET"}, waybill_x=text)
    assert refused('[transfers.t]\npreset = "seis"\nsource = "/d"\n') == (
        'preset "seis" sets settle: found text; allowed: a number, at least 0'
    )


def test_its_secrets_are_not_shown(site, tmp_path, capsys):
    settings = "{'key': {'type': 'string', 'x-secret': True}, 'open': {'type': 'string'}}"
    text = module(settings=settings)
    publish(site, "waybill-x", {"seis": "waybill_x:PRESET"}, waybill_x=text)
    toml = tmp_path / "c.toml"
    toml.write_text(
        '[transfers.t]\npreset = "seis"\nsource = "/d"\ndestination = "s3://bucket"\n'
        'seis = {key = "HUSH", open = "said"}\n'
    )
    assert main.main(["config", "--config", str(toml)]) == 0
    shown = capsys.readouterr().out
    assert "HUSH" not in shown and "seis.key is set and not shown" in shown
    assert 'seis.open = "said"' in shown
