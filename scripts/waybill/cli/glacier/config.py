"""The configuration of ``sync-from-s3``: where the command looks for it, and what its keys are.

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

from waybill.cli.glacier import ini
from waybill.cli.glacier.arguments import ENVIRONMENTS
from waybill.config.build import check_endpoint_url
from waybill.config.check import check_against, mistaken, properties
from waybill.config.read import read_toml
from waybill.model.errors import EXIT_CONFIG, ConfigError, WaybillError
from waybill.model.locations import check_bucket, local_path
from waybill.presets.glacier import check_base_path
from waybill.system.resources import project_root

NAMES = ("config.toml", "config.ini")
PROJECT = "~/Github/greenland-glacier-flow"

# The key that names the data folder in each environment.
FOLDER_KEYS = {"hpc": "base_dir", "local": "local_base_dir"}

_ENVIRONMENT = {"type": "string", "enum": ENVIRONMENTS}


@dataclass(slots=True)
class Settings:
    """What a configuration says; ``paths`` and ``s3`` hold the keys that are set."""

    file: Path
    environment: str = "auto"
    paths: dict[str, str] = field(default_factory=dict)
    s3: dict[str, str] = field(default_factory=dict)
    notify: dict[str, Any] = field(default_factory=dict)


def find(invoked: Path) -> Path:
    """The first configuration in these folders: the folder of this command (links to it are
    followed), the working folder, the project's folder in the home.

    Raises WaybillError, which names the folders, when there is none.
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
    """The folders to look in, in order. If the command is a link, the folder of its last target
    comes first, because the project is there."""
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
            raise ConfigError([f"{file}: {ini.MODE}: {mistaken(mode, _ENVIRONMENT)}"])
        return Settings(file, mode, paths=known)
    document = read_toml(file)
    if "transfers" in document:
        text = "has [transfers]: it is for `waybill` and `snakemake`, not for sync-from-s3"
        raise ConfigError([f"{file}: {text}"])
    if problems := check_against(document, _schema(), f"{file}: ").problems:
        raise ConfigError(problems)
    return Settings(file, **document)


def _schema() -> dict[str, Any]:
    """The schema of config.toml; the transfers know that of ``notify``."""
    shared = properties()
    preset = shared["glacier"]["properties"]
    tables: dict[str, Any] = {
        "paths": {key: {"type": "string", "pattern": r"\S"} for key in FOLDER_KEYS.values()},
        "s3": {
            "bucket": {**preset["bucket"], "x-parse": check_bucket},
            "base_path": {**preset["base_path"], "x-parse": check_base_path},
            "region": shared["region"],
            "endpoint_url": {**shared["endpoint_url"], "x-parse": check_endpoint_url},
            "profile": {**shared["profile"], "pattern": r"\S"},
        },
    }
    known: dict[str, Any] = {"environment": _ENVIRONMENT}
    for (name, keys), (other, others) in permutations(tables.items(), 2):
        known[name] = {
            "type": "object",
            "additionalProperties": False,
            "properties": keys,
            "x-elsewhere": dict.fromkeys(others, f"unknown key here; it is for [{other}]"),
            "x-allowed": f"a table [{name}]",
        }
    known["notify"] = {"type": "object", "x-allowed": "a table [notify]"}
    return {"additionalProperties": False, "properties": known}


def environment_of(wanted: str, env: Mapping[str, str]) -> tuple[str, str]:
    """``hpc`` or ``local``, and the reason. ``wanted`` is ``auto`` or one of the two. ``auto``
    looks in the variables ``env`` for a cluster: ``SLURM_JOB_ID``, or ``sbatch`` on ``PATH``."""
    if wanted != "auto":
        return wanted, "as set"
    if env.get("SLURM_JOB_ID"):
        return "hpc", "SLURM_JOB_ID is set"
    if shutil.which("sbatch", path=env.get("PATH", os.defpath)):
        return "hpc", "sbatch is on PATH"
    return "local", "no SLURM"


def data_folder(settings: Settings, environment: str, why: str) -> Path:
    """The data folder of an environment, as an absolute path. A relative path in the file starts
    at the folder of the file.

    Raises WaybillError when the folder is not set or does not exist. It is never created.
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
