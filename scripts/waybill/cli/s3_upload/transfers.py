"""The transfers of ``s3-upload``, which have preset ``illumina``, and the credentials it uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from waybill.cli.s3_upload.arguments import MOST_THREADS, PROGRAM, Upload
from waybill.cli.s3_upload.config import (
    BUCKET,
    REMOTE_PATH,
    MonitorConfig,
    Section,
    remote_prefix,
)
from waybill.config.check import check_against, toml
from waybill.model.errors import EXIT_CONFIG, ConfigError, WaybillError

RUN = "run"  # the transfer of a single run

# The variables of the seed, which no other program uses, and those of the AWS chain.
_KEYS = {"AWS_ACCESS_KEY": "AWS_ACCESS_KEY_ID", "AWS_SECRET_KEY": "AWS_SECRET_ACCESS_KEY"}
_TOKENS = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


def credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The seed's own key pair under the names that the AWS chain knows; nothing without one.

    Raises WaybillError when half of the pair is missing, or when a profile is named, too.
    """
    given = {name: environ[name] for name in _KEYS if environ.get(name)}
    if not given:
        return {}
    if missing := [name for name in _KEYS if name not in given]:
        text = f"{next(iter(given))} is set and {missing[0]} is not: no AWS credentials in them"
        raise WaybillError(f"{text}; set both or neither", exit_code=EXIT_CONFIG)
    if environ.get("AWS_DEFAULT_PROFILE"):
        text = "AWS_DEFAULT_PROFILE and AWS_ACCESS_KEY are both set, AWS credentials of two kinds"
        raise WaybillError(f"{text}; set one of them", exit_code=EXIT_CONFIG)
    return {_KEYS[name]: value for name, value in given.items()}


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the workflow. Raises WaybillError as ``credentials`` does."""
    left_out = {"SNAKEMAKE_PROFILE", *_KEYS}
    pair = credentials(environ)
    if pair:  # a session token in the environment belongs to another pair
        left_out.update(_TOKENS)
    return {name: value for name, value in environ.items() if name not in left_out} | pair


def place(wish: Upload) -> tuple[str, str]:
    """Bucket and key prefix of an upload. Raises ConfigError that names the options at fault."""
    rules = {"properties": {"--bucket": BUCKET, "--remote_path": REMOTE_PATH}}
    given = {"--bucket": wish.bucket, "--remote_path": wish.remote_path}
    if problems := check_against(given, rules, "").problems:
        raise ConfigError(problems)
    return wish.bucket, remote_prefix(wish.remote_path)


def of_upload(wish: Upload, folder: Path, bucket: str, prefix: str) -> str:
    """The configuration of the workflow for one run, which is looked at in every case."""
    settings = {
        "preset": "illumina",
        "source": _literal(folder),
        "destination": f"s3://{bucket}/{prefix}",
        "max_concurrency": wish.threads,
        "publish": None if wish.manifest else False,
        "illumina.recheck": 0,
        "illumina.skip_check": wish.skip_check,
    }
    return _document([(RUN, settings)])


def of_monitor(config: MonitorConfig) -> str:
    """The configuration of the workflow for a monitor: a transfer for each section."""
    shared = {
        "preset": "illumina",
        "max_concurrency": min(config.max_threads, MOST_THREADS),
        "publish": None if config.manifests else False,
        "illumina.max_age": config.max_age,
        "illumina.uploads": str(uploads(config)),
    }
    names = section_names(config.monitor)
    pairs = zip(names, config.monitor, strict=True)
    return _document([(name, shared | _of_section(section)) for name, section in pairs])


def uploads(config: MonitorConfig) -> Path:
    """The folder of the state files."""
    return config.log_dir / "uploads"


def section_names(sections: Iterable[Section]) -> list[str]:
    """A name for each section, made from its destination. By this name its results are found again
    after the configuration has changed."""
    names: list[str] = []
    for section in sections:
        base = plain(f"{section.bucket}/{section.prefix}")
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}-{number}"
        names.append(name)
    return names


def plain(text: str) -> str:
    """``text`` as the name of a folder or a transfer."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-_")


def _of_section(section: Section) -> dict[str, Any]:
    return {
        "source": [_literal(folder) for folder in section.monitored_directories],
        "destination": f"s3://{section.bucket}/{section.prefix}",
        "settle": section.settle,
        "illumina.depth": section.depth,
        "illumina.sample_regex": section.sample_regex,
        "illumina.exclude_patterns": list(section.exclude_patterns),
        "illumina.complete": list(section.complete) or None,
        "illumina.complete_all": section.complete_all,
        "illumina.complete_timeout": section.complete_timeout,
        "illumina.aborted": section.aborted,
    }


def _literal(folder: Path) -> str:
    """A folder as a configuration names it. Raises WaybillError for one it cannot hold."""
    text = str(folder)
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = text.encode(errors="backslashreplace").decode()
        text = f"{shown}: the path is not UTF-8, which a configuration cannot hold"
        raise WaybillError(text, exit_code=EXIT_CONFIG) from None
    return text.replace("$", "$$")


def _document(transfers: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    lines = [f"# Written by {PROGRAM} at every start."]
    for name, settings in transfers:
        lines += ["", f"[transfers.{name}]"]
        lines += [f"{key} = {toml(value)}" for key, value in settings.items() if value is not None]
    return "\n".join([*lines, ""])
