"""Options that several commands have, and what follows from them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waybill.config import read
from waybill.model.errors import EXIT_CONFIG, ConfigError, WaybillError
from waybill.model.transfer import Transfer
from waybill.model.units import parse_size
from waybill.stages.run import DEFAULT_TOML
from waybill.system.resources import project_root

# Options of Snakemake that the commands set, and what to write in their place.
_SETTING = "put the setting into the configuration"
_FOLDER = "change into that folder first"
_PLAN = "`waybill plan` shows what a run would do"
_DECIDED = {
    "--config": _SETTING, "-C": _SETTING, "--configfile": _SETTING, "--configfiles": _SETTING,
    "--directory": _FOLDER, "-d": _FOLDER, "--dry-run": _PLAN, "--dryrun": _PLAN, "-n": _PLAN,
    "--snakefile": "run `snakemake` itself", "-s": "run `snakemake` itself",
    "--profile": "write it before the `--`",
}  # fmt: skip


def add_transfers(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a configuration and some of its transfers."""
    add = parser.add_argument
    add("--config", metavar="TOML", default=DEFAULT_TOML, help=f"default: {DEFAULT_TOML}")
    add("--transfers", metavar="A,B", help="some of its transfers (default: all)")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option for cron: silence unless something is wrong."""
    parser.add_argument(
        "--quiet", "-q", action="store_true", help="print nothing unless the exit code is not 0"
    )


def add_json(parser: argparse.ArgumentParser, what: str = "one JSON document") -> None:
    """Add the option that has all told as JSON."""
    parser.add_argument(
        "--json", dest="document", action="store_true", help=f"{what}, see docs/json.md"
    )


def add_snakemake(parser: argparse.ArgumentParser) -> None:
    """Add the options that go on to Snakemake."""
    add_cores(parser)
    parser.add_argument(
        "--profile", metavar="NAME", help="of Snakemake: slurm, lsf, sge, cluster-generic, or yours"
    )
    parser.usage = f"{parser.format_usage().removeprefix('usage: ').rstrip()} [-- SNAKEMAKE ...]"


def add_cores(parser: argparse.ArgumentParser) -> None:
    """Add the option that limits the CPU cores."""
    parser.add_argument("--cores", metavar="N", type=_cores, help="CPU cores to use (default: all)")


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that shows a plan."""
    add = parser.add_argument
    add("--hash", action="store_true", help="read what only a hash could tell, for the plan")
    add(
        "--bandwidth", metavar="RATE", type=_rate,
        help="bytes a second for the estimated time, such as 50MiB (default: as in the last run)",
    )  # fmt: skip
    add("--prices", metavar="TOML", type=Path, help="prices for the estimated cost")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that moves data."""
    add_plan(parser)
    parser.add_argument("--yes", "-y", action="store_true", help="move without a question")
    parser.add_argument("--dry-run", "-n", action="store_true", help="do what `plan` does")


def names(given: argparse.Namespace) -> list[str]:
    """The names of the transfers that were asked for; none when all are."""
    found = (name.strip() for name in (given.transfers or "").split(","))
    return [name for name in found if name]


def transfers(
    given: argparse.Namespace, overrides: Mapping[str, Any] | None = None, *, writes: bool = False
) -> dict[str, Transfer]:
    """The transfers that were asked for, by name.

    Snakemake keeps files of its own in the working folder. Where nothing can be written to it, or
    it is ``/``, as under cron and systemd, the folder of the results becomes the working folder if
    the configuration names it with its whole path.

    Raises ConfigError, also when there is no configuration, and WaybillError for a command that
    ``writes`` and finds no folder to work in.
    """
    if given.config == DEFAULT_TOML and not Path(DEFAULT_TOML).exists():
        raise ConfigError(
            [
                f"{DEFAULT_TOML}: no such file; `waybill init` writes one, `--config TOML` names"
                " another, and `waybill copy SOURCE DESTINATION` needs none"
            ]
        )
    found = read.load(given.config, transfers=names(given), overrides=overrides)
    here = Path.cwd()
    if here != Path("/") and os.access(here, os.W_OK | os.X_OK):
        return found
    root = next((t.results.parent for t in found.values() if t.results.is_absolute()), None)
    if root is None and writes:
        raise WaybillError(
            f"{here}: no folder to work in; change into one that you may write to, or set `results`"
            " to a whole path",
            exit_code=EXIT_CONFIG,
        )
    if root is None or not (writes or root.is_dir()):
        return found
    given.config = os.path.abspath(given.config)  # noqa: PTH100 (keeps links)
    root.mkdir(parents=True, exist_ok=True)
    os.chdir(root)
    return read.load(given.config, transfers=names(given), overrides=overrides)


def launch_options(given: argparse.Namespace) -> list[str]:
    """The options for Snakemake that were given, with ``--profile`` as the folder of a profile.

    Raises WaybillError for a profile that is nowhere, and for an option that the command decides.
    """
    found = [] if given.profile is None else ["--profile", _profile(given.profile)]
    for word in given.snakemake:
        option = word.partition("=")[0]
        if instead := _DECIDED.get(option):
            raise WaybillError(
                f"{option} cannot go to Snakemake, because `waybill` sets it; {instead}",
                exit_code=EXIT_CONFIG,
            )
    return [*found, *given.snakemake]


def _profile(name: str) -> str:
    """The profile as Snakemake finds it: by the user's own places, or one that Waybill brings."""
    homes = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    for place in (Path(), Path(homes) / "snakemake", Path("/etc/xdg/snakemake")):
        if (place / name).exists():
            return name
    ours = project_root() / "workflow" / "profiles"
    if (ours / name / "config.yaml").is_file():
        return os.fspath(ours / name)
    known = sorted({path.parent.name for path in ours.glob("*/config.yaml")} - {"default"})
    raise WaybillError(
        f"--profile {name}: no such profile; Waybill brings {', '.join(known)}, and another is a"
        " folder with a config.yaml",
        exit_code=EXIT_CONFIG,
    )


def _rate(text: str) -> int:
    try:
        rate = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    if not rate:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes above 0")
    return rate


def _cores(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of cores")
    return int(text)
