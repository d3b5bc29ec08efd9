"""The transfers of ``sync-from-s3``, one for each satellite, and where they keep their state."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from waybill.cli import state_folder
from waybill.cli.glacier.arguments import Wish
from waybill.cli.glacier.config import Settings
from waybill.config.check import dotted, toml
from waybill.model.errors import ConfigError
from waybill.model.transfer import Transfer
from waybill.presets.glacier import BASE_PATH, BUCKET
from waybill.results.layout import Layout
from waybill.system.files import write_atomic

DOOR = "glacier"

# Safe mode compares sizes like the seed (`aws s3 sync --size-only`), but leaves files of another
# size alone, too. Force mode must also find a newer object of the same size, and a file that was
# damaged or edited. Times do not show that, because a copy or a clock may have changed them, so
# the content is compared. That costs one read of each file and one HEAD of each object that no
# earlier run has proven. Files that this door has downloaded are known by size, mtime and ETag.
SAFE = {"overwrite": "never", "compare": "size"}
FORCE = {"overwrite": "if-changed", "compare": "sha256"}


def home_of(wish: Wish, settings: Settings, folder: Path) -> Path:
    """The folder in which runs with this data folder and bucket keep their state."""
    s3 = settings.s3
    place = (folder.resolve(), s3.get("bucket", BUCKET), s3.get("base_path", BASE_PATH))
    name = f"{'upload' if wish.upload else 'download'}-{state_folder.digest(*place)}"
    return state_folder.state_home(DOOR) / name


@contextlib.contextmanager
def borrowed(home: Path) -> Iterator[Path]:
    """A temporary folder for a dry run, with copies of the caches and journals in ``home``. The dry
    run leaves no trace, and does not hash files again whose hashes are known."""
    with tempfile.TemporaryDirectory(prefix="sync-from-s3-") as folder:
        for kind in ("cache", "journal"):
            for table in home.glob(f"results/*/{kind}/*/*"):
                copy = Path(folder) / table.relative_to(home)
                copy.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # another run is at work there
                    shutil.copy(table, copy)
        yield Path(folder)


def configure(
    wish: Wish, settings: Settings, folder: Path, home: Path
) -> tuple[Path, dict[str, Transfer]]:
    """Write the configuration of the workflow into ``home``; returns its path, and the transfers.

    Raises ConfigError for invalid settings; it names the user's own file.
    """
    # It may hold the addresses of notifications, which are secrets.
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    file = home / f"{'+'.join(wish.satellites)}.toml"
    try:
        return file, state_folder.configure(file, _text(wish, settings, folder))
    except ConfigError as error:
        raise ConfigError([f"{settings.file}: {problem}" for problem in error.problems]) from None


def follow_mode(home: Path, wish: Wish, layouts: Mapping[str, Layout]) -> None:
    """Have all files of a satellite looked at again when the last run was in the other mode. A
    proof of one mode does not count in the other."""
    mode = "force" if wish.force else "safe"
    for satellite, layout in layouts.items():
        record = home / f"{satellite}.mode"
        if not record.exists() or record.read_text() != mode:
            state_folder.forget_proofs(layout)
            write_atomic(record, mode.encode())


def _text(wish: Wish, settings: Settings, folder: Path) -> str:
    s3 = settings.s3
    literal = str(folder).replace("$", "$$")
    shared = {
        "preset": "glacier",
        **(FORCE if wish.force else SAFE),
        "profile": wish.profile or s3.get("profile"),
        "region": s3.get("region"),
        "endpoint_url": s3.get("endpoint_url"),
        "max_concurrency": wish.jobs,
        "notify": settings.notify or None,
        "glacier.data_folder": literal,
        "glacier.bucket": s3.get("bucket"),
        "glacier.base_path": s3.get("base_path"),
        "glacier.regions": list(wish.regions),
        "glacier.exclude_downloads": wish.exclude_downloads,
    }
    lines = ["# Written by sync-from-s3.", "[defaults]"]
    lines += [f"{key} = {_inline(value)}" for key, value in shared.items() if value is not None]
    base = s3.get("base_path", BASE_PATH).replace("$", "$$")
    for satellite in wish.satellites:
        lines += [f"[transfers.{satellite}]", f"glacier.satellite = {toml(satellite)}"]
        if wish.upload:
            lines.append(f"source = {toml(f'{literal}/{base}/{satellite}')}")
    return "\n".join([*lines, ""])


def _inline(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        items = (f"{dotted([key])} = {_inline(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return value.isoformat() if hasattr(value, "isoformat") else toml(value)
