"""The user's own settings of hca-smart-sync: ``~/.hca-smart-sync/config.yaml``."""

from __future__ import annotations

from pathlib import Path

import yaml

from waybill.model.errors import WaybillError
from waybill.system.files import write_atomic

KEYS = ("profile", "atlas")


def path() -> Path:
    """Where the file is."""
    return Path.home() / ".hca-smart-sync" / "config.yaml"


def read() -> dict[str, str]:
    """The settings by name, without those that are not set. Empty when there is no file.

    Raises WaybillError, with what to do, for a file that cannot be used.
    """
    file = path()
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise WaybillError(f"{file}: not valid YAML{where}; mend or remove it") from None
    except OSError as error:
        raise WaybillError(f"{file}: cannot be read: {error.strerror}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise WaybillError(f"{file}: not a table of settings; allowed: {', '.join(KEYS)}")
    for key in KEYS:
        if not isinstance(found.get(key), str | None):
            raise WaybillError(f"{file}: {key}: not a text; mend or remove it")
    return {key: found[key] for key in KEYS if found.get(key)}


def write(settings: dict[str, str]) -> Path:
    """Write the settings; returns where."""
    file = path()
    write_atomic(file, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).encode())
    return file
