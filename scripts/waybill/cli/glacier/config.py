"""The configuration of ``sync-from-s3``: where it is looked for, and what it says.

``config.toml``, all keys optional but the folder that is used::

    environment = "auto"            # or "hpc", "local"
    [paths]
    base_dir = "/fs/project/glacier"     # on a cluster
    local_base_dir = "~/glacier"         # elsewhere
    [s3]
    bucket, base_path, region, endpoint_url, profile
    [notify]                             # settings `notify` of the transfers

or the project's ``config.ini`` (see ``cli.glacier.ini``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waybill.cli.glacier import ini
from waybill.cli.glacier.arguments import ENVIRONMENTS
from waybill.config.build import check_endpoint_url
from waybill.config.check import check_settings, kind, nearest, show
from waybill.config.read import read_toml
from waybill.model.errors import EXIT_CONFIG, ConfigError, WaybillError
from waybill.model.locations import check_bucket, local_path
from waybill.presets.glacier import check_base_path
from waybill.system.resources import project_root

NAMES = ("config.toml", "config.ini")
PROJECT = "~/Github/greenland-glacier-flow"

# The key that names the data folder in each environment.
FOLDER_KEYS = {"hpc": "base_dir", "local": "local_base_dir"}

_TABLES = {
    "paths": tuple(FOLDER_KEYS.values()),
    "s3": ("bucket", "base_path", "region", "endpoint_url", "profile"),
}


@dataclass(slots=True)
class Settings:
    """What a configuration says; ``paths`` and ``s3`` hold the keys that are set."""

    file: Path
    environment: str = "auto"
    paths: dict[str, str] = field(default_factory=dict)
    s3: dict[str, str] = field(default_factory=dict)
    notify: dict[str, Any] = field(default_factory=dict)


def find(invoked: Path) -> Path:
    """The configuration that counts: the first in the folder of this command, however it was
    linked to, the working folder, and the project's folder in the home.

    Raises WaybillError, naming the places, when there is none.
    """
    others = []
    folders = list(dict.fromkeys(_folders(invoked)))
    for folder in folders:
        for name in NAMES:
            file = folder / name
            if not file.is_file():
                continue
            if name == "config.toml" and _is_waybills(file):
                others.append(file)
                continue
            return file
    text = f"no {' or '.join(NAMES)} in {', '.join(map(str, folders))}"
    if others:
        text += f"; {', '.join(map(str, others))} is for `waybill` and `snakemake`"
    raise WaybillError(f"{text}; write one, or name it with --config", exit_code=EXIT_CONFIG)


def _folders(invoked: Path) -> Iterator[Path]:
    """Of a chain of links, the last folder counts first: that is where the project is."""
    hops = [invoked]
    while hops[-1].is_symlink() and len(hops) < 40:
        hops.append(hops[-1].parent / hops[-1].readlink())
    yield hops[-1].parent.resolve()
    yield project_root()
    for hop in hops[-2::-1]:
        yield hop.parent.resolve()
    yield Path.cwd()
    yield Path(PROJECT).expanduser()


def _is_waybills(file: Path) -> bool:
    """Whether a config.toml is a configuration of the workflow, which has [transfers]."""
    try:
        return "transfers" in read_toml(file)
    except ConfigError:
        return False


def read(file: Path) -> Settings:
    """The settings in ``file``. Raises ConfigError with every mistake in it."""
    if file.suffix == ".ini":
        known = ini.read(file)
        mode = known.pop(ini.MODE, "auto").lower()
        if mode not in ENVIRONMENTS:
            raise ConfigError([f"{file}: {ini.MODE}: {_not_allowed(mode, ENVIRONMENTS)}"])
        return Settings(file, mode, paths=known)
    document = read_toml(file)
    if "transfers" in document:
        text = "has [transfers]: it is for `waybill` and `snakemake`, not for sync-from-s3"
        raise ConfigError([f"{file}: {text}"])
    problems = list(_problems(document))
    if problems:
        raise ConfigError([f"{file}: {problem}" for problem in problems])
    return Settings(file, **document)


def _problems(document: Mapping[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        if key == "environment":
            if not isinstance(value, str):
                yield f"{key}: found {kind(value)}; allowed: {_listed(ENVIRONMENTS)}"
            elif value not in ENVIRONMENTS:
                yield f"{key}: {_not_allowed(value, ENVIRONMENTS)}"
        elif key in (*_TABLES, "notify"):
            if not isinstance(value, dict):
                yield f"{key}: found {kind(value)}; allowed: a table [{key}]"
            elif key in _TABLES:
                yield from _table_problems(key, value)
        else:
            yield f"{key}: {_unknown(key, '')}"


def _table_problems(table: str, settings: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        name = f"{table}.{key}"
        if key not in _TABLES[table]:
            yield f"{name}: {_unknown(key, table)}"
        elif not isinstance(value, str) or not value.strip():
            yield f"{name}: found {kind(value) if value != '' else 'nothing'}; allowed: text"
        elif key in _CHECKS:
            try:
                _CHECKS[key](value)
            except ValueError as error:
                yield f"{name}: {error}"


def _check_region(value: str) -> None:
    if problems := check_settings({"region": value}, "").problems:
        raise ValueError(problems[0].removeprefix("region: "))


_CHECKS: dict[str, Callable[[str], None]] = {
    "bucket": check_bucket,
    "base_path": check_base_path,
    "endpoint_url": check_endpoint_url,
    "region": _check_region,
}


def _unknown(key: str, table: str) -> str:
    names = {"environment": "environment"} | {name: f"[{name}]" for name in (*_TABLES, "notify")}
    names |= {leaf: f"{name}.{leaf}" for name, keys in _TABLES.items() for leaf in keys}
    near = nearest(key, names)
    allowed = ", ".join(_TABLES.get(table, ("environment", *_TABLES, "notify")))
    return f'unknown key; did you mean "{names[near]}"?' if near else f"unknown; allowed: {allowed}"


def _not_allowed(value: str, choices: tuple[str, ...]) -> str:
    near = nearest(value, choices)
    hint = f' did you mean "{near}"?' if near else ""
    return f"{show(value)} is not allowed;{hint} allowed: {_listed(choices)}"


def _listed(choices: tuple[str, ...]) -> str:
    return ", ".join(map(show, choices))


def environment_of(wanted: str, env: Mapping[str, str]) -> tuple[str, str]:
    """``hpc`` or ``local``, and why. ``wanted`` is ``auto`` or one of the two; ``env`` are the
    variables that tell a cluster: ``SLURM_JOB_ID``, or ``sbatch`` on ``PATH``."""
    if wanted != "auto":
        return wanted, "as set"
    if env.get("SLURM_JOB_ID"):
        return "hpc", "SLURM_JOB_ID is set"
    if shutil.which("sbatch", path=env.get("PATH", os.defpath)):
        return "hpc", "sbatch is on PATH"
    return "local", "no SLURM"


def data_folder(settings: Settings, environment: str, why: str) -> Path:
    """The data folder of an environment, absolute; a relative one starts where its file is.

    Raises WaybillError when it is not set or is no folder: it is never made.
    """
    key, file = FOLDER_KEYS[environment], settings.file
    other = next(name for name in FOLDER_KEYS if name != environment)
    how = f'environment "{environment}": {why}; `--environment {other}` uses {FOLDER_KEYS[other]}'
    try:
        if key not in settings.paths:
            raise ValueError(f"not set ({how})")
        folder = (file.parent.absolute() / local_path(settings.paths[key])).absolute()
        if not folder.is_dir():
            state = "is not a folder" if folder.exists() else "does not exist"
            raise ValueError(f"the data folder {folder} {state}; make it, or mend {key} ({how})")
        str(folder).encode()
    except UnicodeEncodeError:
        text = "is not UTF-8, which a configuration cannot hold"
    except ValueError as error:
        text = str(error)
    except OSError as error:
        text = f"{error.filename}: {error.strerror}"
    else:
        return folder
    raise WaybillError(f"{file}: {key}: {text}", exit_code=EXIT_CONFIG)
