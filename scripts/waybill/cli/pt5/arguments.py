"""The arguments of ``pt5-uploader``."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from waybill import __version__
from waybill.cli.words import CHAIN, NO_LINKS
from waybill.presets.ifcb.settings import CONCURRENCY

PROGRAM = "pt5-uploader"
MOST_WORKERS = 256

WORDS = {
    "send it as it is (all_files)": "send it as it is (--all-files)",
    "modified too recently (settle)": "modified too recently (--settle)",
    'forced (overwrite = "always")': "forced (--all-files)",
    "check `source`": "check --source",
    **NO_LINKS,
    "`profile`": "--profile",
    **CHAIN,
}

_EPILOG = """\
environment, or a file .env in the working folder or above it: AWS_UPLOAD_URL=s3://bucket/prefix,
IFCB_DATA_DIR, AWS_ACCESS_KEY_ID and whatever else begins with AWS_; NO_COLOR

exit codes: 0 everything is proven in the bucket, or was there already; 1 something failed, named;
2 usage or configuration; 3 no files found; 130 interrupted
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for; None where the environment or the preset decides."""

    source: str | None = None
    bucket: str | None = None
    prefix: str | None = None
    recursive: bool = False
    all_files: bool = False
    dry_run: bool = False
    validate: bool = False
    verbose: bool = False
    manifest: bool = True
    settle: float = 0
    workers: int = CONCURRENCY
    cores: int | None = None
    profile: str | None = None


def parse(arguments: list[str]) -> Wish:
    """The wish in ``arguments``. Ends the process with a usage message when they are invalid."""
    return Wish(**vars(make_parser().parse_args(arguments)))


def make_parser() -> argparse.ArgumentParser:
    """The parser of `pt5-uploader`."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Upload the bins of an Imaging FlowCytobot to S3: what is new or changed, and "
        "only when it is whole. Without arguments the environment decides.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--source", metavar="PATH", help="folder or file to upload (default: IFCB_DATA_DIR)")
    add("--bucket", metavar="NAME", help="bucket (default: that of AWS_UPLOAD_URL)")
    add(
        "--prefix",
        metavar="PREFIX",
        help="prefix of the keys (default: that of AWS_UPLOAD_URL if the bucket is its own)",
    )
    add("--recursive", action="store_true", help="also what is in folders of the source")
    add(
        "--all-files",
        action="store_true",
        help="every file, part of a bin or not, whole or not, there already or not",
    )
    add("--dry-run", action="store_true", help="show what would be uploaded and write nothing")
    add("--validate", action="store_true", help="only check that S3 takes the AWS credentials")
    add(
        "--settle",
        metavar="SECONDS",
        type=_seconds,
        default=0,
        help="leave bins alone of which a file is younger (default: 0)",
    )
    add("--no-manifest", dest="manifest", action="store_false", help="put no manifest into S3")
    add(
        "--workers",
        metavar="N",
        type=_count,
        default=CONCURRENCY,
        help=f"files on their way at a time (default: {CONCURRENCY})",
    )
    add("--cores", metavar="N", type=_count, help="CPU cores to use (default: all)")
    add("--profile", metavar="NAME", help="AWS profile (default: the AWS chain)")
    add("--verbose", "-v", action="store_true", help="name every file, and where logs are")
    add("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_WORKERS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds
