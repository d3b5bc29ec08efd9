"""The configuration of ``s3-upload monitor``: that of s3_upload in JSON, or the same in TOML.

Keys, those with * required::

    max_cores      processes (all of the machine)    max_threads  threads of each (4)
    max_age        hours (72; 0 no limit)            log_level    a name or a number ("INFO")
    log_dir        folder (/var/log/s3_upload)
    slack_log_webhook, slack_alert_webhook   each stands in for the other
    monitor*       a list of sections:
      monitored_directories*  folders                bucket*, remote_path*  where runs go
      sample_regex            found in all samples   exclude_patterns       of files
      depth (1), settle (0, seconds), complete       as in preset illumina

Where a folder stands in TOML, ``~`` and variables are expanded, as in every configuration of
Waybill; in JSON they are not, as s3_upload does not. A folder that does not exist is no mistake
here: it may be back at the next pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waybill.cli.s3_upload import checks
from waybill.cli.s3_upload.checks import Check, Checker
from waybill.config.check import dotted, kind, nearest
from waybill.model.errors import ConfigError, one_line

LOG_DIR = "/var/log/s3_upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of ``monitor``. ``prefix`` is its remote_path as a key prefix, ``""`` or ending
    in ``/``; ``settle`` is in seconds; ``complete`` is empty where the instrument decides."""

    monitored_directories: tuple[Path, ...]
    bucket: str
    prefix: str
    sample_regex: str | None = None
    exclude_patterns: tuple[str, ...] = ()
    depth: int = 1
    settle: float = 0
    complete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorConfig:
    """A configuration that is sound. ``max_cores`` is None for all of the machine, ``max_age`` is
    in hours, ``log_level`` a number of the module logging. Addresses are never shown."""

    file: Path
    monitor: tuple[Section, ...]
    max_cores: int | None = None
    max_threads: int = 4
    max_age: float = 72
    log_level: int = 20
    log_dir: Path = Path(LOG_DIR)
    slack_log_webhook: str | None = field(default=None, repr=False)
    slack_alert_webhook: str | None = field(default=None, repr=False)


_SECTION: dict[str, Check] = {
    "monitored_directories": checks.folders,
    "bucket": checks.bucket,
    "remote_path": checks.prefix,
    "sample_regex": checks.regex,
    "exclude_patterns": checks.regexes,
    "depth": checks.whole(1, 8),
    "settle": checks.number,
    "complete": checks.names,
}
_TOP: dict[str, Check] = {
    "max_cores": checks.whole(1),
    "max_threads": checks.whole(1),
    "max_age": checks.number,
    "log_level": checks.log_level,
    "log_dir": checks.folder,
    "slack_log_webhook": checks.webhook,
    "slack_alert_webhook": checks.webhook,
}
_REQUIRED = ("monitored_directories", "bucket", "remote_path")


def load(file: str | Path) -> MonitorConfig:
    """The configuration in ``file``: TOML when its name ends in ``.toml``, else JSON.

    Raises ConfigError with every mistake found, also when the file cannot be read.
    """
    path = Path(file)
    is_toml = path.suffix.lower() == ".toml"
    document, problems = _parse(path, is_toml)
    checker = Checker(expands=is_toml)
    settings = _settings(document, (), _TOP, (), checker)
    sections = _sections(document, checker)
    problems += [f"{dotted(where)}: {text}" for where, text in checker.problems]
    if problems:
        raise ConfigError([one_line(f"{path}: {problem}") for problem in problems])
    log, alert = (settings.pop(f"slack_{name}_webhook", None) for name in ("log", "alert"))
    return MonitorConfig(
        file=path,
        monitor=tuple(sections),
        slack_log_webhook=log or alert,
        slack_alert_webhook=alert or log,
        **settings,
    )


def _parse(path: Path, is_toml: bool) -> tuple[dict[str, Any], list[str]]:
    import tomli

    twice: list[str] = []
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = tomli.loads(text) if is_toml else _parse_json(text, twice)
    except FileNotFoundError:
        problem = "no such file"
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8; save the file as UTF-8"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except tomli.TOMLDecodeError as error:
        problem = f"not valid TOML: {error}"
    except json.JSONDecodeError as error:
        problem = f"not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:  # a number of thousands of digits
        problem = f"cannot be read: {error}"
    else:
        if isinstance(document, dict):
            return document, [f"{key}: stands twice in one table" for key in twice]
        problem = f"found {kind(document)}; allowed: a table of settings"
    raise ConfigError([one_line(f"{path}: {problem}")])


def _parse_json(text: str, twice: list[str]) -> Any:
    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    return json.loads(text, object_pairs_hook=table)


def _sections(document: Mapping[str, Any], checker: Checker) -> list[Section]:
    sections = document.get("monitor")
    if not isinstance(sections, list) or not sections:
        how = f"found {kind(sections)}" if sections is not None else "missing"
        checker.problem(("monitor",), f"{how}; allowed: a list of sections, not empty")
        return []
    found = []
    for number, table in enumerate(sections):
        where = ("monitor", number)
        if not isinstance(table, dict):
            checker.problem(where, f"found {kind(table)}; allowed: a section, which is a table")
            continue
        before = len(checker.problems)
        settings = _settings(table, where, _SECTION, _REQUIRED, checker)
        if len(checker.problems) == before:
            found.append(Section(prefix=settings.pop("remote_path"), **settings))
    return found


def _settings(
    table: Mapping[str, Any],
    where: tuple[str | int, ...],
    known: Mapping[str, Check],
    required: tuple[str, ...],
    checker: Checker,
) -> dict[str, Any]:
    """The settings of one table as they are used, without the mistaken ones."""
    found = {}
    for key in required:
        if table.get(key) is None:
            checker.problem((*where, key), "missing")
    for key, value in table.items():
        if key not in known:
            if where or key != "monitor":
                checker.problem((*where, key), _unknown(key, known, top=not where))
        elif value is not None:  # null in JSON is as good as not there
            converted = known[key](checker, (*where, key), value)
            if converted is not None:
                found[key] = converted
    return found


def _unknown(key: str, known: Mapping[str, Check], *, top: bool) -> str:
    normal = key.lower().replace("-", "_")
    if top and normal in _SECTION:
        return f"unknown key here; it is for a section of monitor, as {normal}"
    if not top and normal in _TOP:
        return f"unknown key here; it is for the top of the file, as {normal}"
    names = [*known, "monitor"] if top else list(known)
    near = nearest(normal, names)
    if near is not None:
        return f'unknown key; did you mean "{near}"?'
    return f"unknown key; allowed: {', '.join(names)}"
