"""Checksum: the SHA-256 of each entry of a batch. Each byte is hashed once; the CRC-64/NVME of a
file that is not small comes from the same read. The upload compares what it sends with that CRC, at
a tenth of the cost of another SHA-256.

An entry is not hashed again when its (path, size, mtime_ns, inode) is in the cache of its batch, or
in the cache of a batch that held the entry before. The columns of ``cache/{dataset}/{batch}.tsv``
are ``path size mtime_ns inode sha256 crc64nvme``. A cache is never a Snakemake output, so the
hashes of a failed job are kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from waybill.model.entries import Checksums, LocalEntry
from waybill.model.errors import DamagedError, EntryError
from waybill.model.escaping import escape
from waybill.model.failure import Failure
from waybill.results.batch_tables import CACHE_COLUMNS, read_cache
from waybill.system.files import write_atomic
from waybill.system.hashing import sha256_of
from waybill.system.meter import METER
from waybill.system.root import Root
from waybill.system.tsv import render

log = logging.getLogger(__name__)


# A file modified this shortly before it was hashed may change again within the same mtime, so
# its hash is not kept for a later run (coarsest clock of a common file system: FAT, 2 s).
RACY_NS = 2_000_000_000

# Below this size another SHA-256 takes less time than to look up the CRC.
CRC_BYTES = 64 << 10


def checksum(
    folder: Path | Root,
    entries: list[LocalEntry],
    caches: Iterable[Path],
    cache: Path,
    *,
    threads: int,
    wanted: Callable[[LocalEntry], bool] = lambda _: True,
    write: Callable[[Path, bytes], None] = write_atomic,
) -> tuple[dict[str, str], list[Failure]]:
    """The SHA-256 (hex) of ``entries`` by path, and a failure for each that could not be hashed.

    ``cache`` and ``caches`` are read; ``cache`` is written with ``write``. An entry that is in no
    cache is hashed only when it is ``wanted``. An entry that cannot be hashed does not stop the
    others.
    """
    known = read_caches([cache, *caches])
    missing = [entry for entry in entries if entry not in known and wanted(entry)]
    failed: list[Failure] = []
    started = time.time_ns()

    def hash_one(entry: LocalEntry) -> Checksums | EntryError:
        try:
            return checksums_of(folder, entry)
        except EntryError as error:
            return error

    if missing:
        METER.expect_hashes(sum(entry.size for entry in missing))
        with ThreadPoolExecutor(max(1, threads)) as pool:
            for entry, result in zip(missing, pool.map(hash_one, missing), strict=True):
                if isinstance(result, EntryError):
                    failed.append(Failure.of(result))
                else:
                    known[entry] = result
        write(cache, remember(known, started))
    return {e.path: known[e].sha256 for e in entries if e in known}, failed


def checksums_of(folder: Path | Root, entry: LocalEntry) -> Checksums:
    """The checksums of one file, which is read once; a small one gets no CRC-64/NVME. Raises
    EntryError as ``system.hashing.opened`` does."""
    if entry.size < CRC_BYTES:
        return Checksums(sha256_of(folder, entry))
    from awscrt.checksums import crc64nvme  # loading it costs as much as hashing 10,000 small files

    crc = 0

    def add(_: int, block: bytes) -> None:
        nonlocal crc
        crc = crc64nvme(block, crc)

    sha256 = sha256_of(folder, entry, add)
    return Checksums(sha256, f"{crc:016x}")


def read_caches(paths: Iterable[Path]) -> dict[LocalEntry, Checksums]:
    """What caches have, later ones over earlier ones. One that is missing or damaged counts as
    empty; damage is told."""
    known: dict[LocalEntry, Checksums] = {}
    for path in paths:
        try:
            known.update(read_cache(path))
        except FileNotFoundError:
            continue
        except DamagedError as error:
            log.warning("%s: damaged: %s; its files are hashed again", path, error.why)
    return known


def remember(known: Mapping[LocalEntry, Checksums], started_ns: int) -> bytes:
    """The bytes of a cache. Hashing began at ``started_ns`` (ns since the epoch); entries that were
    modified shortly before or later are left out."""
    return render(
        CACHE_COLUMNS,
        (
            f"{escape(e[0])}\t{e[1]}\t{e[2]}\t{e[3]}\t{found.sha256}\t{found.crc64nvme}"
            for e, found in known.items()
            if e.mtime_ns < started_ns - RACY_NS
        ),
    )
