"""What this machine gives: file systems, locks, room, the encoding of names.

Nothing is left behind: a probe is a file without a name, or one that has lost its name before it is
written to.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from waybill.cli.doctor.rows import Row, Verdict
from waybill.model.units import format_size
from waybill.system import encoding
from waybill.system.locks import Lock, try_lock
from waybill.system.resources import project_root

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

PROBE_BYTES = 1 << 16  # a quota says no only when bytes are written
LITTLE_ROOM = 1 << 30
LITTLE_CACHE = 100 << 20  # Snakemake's own files are small
MOUNTS = Path("/proc/self/mountinfo")

# File systems of one machine. Others cannot see them, unless it exports them.
_LOCAL = {"btrfs", "ext2", "ext3", "ext4", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
# Mount options with which a lock holds on one node only: Lustre's manual, nfs(5).
_ONE_NODE = {"localflock", "local_lock=flock", "local_lock=all", "nolock"}


class Mount(NamedTuple):
    """A mounted file system: where, of what type, with which options."""

    point: str
    kind: str
    options: frozenset[str]


class Probe(NamedTuple):
    """What a probe of a folder has found. ``at`` is the folder itself or, when it does not exist,
    the nearest one above; ``free`` is in bytes."""

    at: Path
    lock: Lock
    free: int
    mount: Mount | None


def probe(folder: Path) -> Probe:
    """Write into ``folder``, or into the nearest folder above that exists, and try a lock there.

    Raises OSError when it cannot be written.
    """
    at = nearest(folder)
    with tempfile.TemporaryFile(dir=at, prefix=".waybill-doctor-") as file:
        lock = try_lock(file.fileno())
        file.write(bytes(PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return Probe(at, lock, shutil.disk_usage(at).free, mount_of(at))


def nearest(folder: Path) -> Path:
    """``folder``, or the nearest folder above that exists. Raises OSError for a link to nowhere."""
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  a link stays a link
    for path in (folder, *folder.parents):
        if path.exists():
            return path
        if path.is_symlink():
            raise FileNotFoundError(errno.ENOENT, "is a link to nowhere", str(path))
    return folder


def mount_of(folder: Path) -> Mount | None:
    """The file system that holds ``folder``; None where the system does not tell."""
    try:
        text = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return find_mount(text, os.path.realpath(folder))


def find_mount(text: str, path: str) -> Mount | None:
    """The last and deepest mount above ``path`` (absolute, without links) in a text of the format
    of ``/proc/self/mountinfo``, see proc(5)."""
    found = None
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields, source = before.split(" "), after.split(" ")
        if not dash or len(fields) < 6 or len(source) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        if point != "/" and not f"{path}/".startswith(f"{point}/"):
            continue
        if found is None or len(point) >= len(found.point):
            options = frozenset([*fields[5].split(","), *source[2].split(",")])
            found = Mount(point, source[0], options)
    return found


# The rows


def check_locale() -> Iterator[Row]:
    """The row about the encoding of names of files."""
    yield locale(encoding.mistaken() or encoding.mended())


def locale(problem: str) -> Row:
    """The row about names of files; ``problem`` is why a new process would misread them."""
    if not problem:
        return Row("locale", Verdict.OK, "names of files are read as UTF-8")
    found, _, advice = problem.partition("; ")
    advice = advice.removesuffix(" and run again")
    advice += "; the commands do so themselves, `snakemake` refuses to start"
    return Row("locale", Verdict.WARN, found, advice)


def check_working_folder() -> Iterator[Row]:
    """The row about the folder that a run would work in, for ``.snakemake``."""
    yield from _writable("working folder", Path.cwd(), "go to a folder that you may write to")


def check_locks() -> Iterator[Row]:
    """The row about locks in the working folder, where results would be."""
    yield locks(probe(Path.cwd()))


def check_cache() -> Iterator[Row]:
    """The row about the folder to which each job of Snakemake copies the workflow's sources."""
    advice = "export XDG_CACHE_HOME=FOLDER, of all nodes, with room"
    try:
        folder = cache_folder()
    except RuntimeError:
        yield Row("cache", Verdict.FAIL, "there is no home folder", advice)
        return
    yield from _writable("cache", folder, advice, little=LITTLE_CACHE)


def cache_folder() -> Path:
    """Snakemake's cache folder: it takes the one of platformdirs for ``snakemake``, that is
    ``$XDG_CACHE_HOME/snakemake`` when that variable is an absolute path, else
    ``~/.cache/snakemake``. Without the variable, the profile ``default`` may set it, to a folder
    beside the other files of a run. Raises RuntimeError without a home."""
    named = os.environ.get("XDG_CACHE_HOME", "").strip()
    if not named and _sets_cache(project_root() / "workflow/profiles/default/config.yaml"):
        return Path.cwd() / ".snakemake" / "cache" / "snakemake"
    above = Path(named) if named and Path(named).is_absolute() else Path.home() / ".cache"
    return above / "snakemake"


def _sets_cache(profile: Path) -> bool:
    """Whether a profile sets ``XDG_CACHE_HOME``, which it does in a line of Python."""
    try:
        return 'environ["XDG_CACHE_HOME"] =' in profile.read_text(encoding="utf-8")
    except OSError:
        return False


def check_temporary() -> Iterator[Row]:
    """The row about ``TMPDIR``, which Waybill does not use, but Snakemake and SLURM name."""
    named = os.environ.get("TMPDIR", "")
    advice = "set TMPDIR to a folder that you may write to"
    try:
        used = tempfile.gettempdir()
    except FileNotFoundError:
        yield Row("temporary files", Verdict.FAIL, "no folder can be written to", advice)
        return
    if not named or Path(named).resolve() == Path(used).resolve():
        free = format_size(shutil.disk_usage(used).free)
        yield Row("temporary files", Verdict.OK, f"{used}: {free} free")
    else:
        found = f"TMPDIR={named} cannot be written, so Python takes {used}"
        yield Row("temporary files", Verdict.WARN, found, advice)


def check_results(transfer: Transfer) -> Iterator[Row]:
    """The rows about the results of a transfer: may be written, can be locked, have room."""
    advice = "give write permission, or set `results` to another folder"
    try:
        found = probe(transfer.results)
    except OSError as error:
        yield _refused("results", transfer.results, error, advice)
        return
    yield written("results", transfer.results, found)
    yield locks(found)


def check_source(transfer: Transfer) -> Iterator[Row]:
    """The rows about the folders that an upload reads."""
    for folder in transfer.folders or (transfer.folder,):
        try:
            with os.scandir(folder) as scan:
                some = next(scan, None)
        except OSError as error:
            advice = "correct `source`, or give permission to read and enter it"
            yield _refused("source", folder, error, advice)
            continue
        if not os.access(folder, os.R_OK | os.X_OK):
            advice = "give permission to enter it (x)"
            yield Row("source", Verdict.FAIL, f"{folder}: its files cannot be reached", advice)
        elif some is None:
            yield Row("source", Verdict.WARN, f"{folder}: is empty", "see whether it is mounted")
        else:
            yield Row("source", Verdict.OK, f"{folder}: can be listed")


def check_destination(transfer: Transfer) -> Iterator[Row]:
    """The row about the folder that a download writes. Nothing is written there."""
    folder = transfer.folder
    advice = "correct `destination`, or give permission to write there"
    try:
        at = nearest(folder)
        free = shutil.disk_usage(at).free
    except OSError as error:
        yield _refused("destination", folder, error, advice)
        return
    if not at.is_dir():
        yield Row("destination", Verdict.FAIL, f"{at}: is not a folder", advice)
    elif not os.access(at, os.W_OK | os.X_OK):
        yield Row("destination", Verdict.FAIL, f"{at}: may not be written", advice)
    else:
        yield room("destination", folder, at, free, LITTLE_ROOM)


def check_shared(folder: Path) -> Iterator[Row]:
    """The row about results that the nodes of a cluster have to see."""
    at = nearest(folder)
    yield shared(at, mount_of(at))


def written(check: str, folder: Path, found: Probe, little: int = LITTLE_ROOM) -> Row:
    """The row about a folder that can be written. With less than ``little`` bytes it will hurt."""
    return room(check, folder, found.at, found.free, little)


def room(check: str, folder: Path, at: Path, free: int, little: int) -> Row:
    """The row about a folder with ``free`` bytes, to be made when it is not ``at`` itself."""
    new = nearest(folder) != Path(os.path.abspath(folder))  # noqa: PTH100
    how = f"will be made in {at}" if new else "may be written"
    text = f"{folder}: {how}, {format_size(free)} free"
    if free < little:
        return Row(check, Verdict.WARN, text, "make room, or take a folder elsewhere")
    return Row(check, Verdict.OK, text)


def locks(found: Probe) -> Row:
    """The row about locks: whether a second run would notice the first."""
    kind = f"{found.mount.kind} at {found.mount.point}" if found.mount else str(found.at)
    if found.lock is not Lock.HELD:
        return Row(
            "locks",
            Verdict.WARN,
            f"{kind}: the file system has no locks (flock)",
            "mount it with locks (Lustre: option flock), or see to it that no other run uses this"
            " folder; `s3-upload monitor` refuses to start there",
        )
    one_node = _ONE_NODE & found.mount.options if found.mount else set()
    if one_node:
        return Row(
            "locks",
            Verdict.WARN,
            f"{kind}: locks hold on one node only (mount option {min(one_node)})",
            "mount it with locks for all nodes (Lustre: option flock), or start runs on one node",
        )
    return Row("locks", Verdict.OK, f"{kind}: flock works")


def shared(at: Path, mount: Mount | None) -> Row:
    """The row about results in ``at`` on the file system ``mount``."""
    check = "results on nodes"
    if mount is None:
        return Row(check, Verdict.UNTOLD, f"{at}: the system names no file system")
    text = f"{at}: {mount.kind}"
    if mount.kind in _LOCAL:
        advice = "see whether the nodes have this folder; set `results` to one that they have"
        return Row(check, Verdict.WARN, f"{text}, which is of this machine alone", advice)
    return Row(check, Verdict.OK, text)


def _writable(check: str, folder: Path, advice: str, little: int = LITTLE_ROOM) -> Iterator[Row]:
    try:
        yield written(check, folder, probe(folder), little)
    except OSError as error:
        yield _refused(check, folder, error, advice)


def _refused(check: str, folder: Path, error: OSError, advice: str) -> Row:
    """The row about a folder that cannot be used."""
    return Row(check, Verdict.FAIL, f"{folder}: {error.strerror or error}", advice)
