"""Source and destination of ``pt5-uploader``: from its arguments, the environment and ``.env``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from waybill.cli import state_folder
from waybill.cli.pt5.arguments import Wish
from waybill.config.check import toml
from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.model.locations import check_bucket, parse_s3

DOOR = "pt5"
NAME = "ifcb"  # of the only transfer

URL, FOLDER = "AWS_UPLOAD_URL", "IFCB_DATA_DIR"

# The credentials. All are taken from one place, so that no token goes with the key of another.
_IDENTITY = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
}  # fmt: skip


class Place(NamedTuple):
    """Where the data is and where it goes. ``folder`` is absolute. ``file`` is the name of the only
    file to take, or empty. ``prefix`` is empty or ends in a slash."""

    folder: Path
    file: str
    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def read_env(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that ``.env`` adds to ``environ``: ``AWS_...`` and ``IFCB_DATA_DIR``.

    The file is that of the working folder, or the nearest above it. Variables that are set stay as
    they are. If one of the credentials is set, no credentials are taken from the file.

    Raises WaybillError for a file that cannot be read.
    """
    from dotenv import dotenv_values, find_dotenv

    file = find_dotenv(usecwd=True)
    if not file:
        return {}
    try:
        values = dotenv_values(file)
    except UnicodeDecodeError as error:
        text = f"{file}: byte {error.start} is not UTF-8; mend the file"
        raise WaybillError(text, exit_code=EXIT_CONFIG) from None
    except OSError as error:
        text = f"{file}: cannot be read: {error.strerror}"
        raise WaybillError(text, exit_code=EXIT_CONFIG) from None
    taken = set(environ)
    if any(environ.get(name) for name in _IDENTITY):
        taken |= _IDENTITY
    return {
        name: value
        for name, value in values.items()
        if value and name not in taken and (name.startswith("AWS_") or name == FOLDER)
    }


def target(wish: Wish, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Bucket and prefix, the prefix empty or ending in a slash; None when no bucket is named.

    The prefix of ``AWS_UPLOAD_URL`` is for its own bucket only. Raises WaybillError for an invalid
    bucket or prefix.
    """
    bucket, prefix = wish.bucket, wish.prefix
    if bucket is not None:
        _try("--bucket", check_bucket, bucket)
    url = environ.get(URL)
    if url and (bucket is None or prefix is None):
        if not url.startswith("s3://"):
            raise _mistake(URL, "is no address like s3://bucket/prefix")
        name, _, path = url.removeprefix("s3://").partition("/")
        own, path = _try(URL, parse_s3, f"s3://{name}/{path.strip('/')}")
        if bucket is None:
            bucket = own
        if prefix is None and bucket == own:
            prefix = path
    if bucket is None:
        return None
    # A slash in front would be a folder without a name.
    return _try("--prefix", parse_s3, f"s3://{bucket}/{(prefix or '').strip('/')}")


def place(wish: Wish, environ: Mapping[str, str]) -> Place:
    """Source and destination. Raises WaybillError when one is missing or wrong."""
    where, text = ("--source", wish.source) if wish.source else (FOLDER, environ.get(FOLDER))
    if not text:
        raise _mistake("no source", f"give --source, or set {FOLDER} in the environment or in .env")
    try:
        path = Path(text).expanduser().resolve(strict=True)
        str(path).encode()
    except FileNotFoundError:
        raise _mistake(where, f"{text} does not exist") from None
    except UnicodeEncodeError:
        raise _mistake(where, f"{text} is not UTF-8, which a configuration cannot hold") from None
    except (OSError, RuntimeError) as error:
        raise _mistake(where, f"{text}: {getattr(error, 'strerror', None) or error}") from None
    if not path.is_dir() and not path.is_file():
        raise _mistake(where, f"{text} is neither a folder nor a file")
    to = target(wish, environ)
    if to is None:
        raise _mistake("no bucket", f"give --bucket, or set {URL}=s3://bucket/prefix")
    if path.is_file():
        return Place(path.parent, path.name, *to)
    return Place(path, "", *to)


def home_of(wish: Wish, place: Place) -> Path:
    """The folder in which runs with this selection, source and destination keep their state."""
    selection = f"{wish.recursive} {wish.all_files} {place.file}"
    digest = state_folder.digest(place.folder, place.url, selection)
    return state_folder.state_home(DOOR) / f"{place.bucket}-{digest}"


def config_text(wish: Wish, place: Place) -> str:
    """The configuration of the workflow."""
    settings = {
        "preset": "ifcb",
        "source": str(place.folder).replace("$", "$$"),
        "destination": place.url,
        "settle": wish.settle,
        "max_concurrency": wish.workers,
        "profile": wish.profile,
        "publish": None if wish.manifest else False,
        "overwrite": "always" if wish.all_files else None,
        "ifcb.all_files": wish.all_files or bool(place.file),
    }
    if place.file:
        name = re.sub(r"[*?\[]", r"[\g<0>]", place.file)
        settings["include"] = [f"/{name}"]
    if place.file or not wish.recursive:
        settings["exclude"] = ["*/"]
    lines = [f"{key} = {toml(value)}" for key, value in settings.items() if value is not None]
    return "\n".join(["# Written by pt5-uploader.", f"[transfers.{NAME}]", *lines, ""])


def _mistake(where: str, text: str) -> WaybillError:
    return WaybillError(f"{where}: {text}", exit_code=EXIT_CONFIG)


def _try(where: str, check: Callable[[str], Any], value: str) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise _mistake(where, str(error)) from None
