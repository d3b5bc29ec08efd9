"""``waybill copy``: a transfer without a file. The file that describes it is written."""

from __future__ import annotations

import argparse
import glob
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from waybill.cli import settings_text, state_folder
from waybill.cli.commands import options, run
from waybill.cli.terminal import Screen, printable
from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.model.locations import is_s3
from waybill.model.transfer import Transfer

# The first line of a file that may be written anew.
HEAD = "# Written by `waybill copy`, which writes it anew. Remove this line to keep your changes."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a folder, a file, or s3://bucket/prefix/")
    add("destination", metavar="DESTINATION", nargs="?", help="s3://bucket/prefix/, or a folder")
    add("--preset", metavar="NAME", help="settings of a community, see docs/presets.md")
    add("--include", metavar="PATTERN", action="append", help="only these files; may be repeated")
    add("--exclude", metavar="PATTERN", action="append", help="not these; may be repeated")
    add("--endpoint-url", metavar="URL", help="the store, unless it is Amazon's")
    add("--region", metavar="NAME", help="region of the bucket")
    add("--aws-profile", metavar="NAME", help="profile of the AWS configuration files")
    add(
        "--set", metavar="KEY=VALUE", action="append", type=settings_text.setting, default=[],
        help="any other key of docs/configuration.md; may be repeated",
    )  # fmt: skip
    add("--results", metavar="FOLDER", default="results", help="default: results")
    add("--name", metavar="NAME", help="of the transfer (default: made from SOURCE)")
    options.add_run(parser)
    options.add_quiet(parser)
    options.add_json(parser, "events, a line of JSON each")
    options.add_snakemake(parser)


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Write the configuration of the transfer, then do what ``run`` does; returns its exit code."""
    given.transfers, file = prepare(given)
    given.config = os.path.relpath(file)
    screen.line(f"Settings: {printable(given.config)}")
    return run.command(screen, given)


def prepare(given: argparse.Namespace) -> tuple[str, Path]:
    """The name of the transfer, and the file of its configuration, which is written.

    Raises WaybillError when the transfer cannot be, or when the file is not one of this command;
    then nothing is written.
    """
    settings = _settings(given)
    name = given.name or _name(given)
    results = Path(given.results).absolute()
    file = results / f"{name}.toml"
    _keep(file)
    settings["results"] = settings_text.place(os.fspath(results))
    (transfer,) = state_folder.check(file, _text(name, settings), Path.cwd()).values()
    settings |= _one_object(transfer, settings)
    state_folder.configure(file, _text(name, settings), Path.cwd())
    return name, file


def _settings(given: argparse.Namespace) -> dict[str, Any]:
    """The settings of the transfer as a configuration has them, without its results."""
    found: dict[str, Any] = {}
    if given.preset:
        found["preset"] = given.preset
    found["source"], only = _source(given)
    if given.destination:
        found["destination"] = settings_text.place(given.destination)
    if include := (given.include or []) + ([only] if only else []):
        found["include"] = include
    for key, value in (
        ("exclude", given.exclude), ("endpoint_url", given.endpoint_url),
        ("region", given.region), ("profile", given.aws_profile),
    ):  # fmt: skip
        if value:
            found[key] = value
    return found | dict(given.set)


def _source(given: argparse.Namespace) -> tuple[str, str]:
    """The folder or prefix to be moved, and for a single file the pattern that it alone matches.

    Raises WaybillError when the destination would give the file another name.
    """
    text = given.source
    if is_s3(text) or not Path(text).is_file():
        return settings_text.place(text), ""
    file = Path(text).absolute()
    there = given.destination or ""
    if is_s3(there) and not there.endswith("/") and there.count("/") > 2:
        last = there.rpartition("/")[2]
        if last != file.name:
            raise WaybillError(
                f"{there}: a file keeps its name; write {there}/ for the folder {last} in the"
                f" bucket, or {there.removesuffix(last)} for the folder above",
                exit_code=EXIT_CONFIG,
            )
        given.destination = there.removesuffix(last)
    return settings_text.place(os.fspath(file.parent)), f"/{glob.escape(file.name)}"


def _one_object(transfer: Transfer, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that take a single object, when the source is the address of one; else none.

    Raises WaybillError when objects lie below it as well.
    """
    address = settings["source"]
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if transfer.direction == "upload" or not key or key.endswith("/") or "include" in settings:
        return {}
    from waybill.s3.bucket import Bucket  # loads botocore

    there = Bucket(transfer)
    if not there.exists(key):
        return {}
    if next(iter(there.list_prefix()), None) is not None:
        raise WaybillError(
            f"{address}: is an object and a folder; write {address}/ for the folder",
            exit_code=EXIT_CONFIG,
        )
    folder, _, name = key.rpartition("/")
    return {"source": f"s3://{bucket}/{folder}", "include": [f"/{glob.escape(name)}"]}


def _name(given: argparse.Namespace) -> str:
    """The name of a transfer: the same for the same two places, another for others."""
    source = settings_text.place(given.source)
    last = source.rstrip("/").rpartition("/")[2]
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", last).strip("-_")[:40] or "data"
    places = (source, settings_text.place(given.destination or ""), given.preset or "")
    return f"{word}-{state_folder.digest(*places)[:8]}"


def _text(name: str, settings: Mapping[str, Any]) -> str:
    return f"{HEAD}\n{settings_text.section(name, settings)}"


def _keep(file: Path) -> None:
    """Raise WaybillError when the file has been changed by a person."""
    try:
        first = next(_lines(file), "")
    except FileNotFoundError:
        return
    if first != HEAD:
        raise WaybillError(
            f"{file}: is there already, and `waybill copy` has not written it; use it with"
            f" `waybill run --config {os.path.relpath(file)}`, or give --name for another",
            exit_code=EXIT_CONFIG,
        )


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\n")
