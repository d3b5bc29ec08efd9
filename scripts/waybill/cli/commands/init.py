"""``waybill init``: writes a configuration, from answers that are checked or as a starter."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from waybill.cli import settings_text, state_folder
from waybill.cli.doctor.command import CHECK_SECONDS, TRANSFER, Part, lines, of_transfer
from waybill.cli.doctor.rows import Verdict, run_checks
from waybill.cli.starter import STARTER
from waybill.cli.terminal import Screen, asks, printable, visible
from waybill.config.toml_mistakes import plain_name
from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, ConfigError, WaybillError
from waybill.model.transfer import Transfer
from waybill.presets import registry
from waybill.stages.run import DEFAULT_TOML
from waybill.system.files import write_atomic

HEAD = "# What moves from where to where. Every key: docs/configuration.md\n\n"
MOST_ROUNDS = 5  # of questions about what was wrong in the answers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("path", nargs="?", default=DEFAULT_TOML, help=f"default: {DEFAULT_TOML}")
    add("--source", metavar="PLACE", help="a folder, or s3://bucket/prefix/")
    add("--destination", metavar="PLACE", help="s3://bucket/prefix/, or a folder")
    add("--preset", metavar="NAME", help="settings of a community, see docs/presets.md")
    add("--name", metavar="NAME", help="of the transfer (default: made from the source)")
    add(
        "--set", metavar="KEY=VALUE", action="append", type=settings_text.setting, default=[],
        help="any other key of docs/configuration.md; may be repeated",
    )  # fmt: skip
    add("--starter", action="store_true", help="write a file with comments, to be filled in")
    add("--no-check", action="store_true", help="do not look at folder and bucket")


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Write a configuration where there is none; returns the exit code.

    With options, or on a terminal, it is that of one transfer, and both sides are looked at before
    it is written. Otherwise it is a starter to be filled in.
    """
    path = Path(given.path)
    if path.exists():
        raise WaybillError(f"{path}: is there already; nothing written", exit_code=EXIT_CONFIG)
    settings = _given(given)
    if given.starter or not (settings or asks()):
        write_atomic(path, STARTER.encode())
        screen.line(f"Written to {printable(str(path))}; fill it in, then `waybill plan`")
        return EXIT_OK
    if asks():
        _ask(screen, settings)
    text, transfer = _settled(screen, path, given.name, settings)
    if not given.no_check and not _fits(screen, transfer):
        nevertheless = asks() and screen.ask("Write it nevertheless?")
        if not nevertheless:
            screen.problem(f"{path}: nothing written; --no-check writes it without a look")
            return EXIT_FAILED
    write_atomic(path, text.encode())
    option = "" if given.path == DEFAULT_TOML else f" --config {printable(str(path))}"
    screen.line(f"Written to {printable(str(path))}; next: `waybill plan{option}`")
    return EXIT_OK


def _given(given: argparse.Namespace) -> dict[str, Any]:
    """The settings that options name."""
    found = {"preset": given.preset}
    found |= {k: _place(v) if v else None for k, v in _places(given)}
    return {key: value for key, value in found.items() if value} | dict(given.set)


def _places(given: argparse.Namespace) -> list[tuple[str, str | None]]:
    return [("source", given.source), ("destination", given.destination)]


def _place(text: str) -> str:
    return settings_text.place(os.path.expanduser(text))  # noqa: PTH111 (a shell would do it)


def _ask(screen: Screen, settings: dict[str, Any]) -> None:
    """Ask for what a transfer needs and ``settings`` does not have."""
    if "preset" not in settings:
        names = ", ".join(registry.names())
        settings["preset"] = screen.prompt(f"Preset ({names}) [generic]: ") or "generic"
    derives = registry.get(settings["preset"]).derives if _is_known(settings["preset"]) else ()
    for key, what in (
        ("source", "Source (a folder, or s3://bucket/prefix/)"),
        ("destination", "Destination (s3://bucket/prefix/, or a folder)"),
    ):
        if key in settings or key in derives:
            continue
        while not (answer := screen.prompt(f"{what}: ")):
            if screen.ended:
                return
        settings[key] = _place(answer)


def _is_known(preset: str) -> bool:
    return preset in registry.names()


def _settled(
    screen: Screen, path: Path, name: str | None, settings: dict[str, Any]
) -> tuple[str, Transfer]:
    """The text of the configuration, and its transfer. On a terminal, what is wrong or missing is
    asked for again. Raises ConfigError."""
    rounds = MOST_ROUNDS
    while True:
        rounds -= 1
        last = str(settings.get("source", "")).rstrip("/").rpartition("/")[2]
        title = name or plain_name(last)
        text = HEAD + settings_text.section(title, settings)
        try:
            (transfer,) = state_folder.check(path, text, Path.cwd()).values()
        except ConfigError as error:
            if not (rounds and asks()):
                raise
            for problem in error.problems:
                screen.problem(visible(problem))
            for key in dict.fromkeys(problem.partition(": ")[0] for problem in error.problems):
                answer = screen.prompt(f"{key}: ")
                if not answer:
                    raise
                is_place = key in ("source", "destination")
                value = _place(answer) if is_place else settings_text.value(answer)
                settings[key] = value
        else:
            return text, transfer


def _fits(screen: Screen, transfer: Transfer) -> bool:
    """Show what a look at folder, results and bucket finds; whether a run will work."""
    screen.progress("Looking at both sides ...")
    rows = [row for some in run_checks(of_transfer(transfer), CHECK_SECONDS) for row in some]
    screen.clear()
    told = [row for row in rows if row.verdict is not Verdict.UNTOLD]
    for line in lines([Part(TRANSFER, transfer.name, told)]):
        screen.line(line)
    return not any(row.verdict is Verdict.FAIL for row in rows)
