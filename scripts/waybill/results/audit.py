"""Audit: checks the files of the results before the inventory looks at both sides.

A file is damaged when it differs from its seal (``results.seals``) or cannot be parsed. The audit
logs and removes damaged files, and logs files that are lost. It restores a damaged marker from its
copy. Without a marker the inventory treats the batch as not proven: it makes the tables again from
both sides, and nothing is sent twice.

The run must hold the lock of the results (``system.locks``), because the audit removes the
temporary files of killed runs. It also sets modification times in the future to now; they are left
when a clock was set back. Snakemake would take every file made from such a file for out of date.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from waybill.model.errors import DamagedError
from waybill.results import marker, seals, sha256sum, state
from waybill.results.batch_tables import (
    ASIDE_COLUMNS,
    read_cache,
    read_diff,
    read_local,
    read_remote,
)
from waybill.results.layout import Layout
from waybill.results.manifest import generated_at
from waybill.results.published import read_record
from waybill.system.files import drop_leftover, write_atomic
from waybill.system.tsv import rows

log = logging.getLogger(__name__)

COARSE_NS = 2_000_000_000  # file systems may round their times to this
LEFT_SECONDS = 3_600  # without locks, a temporary file older than this is a leftover
_NO_RESULTS = ("logs",)


def batch(layout: Layout, dataset: str, name: str, before: state.State) -> None:
    """Check all files of one batch. ``before`` is the state of the last inventory: a batch that was
    open then may never have had all of its tables, so its missing files are not named."""
    was_open = f"{dataset}/{name}" in before.open
    tables = layout.tables_of(dataset, name)
    audit = _Audit(layout, layout.seals(dataset, name))
    proof, copy = tables[:2]
    for path, read in zip(tables, _READERS, strict=True):
        audit.look(path, read, since_ns=0 if path == proof else before.audited_ns)
    audit.hold_together(proof, copy)
    if proof in audit.there or proof in audit.damaged or not was_open:
        audit.name_lost(tables, sealed=before.audited_ns > 0)
    if not audit.restore(proof, copy) and proof in audit.there and copy not in audit.there:
        audit.copy(copy, proof)
    audit.end()


def rest(layout: Layout) -> None:
    """Check the files that exist once for the transfer, or once for each dataset."""
    audit = _Audit(layout, layout.seals_of_all)
    audit.look(layout.state, lambda _: state.parsed(layout))
    for record in sorted(layout.root.glob("published/[!.]*.json")):
        audit.look(record, read_record)
    for manifest in sorted(layout.root.glob("manifests/[!.]*.json")):
        audit.look(manifest, partial(_read_manifest, layout.publication(manifest.stem)))
    for aside in sorted(layout.inventory.glob("[!.]*.aside.tsv")):
        audit.look(aside, partial(_read_table, columns=ASIDE_COLUMNS))
    for path in (layout.plan, layout.summary):
        audit.look(path, lambda _: None)
    audit.leave(layout.open_findings)
    audit.end()


def _read_table(path: Path, columns: tuple[str, ...]) -> None:
    for _ in rows(path, columns):
        pass


_READERS: tuple[Callable[[Path], Any], ...] = (
    lambda path: list(marker.read(path)),
    lambda path: list(marker.read(path)),
    read_local,
    read_remote,
    lambda path: list(sha256sum.read(path)),
    lambda path: list(read_diff(path)),
    read_cache,
)  # in the order of Layout.tables_of


def _read_manifest(record: Path, path: Path) -> None:
    """Read a manifest without a seal. Raises DamagedError when it cannot be parsed, or when its
    bytes are not those that ``record`` says were published."""
    try:
        with path.open("rb") as file:
            generated_at(file)
        if record.exists() and read_record(record)["sha256"] != seals.sha256_of(path):
            raise DamagedError(path, f"it is another than the one of {record}")
    except (ValueError, LookupError, TypeError):
        raise DamagedError(path, "no manifest") from None


class _Audit:
    """Checks the files that belong to one ledger of seals."""

    def __init__(self, layout: Layout, ledger: Path) -> None:
        self._layout, self._ledger = layout, ledger
        self._seals = seals.read(ledger)
        self.there: dict[Path, str] = {}  # SHA-256 (hex) of each undamaged file
        self.damaged: set[Path] = set()
        self._left: seals.Seals = {}

    def look(self, path: Path, read: Callable[[Path], Any], since_ns: int = 0) -> None:
        """Check one file, and remove it when it is damaged. A file without a seal is accepted when
        ``read`` can read it. ``since_ns`` is the time of the last audit: a sealed file whose status
        has not changed since then is not read again."""
        known = self._seals.get(self._layout.name_of(path))
        try:
            untouched = path.stat().st_ctime_ns < since_ns - COARSE_NS
            if untouched and known and len(known) == 1:
                (self.there[path],) = known
                return
            sha256 = seals.sha256_of(path)
            if known and sha256 not in known:
                raise DamagedError(path, seals.OTHER_BYTES)
            if not known:
                read(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except DamagedError as error:
            self._damaged(path, error.why)
        else:
            self.there[path] = sha256

    def leave(self, path: Path) -> None:
        """Keep a file that cannot be made again, and its seal. Its reader reports damage."""
        if known := self._known(path):
            now = {seals.sha256_of(path)} if path.exists() else set()
            self._left[self._layout.name_of(path)] = known & now or known

    def _damaged(self, path: Path, why: str) -> None:
        self.there.pop(path, None)
        self.damaged.add(path)
        log.warning("%s: damaged: %s; it is made anew", path, why)
        path.unlink(missing_ok=True)

    def hold_together(self, proof: Path, copy: Path) -> None:
        """When a marker and its copy differ, take those without a seal for damaged."""
        one, other = self.there.get(proof), self.there.get(copy)
        if one and other and one != other and not (self._known(proof) and self._known(copy)):
            for path, twin in ((proof, copy), (copy, proof)):
                if not self._known(path):
                    self._damaged(path, f"it does not agree with {twin}")

    def _known(self, path: Path) -> set[str]:
        return self._seals.get(self._layout.name_of(path), set())

    def restore(self, path: Path, copy: Path) -> bool:
        """Replace a damaged file with ``copy`` if the bytes of the copy were sealed for the file.
        Returns whether it was replaced."""
        if path in self.damaged and self.there.get(copy, "-") in self._known(path):
            self.copy(path, copy)
            return True
        return False

    def copy(self, path: Path, whole: Path) -> None:
        """Copy the undamaged file ``whole`` to ``path``, with its times."""
        status = whole.stat()
        write_atomic(path, whole.read_bytes(), sync=True)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.there[path] = self.there[whole]

    def name_lost(self, paths: Collection[Path], *, sealed: bool) -> None:
        """Log each of ``paths`` that has a seal but no file. When everything was ``sealed`` before,
        log a ledger that does not list every file, or lists others."""
        for path in paths:
            if path not in self.there and path not in self.damaged and self._known(path):
                log.warning("%s: lost; it is made anew", path)
        names = {self._layout.name_of(path) for path in paths}
        whole = {self._layout.name_of(path) for path in self.there}
        if sealed and not whole <= self._seals.keys() <= names:
            what = "damaged" if self._ledger.exists() else "lost"
            log.warning("%s: %s; what it is about is taken as it is", self._ledger, what)

    def end(self) -> None:
        """Write the ledger with the seals of the undamaged files only."""
        now = {self._layout.name_of(path): {sha256} for path, sha256 in self.there.items()}
        now |= self._left
        if now == self._seals:
            return
        if now:
            lines = ((name, sha256) for name, found in now.items() for sha256 in sorted(found))
            write_atomic(self._ledger, sha256sum.render(lines))
        else:
            self._ledger.unlink(missing_ok=True)


def tidy(layout: Layout) -> int:
    """Remove the temporary files of killed runs, and set modification times in the future to now.
    What jobs at work say of themselves may be newer than the look at the clock. Returns the time of
    the file system (ns since the epoch)."""
    ahead: list[tuple[int, str]] = []
    at_work = os.fspath(layout.progress) + os.sep
    now_ns = _now_ns(layout)
    for entry in _files(os.fspath(layout.root), _NO_RESULTS):
        if entry.name.startswith(".") and entry.name.endswith(".tmp"):
            if drop_leftover(Path(entry.path), time.time() - LEFT_SECONDS):
                log.info("%s: removed; a killed run left it", entry.path)
        elif not entry.path.startswith(at_work):
            mtime_ns = entry.stat(follow_symlinks=False).st_mtime_ns
            if mtime_ns > now_ns:
                ahead.append((mtime_ns, entry.path))
    if not ahead:
        return now_ns
    log.warning(
        "%s: %d files are dated in the future, up to %s; the clock was set back, and they are"
        " dated now", layout.root, len(ahead), time.strftime(
            "%Y-%m-%d %H:%M:%S", time.localtime(max(ahead)[0] / 1e9)
        ),
    )  # fmt: skip
    for number, (_, path) in enumerate(sorted(ahead)):  # all in the past, in the same order
        date = now_ns - len(ahead) + number
        os.utime(path, ns=(date, date), follow_symlinks=False)
    return now_ns


def _now_ns(layout: Layout) -> int:
    """The time of the file system (ns since the epoch); a file server has its own clock."""
    layout.root.mkdir(parents=True, exist_ok=True)
    probe = layout.root / f".now.{os.getpid()}.tmp"
    probe.touch()
    try:
        return probe.stat().st_mtime_ns
    finally:
        probe.unlink(missing_ok=True)


def _files(folder: str, without: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in without:
                    yield from _files(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry
