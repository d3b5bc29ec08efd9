"""The arguments of ``s3-upload``, spelled with underscores as its seed does or with hyphens."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

from waybill import __version__
from waybill.cli.words import CHAIN, NO_LINKS

PROGRAM = "s3-upload"
MOST_THREADS = 256

# Of ``upload``, where --skip_check is named with each refusal, and of the keys of ``monitor``.
WORDS_OF_UPLOAD = {
    "; set complete if not so": "",
    "; if that file never comes, set complete": "",
    "; set aborted to have it taken": "",
    "check `source`": "check --local_path",
    "files of `last`": "completion files",
    **NO_LINKS,
    **CHAIN,
}
WORDS_OF_MONITOR = {
    'mend or exclude it, or set symlinks = "skip"': "mend it, or exclude it (exclude_patterns)",
    "check `source`": "check monitored_directories",
    "files of `last`": "completion files",
    **CHAIN,
}

_EPILOG = """\
credentials: those of the AWS chain (profile, environment, SSO, role); also AWS_DEFAULT_PROFILE, or
AWS_ACCESS_KEY together with AWS_SECRET_KEY

exit codes: 0 all done, nothing to do, or another monitor is at work; 1 something failed, named;
2 usage or configuration; 130 interrupted
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What ``s3-upload upload`` is asked for; ``cores`` None is all of the machine."""

    local_path: str
    bucket: str
    remote_path: str = "/"
    skip_check: bool = False
    cores: int | None = None
    threads: int = 8
    manifest: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """What ``s3-upload monitor`` is asked for."""

    config: str
    dry_run: bool = False


def parse(arguments: list[str]) -> Upload | Monitor:
    """What the user asked for. Ends the process with a usage message for invalid arguments."""
    parser = make_parser()
    if not arguments:
        parser.print_help()
        sys.exit(0)
    given = vars(parser.parse_args(arguments))
    kind = given.pop("kind")
    return kind(**given)


def make_parser() -> argparse.ArgumentParser:
    """The parser of `s3-upload`."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Upload Illumina sequencing runs to S3: one run, or from cron all that finish.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    text = "upload one finished run; what is in the bucket already is not sent again"
    upload = commands.add_parser("upload", help=text, description=text, allow_abbrev=False)
    upload.set_defaults(kind=Upload)
    _add(upload, "--local_path", metavar="PATH", required=True, help="folder of the run")
    _add(upload, "--bucket", metavar="NAME", required=True, help="bucket, which must exist")
    text = "where in the bucket the folder of the run goes (default: /)"
    _add(upload, "--remote_path", metavar="PATH", default="/", help=text)
    text = "take the folder as it is, whether it is a finished run or not"
    _add(upload, "--skip_check", action="store_true", help=text)
    text = "put no list of the files into the bucket"
    _add(upload, "--no_manifest", dest="manifest", action="store_false", help=text)
    text = "processes to hash and upload with (default: all cores)"
    _add(upload, "--cores", metavar="N", type=_count, help=text)
    text = "requests in flight of each process (default: 8)"
    _add(upload, "--threads", metavar="N", type=_threads, default=8, help=text)

    text = "upload the finished runs of the monitored folders that are not there yet; for cron"
    monitor = commands.add_parser("monitor", help=text, description=text, allow_abbrev=False)
    monitor.set_defaults(kind=Monitor)
    text = "configuration: the JSON of s3_upload, or the same in TOML"
    _add(monitor, "--config", metavar="FILE", required=True, help=text)
    text = "only tell which runs would be uploaded"
    _add(monitor, "--dry_run", action="store_true", help=text)
    return parser


def _add(parser: argparse.ArgumentParser, name: str, **settings: Any) -> None:
    spellings = dict.fromkeys((name, "--" + name[2:].replace("_", "-")))
    parser.add_argument(*spellings, **{"dest": name[2:], **settings})


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _threads(text: str) -> int:
    if (number := _count(text)) > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST_THREADS}")
    return number
