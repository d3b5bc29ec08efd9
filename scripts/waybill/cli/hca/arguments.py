"""The arguments of ``hca-smart-sync``, in all forms that its seed has had."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypedDict

from waybill import __version__
from waybill.cli import user_config
from waybill.cli.terminal import visible
from waybill.cli.words import CHAIN, NO_LINKS
from waybill.model.errors import WaybillError

PROGRAM = "hca-smart-sync"
WORDS = {
    "hdf5_only = true refuses it": "--hdf5-only refuses it",
    "hdf5_only = false sends it as it is": "without --hdf5-only it is sent as it is",
    'forced (overwrite = "always")': "forced (--force)",
    "check `source`": "check --local-path",
    **NO_LINKS,
    "`profile`": "--profile",
    "`endpoint_url` and `region`": "AWS_ENDPOINT_URL and HCA_AWS_REGION",
    "`region`": "HCA_AWS_REGION",
    **CHAIN,
}

FOLDERS = ("source-datasets", "integrated-objects")

_USAGE = f"""{PROGRAM} [sync] ATLAS [source-datasets|integrated-objects] [options]
       {PROGRAM} [sync] source-datasets|integrated-objects [options]
       {PROGRAM} config init | config show | config-show"""
_EPILOG = """\
environment: HCA_AWS_PROFILE, AWS_PROFILE, HCA_AWS_REGION, HCA_S3_BUCKET (another bucket, for tests
and mirrors), HCA_S3_TRANSFER_ACCELERATION=false, HCA_DRY_RUN, HCA_VERBOSE, HCA_DEBUG=1 (all logs)

exit codes: 0 everything is proven in the bucket, or was there already; 1 something failed, named;
2 usage or configuration; 3 no .h5ad files; 130 interrupted
"""
_YES, _NO = {"1", "true", "yes", "on", "y", "t"}, {"", "0", "false", "no", "off", "n", "f"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for, with all defaults. ``bucket``, ``region`` and ``profile`` are None
    where the preset or the AWS chain decides."""

    action: str
    atlas: str = ""
    folder: str = FOLDERS[0]
    environment: str = "prod"
    local_path: str = "."
    profile: str | None = None
    profile_from: str = ""
    bucket: str | None = None
    region: str | None = None
    accelerate: bool = True
    dry_run: bool = False
    force: bool = False
    hdf5_only: bool = False
    yes: bool = False
    verbose: bool = False
    debug: bool = False


def parse(arguments: list[str], warn: Callable[[str], None]) -> Wish:
    """The wish in ``arguments``, the environment and the user's configuration, in this order.

    ``warn`` gets a line about a user configuration that cannot be used. Ends the process with a
    usage message when the arguments are invalid.
    """
    parser = make_parser()
    if not arguments:
        parser.print_help()
        sys.exit(0)
    given = parser.parse_intermixed_args(arguments)
    words = list(given.words)
    action = "sync"
    if words and words[0] in ("sync", "config", "config-show"):
        action = words.pop(0)
    if action in ("config", "config-show"):
        return _parse_config(parser, given, action, words)
    settings: dict[str, str] = {}
    try:
        settings = user_config.read()
    except WaybillError as error:
        warn(f"warning: {visible(str(error))}; going on without it")
    atlas, folder = _atlas_and_folder(parser.error, words, given.folder, settings)
    return Wish(
        action=action,
        atlas=atlas,
        folder=folder,
        environment=given.environment,
        local_path=given.local_path or str(Path.cwd()),
        dry_run=_choice(parser.error, given.dry_run, "HCA_DRY_RUN"),
        force=given.force,
        hdf5_only=given.hdf5_only,
        yes=given.yes,
        verbose=_choice(parser.error, given.verbose or None, "HCA_VERBOSE"),
        **_access(parser.error, given.profile, settings),
    )


def _parse_config(
    parser: argparse.ArgumentParser, given: argparse.Namespace, action: str, words: list[str]
) -> Wish:
    if action == "config-show" and not words:
        words = ["show"]
    if words == ["init"]:
        return Wish(action="init")
    if words != ["show"]:
        parser.error("config takes one word: init or show")
    return Wish(action="show", **_access(parser.error, given.profile, user_config.read()))


def _atlas_and_folder(
    error: Callable[[str], NoReturn],
    words: list[str],
    option: str | None,
    settings: Mapping[str, str],
) -> tuple[str, str]:
    """Atlas and folder out of up to two words, ``--folder`` and the user's configuration."""
    if option is not None and option not in FOLDERS:
        error(f"Unrecognized file type: {option}; allowed: {' or '.join(FOLDERS)}")
    if len(words) > 2:
        error(f"too many arguments: {' '.join(words[2:])}")
    if not words and option is None:
        error(f"File type required: {' or '.join(FOLDERS)}, after an atlas or your default one")
    if not words or words[0] in FOLDERS:
        if len(words) == 2:
            error(f"{words[0]} is a file type: no second argument is allowed after it")
        if "atlas" not in settings:
            error(f"Atlas is required: name one, or set your own by `{PROGRAM} config init`")
        words = [settings["atlas"], *words]
    atlas, *rest = words
    if rest and rest[0] not in FOLDERS:
        error(f"Unrecognized file type: {rest[0]}; allowed: {' or '.join(FOLDERS)}")
    if rest and option not in (None, rest[0]):
        error(f"--folder {option} contradicts {rest[0]}")
    return atlas, (rest[0] if rest else option or FOLDERS[0])


class _Access(TypedDict):
    """The settings with which the bucket is reached; ``debug`` shows the logs."""

    profile: str | None
    profile_from: str
    bucket: str | None
    region: str | None
    accelerate: bool
    debug: bool


def _access(
    error: Callable[[str], NoReturn], option: str | None, settings: Mapping[str, str]
) -> _Access:
    env = os.environ
    profiles = (
        (option, "--profile"),
        (env.get("HCA_AWS_PROFILE"), "HCA_AWS_PROFILE"),
        (settings.get("profile"), "user config"),
    )
    profile, origin = next((p for p in profiles if p[0]), (None, ""))
    return {
        "profile": profile,
        "profile_from": origin,
        "bucket": env.get("HCA_S3_BUCKET") or None,
        "region": env.get("HCA_AWS_REGION") or None,
        "accelerate": _choice(error, None, "HCA_S3_TRANSFER_ACCELERATION", default=True),
        "debug": _choice(error, None, "HCA_DEBUG"),
    }


def _choice(
    error: Callable[[str], NoReturn], option: bool | None, name: str, *, default: bool = False
) -> bool:
    """An option, or the environment variable ``name`` where it is not given."""
    if option is not None:
        return option
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in _YES:
        return True
    if value.strip().lower() not in _NO:
        error(f"{name}: {value!r} is not allowed; allowed: true or false")
    return False


def make_parser() -> argparse.ArgumentParser:
    """The parser of `hca-smart-sync`."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=_USAGE,
        description="Upload the .h5ad files of a folder to the bucket of a Human Cell Atlas atlas.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    add = parser.add_argument
    add("--profile", metavar="NAME", help="AWS profile (default: user config, then the AWS chain)")
    add("--environment", choices=("prod", "dev"), default="prod", help="default: prod")
    add("--local-path", metavar="PATH", help="folder with the files (default: where you are)")
    add("--folder", metavar="NAME", help="source-datasets (default) or integrated-objects")
    add(
        "--dry-run",
        action=argparse.BooleanOptionalAction,
        help="show what would be uploaded and upload nothing",
    )
    add(
        "--force",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="upload all files, also those that are there, without a question",
    )
    add("--hdf5-only", action="store_true", help="refuse .h5ad files that are no HDF5")
    add("--yes", "-y", action="store_true", help="upload what is new or changed without a question")
    add("--verbose", "-v", action="store_true", help="also what is up to date, and where logs are")
    add("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser
