"""The arguments of ``sync-from-s3``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from waybill import __version__
from waybill.cli.words import NO_LINKS, NO_STORE
from waybill.config.check import nearest
from waybill.presets.glacier import SATELLITES, region_patterns

PROGRAM = "sync-from-s3"
ENVIRONMENTS = ("auto", "hpc", "local")
MOST_JOBS = 256

# Bucket, region, endpoint and profile stand in the user's own config.toml by these names.
WORDS = {
    'not overwritten (overwrite = "never")': "not overwritten without --force-overwrite",
    " (in a configuration, allow_git_worktree = true allows it)": "",
    "check `source`": "check the data folder",
    "check `destination`": "check the data folder",
    **NO_LINKS,
    **NO_STORE,
}

_USAGE = f"{PROGRAM} [sentinel2|landsat|all ...] [options]"
_EPILOG = """\
The data folder and the bucket stand in config.toml or config.ini, which is looked for where this
command is (links followed), in the working folder, and in ~/Github/greenland-glacier-flow.

exit codes: 0 everything asked for is proven to be there; 1 something failed or is different, named;
2 usage or configuration; 3 nothing matched; 130 interrupted
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for. ``named`` means that the satellites were named one by one."""

    satellites: tuple[str, ...] = SATELLITES
    named: bool = False
    regions: tuple[str, ...] = ()
    exclude_downloads: bool = False
    force: bool = False
    upload: bool = False
    dry_run: bool = False
    yes: bool = False
    verbose: bool = False
    config: str | None = None
    environment: str | None = None
    profile: str | None = None
    jobs: int | None = None
    cores: int | None = None


def parse(arguments: list[str]) -> Wish:
    """The wish in ``arguments``. Ends the process with a usage message when they are invalid."""
    parser = make_parser()
    given = parser.parse_intermixed_args(arguments)
    for word in given.satellites:
        if word not in (*SATELLITES, "all"):
            near = nearest(word, [*SATELLITES, "all"])
            hint = f' did you mean "{near}"?' if near else ""
            parser.error(f'"{word}" is no satellite;{hint} allowed: {", ".join(SATELLITES)}, all')
    named = bool(given.satellites) and "all" not in given.satellites
    names = given.satellites if named else SATELLITES
    regions = [name.strip() for text in given.regions for name in text.split(",")]
    for region in regions:
        try:
            region_patterns(region)
        except ValueError as error:
            parser.error(f'--regions: "{region}" {error}')
    return Wish(
        satellites=tuple(name for name in SATELLITES if name in names),
        named=named,
        regions=tuple(dict.fromkeys(regions)),
        exclude_downloads=given.exclude_downloads,
        force=given.force_overwrite,
        upload=given.upload,
        dry_run=given.dry_run,
        yes=given.yes,
        verbose=given.verbose,
        config=given.config,
        environment=given.environment,
        profile=given.profile,
        jobs=given.jobs,
        cores=given.cores,
    )


def make_parser() -> argparse.ArgumentParser:
    """The parser of `sync-from-s3`."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=_USAGE,
        description="Bring the data folder of the Greenland glacier flow project up to what is in "
        "S3. Files that are there already are never touched, nothing is ever deleted.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("satellites", nargs="*", help=argparse.SUPPRESS)
    add = parser.add_argument
    add("--dry-run", action="store_true", help="show what would be done and write nothing")
    add("--exclude-downloads", action="store_true", help="leave out raw tiles (download/)")
    add(
        "--force-overwrite",
        action="store_true",
        help="also replace files whose content differs, at the same size too",
    )
    add(
        "--regions",
        metavar="A,B",
        action="append",
        default=[],
        help="these regions only: names or patterns, like 134_Arsuk,13*",
    )
    add("--upload", action="store_true", help="the other way: what the bucket does not have")
    add("--yes", "-y", action="store_true", help="upload without a question")
    add("--jobs", "-j", metavar="N", type=_count, help="files on their way at a time (default: 8)")
    add("--cores", metavar="N", type=_count, help="CPU cores to use (default: all)")
    add("--config", metavar="FILE", help="this config.toml or config.ini")
    add("--environment", choices=ENVIRONMENTS, help="default: as the configuration says, or auto")
    add("--profile", metavar="NAME", help="AWS profile (default: the configuration, the AWS chain)")
    add("--verbose", "-v", action="store_true", help="also what is up to date, and where logs are")
    add("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_JOBS}")
    return int(text)
