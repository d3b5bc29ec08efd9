"""Reads the configuration and returns its transfers, with all settings checked.

Settings are merged in this order, later ones win: the defaults of the schema, those of a Snakemake
profile, those of the preset, ``[defaults]``, ``[transfers.NAME]``, overrides from outside the file.
Tables are joined key by key; everything else, lists too, is replaced. All mistakes are reported at
once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waybill.config.toml_mistakes import toml_advice
from waybill.model.errors import ConfigError, one_line
from waybill.model.transfer import Transfer

if TYPE_CHECKING:
    from waybill.config.build import Builder


def load(
    path: str | Path,
    *,
    transfers: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    beneath: Mapping[str, Any] | None = None,
    directory: Path | None = None,
) -> dict[str, Transfer]:
    """The transfers configured in the TOML file ``path``, by name and in the order of the file.

    ``transfers`` picks some of them (None or empty: all); the others are checked all the same.
    ``overrides`` are settings that replace those of every picked transfer; None does not count.
    ``beneath`` are the settings of a Snakemake profile, which presets and the file replace.
    ``directory`` is the folder that the workflow runs in (None: the present working folder).
    Raises ConfigError with every mistake, also when the file cannot be read.
    """
    return from_table(
        read_toml(path), path,
        transfers=transfers, overrides=overrides, beneath=beneath, directory=directory,
    )  # fmt: skip


def from_table(
    table: dict[str, Any],
    path: str | Path,
    *,
    transfers: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    beneath: Mapping[str, Any] | None = None,
    directory: Path | None = None,
    builders: dict[str, Builder] | None = None,
) -> dict[str, Transfer]:
    """As ``load``, of what the file ``path`` holds or will hold. ``builders`` gets what built each
    transfer, which knows where a setting comes from."""
    from waybill.config.build import Builder, Layer
    from waybill.config.check import Checked, check_document, check_settings, preset_tables

    file = os.fspath(path)
    document = check_document(table, f"{file}: ")
    above = check_settings(_plain(overrides), "command line: ") if overrides else Checked({})
    below = check_settings(_plain(beneath), "profile: ") if beneath else Checked({})
    problems = document.problems + above.problems + below.problems
    for given, where in ((overrides, "command line"), (beneath, "profile")):
        if given and "notify" in given:
            problems.append(f"{where}: notify: only in the TOML file; elsewhere it would be seen")
    shared = document.valid.get("defaults", {})
    sections = document.valid.get("transfers", {})
    broken = [keys[1] for keys in document.removed if keys[0] == "transfers" and len(keys) == 2]
    picked = list(transfers or sections)
    if ("transfers",) not in document.removed:
        problems += _unknown_names(file, picked, [*sections, *broken])

    built: list[Transfer] = []
    used_presets: set[str | None] = set()
    for name, settings in sections.items():
        layers = [Layer(f"{file}: defaults.", shared)]
        layers.append(Layer(f"{file}: transfers.{name}.", settings))
        removed = {keys[1] for keys in document.removed if keys[0] == "defaults" and keys[1:]}
        removed |= {keys[2] for keys in document.removed if keys[1:2] == (name,) and keys[2:]}
        if name in picked:
            layers.append(Layer("command line: ", above.valid))
            removed |= {keys[0] for keys in above.removed}
        builder = Builder(name, layers, removed, beneath=below.valid)
        transfer = builder.build()
        problems += builder.problems
        used_presets.add(builder.preset)
        if builders is not None:
            builders[name] = builder
        if transfer is not None:
            built.append(transfer)
    for preset in preset_tables(shared) if sections and not broken else ():
        if not used_presets & {preset, None}:
            text = f'only with preset "{preset}", which no transfer has'
            problems.append(f"{file}: defaults.{preset}: {text}")
    problems += _misplaced(built, file, directory or Path.cwd())
    if problems:
        raise ConfigError([one_line(problem) for problem in dict.fromkeys(problems)])
    return {transfer.name: transfer for transfer in built if transfer.name in picked}


def _misplaced(transfers: Sequence[Transfer], file: str, directory: Path) -> list[str]:
    """The messages about destinations that are not allowed, or that two transfers may not share."""
    from waybill.config.destinations import collisions, exposed

    wrong = [(t.name, exposed(t, directory, Path(file))) for t in transfers]
    wrong = [(name, text) for name, text in wrong if text]
    wrong += collisions(transfers)
    return [f"{file}: transfers.{name}.destination: {text}" for name, text in wrong]


def read_toml(file: str | Path) -> dict[str, Any]:
    """What a TOML file holds. Raises ConfigError, which names it, when it cannot be read."""
    import tomli

    return parsed(file, tomli.loads)


def parsed(file: str | Path, parse: Callable[[str], Any]) -> Any:
    """What ``parse`` makes of the text of a file. Raises ConfigError, which names the file, when it
    cannot be read or is not valid JSON or TOML."""
    import tomli

    text = ""
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
        return parse(text)
    except FileNotFoundError:
        problem = "no such file"
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8; save the file as UTF-8"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except tomli.TOMLDecodeError as error:
        problem = f"not valid TOML: {toml_advice(text, str(error))}"
    except json.JSONDecodeError as error:
        problem = f"not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:  # a number of thousands of digits
        problem = f"cannot be read: {error}"
    raise ConfigError([one_line(f"{file}: {problem}")])


def _plain(value: Any) -> Any:
    """An override in the types that TOML has. Members that are None are left out."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _unknown_names(file: str, picked: Sequence[str], known: Sequence[str]) -> list[str]:
    from waybill.config.check import nearest

    problems = []
    for name in dict.fromkeys(picked):
        if name not in known:
            near = nearest(name, known)
            hint = f' did you mean "{near}"?' if near is not None else ""
            problems.append(f'{file}: no transfer "{name}";{hint} configured: {", ".join(known)}')
    return problems
