"""What is said of folders, locks and names; and that a probe leaves nothing behind."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from support.transfers import transfer_of
from waybill.cli.doctor import machine
from waybill.cli.doctor.machine import Mount, Probe
from waybill.cli.doctor.rows import Row, Verdict
from waybill.system import encoding
from waybill.system.locks import Lock


def by_check(rows: list[Row]) -> dict[str, Row]:
    return {row.check: row for row in rows}


def test_results_that_exist_are_probed_and_nothing_is_left(tmp_path: Path) -> None:
    results = tmp_path / "results" / "t"
    results.mkdir(parents=True)
    rows = by_check([*machine.check_results(transfer_of(tmp_path, results=results))])
    assert rows["results"].found.startswith(f"{results}: may be written, ")
    assert {row.verdict for row in rows.values()} <= {Verdict.OK, Verdict.WARN}
    assert "flock works" in rows["locks"].found
    assert list(results.iterdir()) == []


def test_results_that_do_not_exist_are_not_made(tmp_path: Path) -> None:
    results = tmp_path / "new" / "t"
    rows = by_check([*machine.check_results(transfer_of(tmp_path, results=results))])
    assert rows["results"].found.startswith(f"{results}: will be made in {tmp_path}, ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["file", "link"])
def test_results_that_cannot_be_made(tmp_path: Path, what: str) -> None:
    if what == "file":
        (tmp_path / "there").touch()
    else:
        (tmp_path / "there").symlink_to(tmp_path / "nowhere")
    transfer = transfer_of(tmp_path, results=tmp_path / "there" / "t")
    (row,) = machine.check_results(transfer)
    assert (row.check, row.verdict) == ("results", Verdict.FAIL)
    assert str(tmp_path / "there") in row.found


def test_a_folder_that_takes_no_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a full disk or quota: the name can be made, the bytes cannot be written."""

    def full(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr("os.fsync", full)
    (row,) = machine.check_results(transfer_of(tmp_path))
    assert row.verdict is Verdict.FAIL
    assert "quota" in row.found.lower()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_flock_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    rows = by_check([*machine.check_results(transfer_of(tmp_path))])
    assert rows["results"].verdict is Verdict.OK
    assert rows["locks"].verdict is Verdict.WARN
    assert "no locks" in rows["locks"].found
    assert "flock" in rows["locks"].advice


@pytest.mark.parametrize(
    ("kind", "option"),
    [("lustre", "localflock"), ("nfs4", "local_lock=all"), ("nfs", "local_lock=flock"),
     ("nfs", "nolock")],
)  # fmt: skip
def test_locks_of_one_node_are_said(kind: str, option: str) -> None:
    mount = Mount("/scratch", kind, frozenset({"rw", option}))
    row = machine.locks(Probe(Path("/scratch/r"), Lock.HELD, 1 << 40, mount))
    assert (row.verdict, option in row.found) == (Verdict.WARN, True)
    shared = mount._replace(options=frozenset({"rw", "flock", "local_lock=none"}))
    assert machine.locks(Probe(Path("/s"), Lock.HELD, 1, shared)).verdict is Verdict.OK


def test_little_room_will_hurt(tmp_path: Path) -> None:
    found = Probe(tmp_path, Lock.HELD, 300 << 20, None)
    row = machine.written("results", tmp_path, found)
    assert (row.verdict, "300.0 MiB free" in row.found) == (Verdict.WARN, True)
    assert machine.written("cache", tmp_path, found, little=1 << 20).verdict is Verdict.OK


MOUNTINFO = r"""
22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro
30 22 0:30 / /home rw,nosuid shared:2 - nfs4 server:/home rw,vers=4.2,local_lock=none
31 22 0:31 / /scratch\040one rw shared:3 master:4 - lustre mgs@tcp:/fs rw,flock,lazystatfs
32 22 0:32 / /lay rw - tmpfs tmpfs rw
33 22 0:33 / /lay rw - xfs /dev/sdb rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "point", "kind"),
    [
        ("/home/ada/results", "/home", "nfs4"),
        ("/homes", "/", "ext4"),
        ("/scratch one/a", "/scratch one", "lustre"),
        ("/lay", "/lay", "xfs"),
        ("/", "/", "ext4"),
    ],
)
def test_the_mount_of_a_path(path: str, point: str, kind: str) -> None:
    found = machine.find_mount(MOUNTINFO, path)
    assert found is not None
    assert (found.point, found.kind) == (point, kind)
    assert machine.find_mount("", path) is None


def test_the_mount_of_a_real_folder(tmp_path: Path) -> None:
    found = machine.mount_of(tmp_path)
    assert found is not None
    assert os.path.ismount(found.point)


@pytest.mark.parametrize(("kind", "verdict"), [("ext4", "warn"), ("lustre", "ok"), ("nfs4", "ok")])
def test_results_that_nodes_cannot_see(kind: str, verdict: str) -> None:
    row = machine.shared(Path("/r"), Mount("/r", kind, frozenset()))
    assert row.verdict == verdict
    assert machine.shared(Path("/r"), None).verdict is Verdict.UNTOLD


def test_the_source(tmp_path: Path) -> None:
    full, empty, none = tmp_path / "full", tmp_path / "empty", tmp_path / "none"
    full.mkdir()
    (full / "f").touch()
    empty.mkdir()
    found = [*machine.check_source(transfer_of(full, folders=(full, empty, none)))]
    assert [row.verdict for row in found] == [Verdict.OK, Verdict.WARN, Verdict.FAIL]
    assert found[2].found == f"{none}: No such file or directory"


def test_the_destination_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (new,) = machine.check_destination(transfer_of(tmp_path / "a" / "b", down=True))
    (there,) = machine.check_destination(transfer_of(tmp_path, down=True))
    (file,) = machine.check_destination(transfer_of(tmp_path / "file" / "b", down=True))
    assert [new.verdict, there.verdict, file.verdict] == [Verdict.OK, Verdict.OK, Verdict.FAIL]
    assert "will be made in" in new.found
    assert file.found == f"{tmp_path}/file: is not a folder"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_cache_is_where_snakemake_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake asks platformdirs, which is not asked here, for it takes its time to load."""
    from snakemake.common import get_appdirs

    monkeypatch.setattr(machine, "project_root", lambda: tmp_path)  # without a profile
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative", str(tmp_path / "elsewhere")):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert str(machine.cache_folder()) == get_appdirs().user_cache_dir


def test_the_cache_is_where_the_profile_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "workflow" / "profiles" / "default" / "config.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text('__definitions__:\n  - os.environ["XDG_CACHE_HOME"] = cache\n')
    monkeypatch.setattr(machine, "project_root", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert machine.cache_folder() == tmp_path / ".snakemake/cache/snakemake"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert machine.cache_folder() == Path("/elsewhere/snakemake")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (row,) = machine.check_cache()
    assert row.verdict is Verdict.FAIL
    assert "XDG_CACHE_HOME" in row.advice


def test_a_tmpdir_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    (row,) = machine.check_temporary()
    assert (row.verdict, "TMPDIR=" in row.found) == (Verdict.WARN, True)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (row,) = machine.check_temporary()
    assert (row.verdict, str(tmp_path) in row.found) == (Verdict.OK, True)


def test_a_locale_that_is_not_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "iso8859-1")
    monkeypatch.setenv("LC_ALL", "de_DE")
    row = machine.locale(encoding.mistaken())
    assert row.verdict is Verdict.WARN
    assert "LC_ALL=de_DE" in row.found
    assert row.advice.startswith("set PYTHONUTF8=1; ")
    assert machine.locale("").verdict is Verdict.OK
