"""The configuration of ``s3-upload monitor``: that of s3_upload in JSON, or the same in TOML.

Keys, those with * required::

    max_cores      processes (all of the machine)    max_threads  threads of each (4)
    max_age        hours (72; 0 no limit)            log_level    a name or a number ("INFO")
    log_dir        folder (/var/log/s3_upload)
    slack_log_webhook, slack_alert_webhook   each stands in for the other
    command        run after each run (none)         command_timeout  seconds (30)
    manifests      put a manifest of each run into the bucket (true)
    monitor*       a list of sections:
      monitored_directories*  folders                bucket*, remote_path*  where runs go
      sample_regex            found in all samples   exclude_patterns       of files
      depth (1), settle (0, seconds), complete, complete_all, complete_timeout, aborted
                              as in preset illumina

Where a folder stands in TOML, ``~`` and variables are expanded, as in every configuration of
Waybill; in JSON they are not, as s3_upload does not. A folder that does not exist is no mistake
here: it may be back at the next pass.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waybill.config.check import check_against, kind, properties, show
from waybill.config.notify import check_webhook
from waybill.config.read import parsed, read_toml
from waybill.model.errors import ConfigError, one_line
from waybill.model.locations import check_blanks, check_bucket, local_path
from waybill.model.regexes import check_regex

LOG_DIR = "/var/log/s3_upload"

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_HOOKS = ("slack_log_webhook", "slack_alert_webhook")
_MAY_BE_EMPTY = ("sample_regex", *_HOOKS)  # as for s3_upload, an empty text is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of ``monitor``. ``prefix`` is its remote_path as a key prefix, ``""`` or ending
    in ``/``; ``settle`` is in seconds, ``complete_timeout`` in hours; ``complete`` is empty where
    the instrument decides."""

    monitored_directories: tuple[Path, ...]
    bucket: str
    prefix: str
    sample_regex: str | None = None
    exclude_patterns: tuple[str, ...] = ()
    depth: int = 1
    settle: float = 0
    complete: tuple[str, ...] = ()
    complete_all: bool = False
    complete_timeout: float = 0
    aborted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorConfig:
    """A configuration that is sound. ``max_cores`` is None for all of the machine, ``max_age`` is
    in hours, ``command_timeout`` in seconds, ``log_level`` a number of the module logging.
    Addresses and the command are never shown."""

    file: Path
    monitor: tuple[Section, ...]
    max_cores: int | None = None
    max_threads: int = 4
    max_age: float = 72
    log_level: int = 20
    log_dir: Path = Path(LOG_DIR)
    slack_log_webhook: str | None = field(default=None, repr=False)
    slack_alert_webhook: str | None = field(default=None, repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    command_timeout: float = 30
    manifests: bool = True


def load(file: str | Path) -> MonitorConfig:
    """The configuration in ``file``: TOML when its name ends in ``.toml``, else JSON.

    Raises ConfigError with every mistake found, also when the file cannot be read.
    """
    path = Path(file)
    twice: list[str] = []

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        numbers = Counter(key for key, _ in pairs)
        twice.extend(key for key, number in numbers.items() if number > 1)
        return dict(pairs)

    if path.suffix.lower() == ".toml":
        document, schema = read_toml(path), _schema(_expanded)
    else:
        document = parsed(path, lambda text: json.loads(text, object_pairs_hook=table))
        schema = _schema(_literal)
    if not isinstance(document, dict):
        problem = f"found {kind(document)}; allowed: a table of settings"
        raise ConfigError([one_line(f"{path}: {problem}")])
    document = _given(document, schema)
    problems = [f"{path}: {key}: stands twice in one table" for key in twice]
    problems += check_against(document, schema, f"{path}: ").problems
    if problems:
        raise ConfigError(list(map(one_line, problems)))
    section = schema["properties"]["monitor"]["items"]
    sections = [_used(found, section) for found in document.pop("monitor")]
    settings = _used(document, schema)
    log, alert = (settings.pop(hook, None) for hook in _HOOKS)
    return MonitorConfig(
        file=path,
        monitor=tuple(Section(prefix=found.pop("remote_path"), **found) for found in sections),
        slack_log_webhook=log or alert,
        slack_alert_webhook=alert or log,
        **settings,
    )


def _given(value: Any, rules: Mapping[str, Any]) -> Any:
    """``value`` without keys that are null, and without the keys of ``_MAY_BE_EMPTY`` whose text is
    empty."""
    if isinstance(value, list) and "items" in rules:
        return [_given(item, rules["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in rules:
        return value
    known = rules["properties"]
    return {
        key: _given(item, known.get(key, {}))
        for key, item in value.items()
        if key not in known or (item is not None and (item != "" or key not in _MAY_BE_EMPTY))
    }


def _used(value: Any, rules: Mapping[str, Any]) -> Any:
    """A checked value, ready to use: texts as ``x-parse`` converts them, and lists of such texts
    without duplicates."""
    if isinstance(value, dict):
        return {key: _used(item, rules["properties"][key]) for key, item in value.items()}
    if isinstance(value, list):
        found = tuple(_used(item, rules["items"]) for item in value)
        return tuple(dict.fromkeys(found)) if "x-parse" in rules["items"] else found
    parse = rules.get("x-parse")
    made = parse(value) if parse and isinstance(value, str) else None
    return value if made is None else made


def remote_prefix(text: str) -> str:
    """A ``remote_path`` as a key prefix, ``""`` or ending in ``/``. Raises ValueError."""
    _literal(text)
    if text.startswith("s3://"):
        raise ValueError('is an address; write the bucket into "bucket" and its path here')
    path = text.strip("/")
    if {"", ".", ".."} & set(path.split("/")) and path:
        raise ValueError('has "//", "." or ".." in it, which S3 takes literally')
    return f"{path}/" if path else ""


def _literal(text: str) -> Path:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("the path holds a control character")
    check_blanks(text)
    return Path(text).absolute()


def _expanded(text: str) -> Path:
    return local_path(text).absolute()


def _check_name(text: str) -> None:
    if {"", ".", ".."} & set(text.split("/")) or "\0" in text:
        raise ValueError("is not the path of a file within a run")


def _level(text: str) -> int:
    level = logging.getLevelNamesMapping().get(text.upper())
    if level is None:
        raise ValueError  # what is allowed says it all
    return level


def _text(allowed: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    return {"type": "string", "pattern": r"\S", "x-parse": parse, "x-allowed": allowed}


def _list(allowed: str, items: Mapping[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "x-allowed": allowed}


def _table(keys: Mapping[str, Any], others: Iterable[str], place: str) -> dict[str, Any]:
    """The schema of a table. Its message about one of the ``others``, the keys of the other kind of
    table, names the ``place`` for it."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": keys,
        "x-elsewhere": {key: f"unknown key here; it is for {place}, as {key}" for key in others},
    }


# Of a section, and of the command line.
BUCKET = _text("the name of a bucket", check_bucket)
REMOTE_PATH = _text('a path in the bucket; "/" is its top', remote_prefix)


def _schema(folder: Callable[[str], Path]) -> dict[str, Any]:
    """The schema of the whole file; ``folder`` converts a text to the path of a folder."""
    shared = properties()
    of_runs, of_notify = (shared[key]["properties"] for key in ("illumina", "notify"))
    a_folder, regex = _text("a folder", folder), _text("a regular expression", check_regex)
    section = {
        "monitored_directories": _list("a list of folders, not empty", a_folder, 1),
        "bucket": BUCKET,
        "remote_path": REMOTE_PATH,
        "sample_regex": regex,
        "exclude_patterns": _list("a list of regular expressions", regex),
        "depth": of_runs["depth"],
        "settle": shared["settle"],
        "complete": _list("a list of names of files", _text("the name of a file", _check_name)),
        **{key: of_runs[key] for key in ("complete_all", "complete_timeout", "aborted")},
    }
    top = {
        "max_cores": {"type": "integer", "minimum": 1},
        "max_threads": {"type": "integer", "minimum": 1},
        "max_age": of_runs["max_age"],
        "log_level": {
            "type": ["string", "integer"],
            "minimum": 0,
            "maximum": 50,
            "examples": _LEVELS,
            "x-parse": _level,
            "x-allowed": f"{', '.join(map(show, _LEVELS))}, or a whole number from 0 to 50",
        },
        "log_dir": a_folder,
        **{hook: {**of_notify[hook], "x-parse": check_webhook} for hook in _HOOKS},
        "command": of_notify["command"],
        "command_timeout": of_notify["command_timeout"],
        "manifests": {"type": "boolean"},
    }
    sections = _table(section, top, "the top of the file")
    sections["required"] = ["monitored_directories", "bucket", "remote_path"]
    sections["x-allowed"] = "a section, which is a table"
    monitor = _list("a list of sections, not empty", sections, 1)
    whole = _table({**top, "monitor": monitor}, section, "a section of monitor")
    return {**whole, "required": ["monitor"]}
