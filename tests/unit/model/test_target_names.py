"""Keys as names of files: what is refused, and that nothing else ever leaves the destination."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.model import target_names
from waybill.model.target_names import Limits, is_partial, limits, partial_name, refusals

ROOT = "/data/in"


def refused(*paths, files=(), folders=(), root=ROOT, **more):
    return refusals(paths, root=root, files=files, folders=folders, limits=Limits(**more))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("..", '".."'),
        ("../up", '".."'),
        ("a/../../up", '".."'),
        ("a/..", '".."'),
        ("a/../", '".."'),
        ("a/../b", '".."'),
        ("/etc/passwd", "starts with a slash"),
        ("//server/share", "starts with a slash"),
        ("C:/Windows", "drive letter"),
        ("c:/file", "drive letter"),
        ("Z:\\x", "drive letter"),
        ("nul\0", "NUL"),
        ("a\0/b", "NUL"),
        ("..\0", "NUL"),
        ("a//b", "empty folder name"),
        ("a//", "empty folder name"),
        ("/", "empty folder name"),
        (".", '"."'),
        ("./", '"."'),
        ("./a", '"."'),
        ("a/./b", '"."'),
        ("a/.", '"."'),
        (partial_name("fine"), "unfinished download"),
        (f"a/{partial_name('fine')}", "unfinished download"),
        (f"{partial_name('fine')}/a", "unfinished download"),
    ],
)
def test_what_would_leave_the_destination_or_not_be_kept(path, reason):
    found = refused("fine", path)
    assert found.keys() == {path}
    assert reason in found[path]


@pytest.mark.parametrize(
    "path",
    [
        "...", "a/...", "..a", "a..", ".hidden", "a/.b", "a/", "folder/deep/", "ab:c", "a/C:/b",
        "c:file", "X:1-2.vcf",
        "\\", "..\\..\\up", "\n", "a/\n", "..\n", ".\n", "a/..\n", " ", "~", "-", "*", "COM1", "é",
        ".waybill-x", ".waybill-0.part", "a.waybill-/b",
    ],
)  # fmt: skip
def test_what_only_looks_odd(path):
    assert refused(path) == {}


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b:", "\n", "/", "C:", "\0", "…"])))
def test_what_is_not_refused_stays_below_the_root(parts):
    path = "/".join(parts)
    if refused(path):
        return
    assert "\0" not in path
    target = f"{ROOT}/{path}"
    assert os.path.normpath(target) == target.removesuffix("/")
    assert Path(ROOT, path).is_relative_to(ROOT)
    assert Path(ROOT, path) != Path(ROOT)


def test_a_file_where_other_keys_need_a_folder():
    found = refused("a", "a/b", "c/d", "c/d/", "e", "ef/g")
    assert found.keys() == {"a", "c/d"}
    assert "other keys make it a folder" in found["a"]


def test_a_refused_key_asks_for_no_folder():
    assert refused("a", "a/../b").keys() == {"a/../b"}
    assert refused("a", "a//b").keys() == {"a//b"}


def test_against_what_stands_in_the_destination():
    found = refused(
        "folder", "folder/new", "file", "file/below", "file/deep/below", "other/", "deep/file/",
        files={"file", "other", "deep/file"},
        folders={"folder", "deep"},
    )  # fmt: skip
    assert found.keys() == {
        "folder", "file", "file/below", "file/deep/below", "other/", "deep/file/",
    }  # fmt: skip
    below = "the destination has a file where a folder must be: "
    assert found["file/below"] == found["file/deep/below"] == below + "file"
    assert found["other/"] == below + "other"
    assert found["deep/file/"] == below + "deep/file"
    assert refused("folder", files=(), folders={"folder"})["folder"].startswith("a folder of this")
    assert refused("folder/", folders={"folder"}) == {}
    assert refused("file", files={"file"}) == {}


def test_names_are_measured_in_bytes():
    assert refused("n" * 255, "é" * 127, "名" * 85, "folder/" + "n" * 255) == {}
    for name in ("n" * 256, "é" * 128, "名" * 86, "folder/" + "é" * 128, "名" * 86 + "/file"):
        (reason,) = refused(name).values()
        assert reason.startswith("a name of 25")
        assert "takes 255" in reason
    assert refused("名" * 12, name_bytes=35).keys() == {"名" * 12}
    assert refused("名" * 12, name_bytes=36) == {}


def test_paths_are_measured_whole():
    path = "é" * 50 + "/" + "n" * 100
    whole = len(ROOT) + 1 + 201
    assert refused(path, path_bytes=whole) == {}
    (reason,) = refused(path, path_bytes=whole - 1).values()
    assert f"would have {whole} bytes" in reason
    deep = "/".join(["n" * 200] * 5)
    assert refused(deep) == {}
    assert refused(deep, root="/r" * 1600).keys() == {deep}


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120))
def test_what_is_not_too_long_can_be_made(text):
    """The shortcut for short paths never lets a long one through."""
    name = text.replace("/", "x").replace("\0", "x").strip(".:") or "x"
    whole = len(os.fsencode(f"{ROOT}/{name}"))
    found = refused(name, name_bytes=60, path_bytes=70)
    assert bool(found) == (len(name.encode()) > 60 or whole > 70 or "drive" in str(found))


NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    "group",
    [
        ["README", "readme", "ReadMe"],
        ["a/B", "A/b"],
        [NFC, NFD],
        [NFC, NFD.upper()],
        ["ΣΑΣ", "σας"],
        ["ﬁle", "FILE"],
        ["Straße", "STRASSE"],
        ["\u0390", "\u03aa\u0301"],
        ["K", "\u212a"],
    ],
)
def test_names_that_are_one_file_of_a_disk_without_case(group):
    found = refused("other", *group, folds_case=True)
    assert found.keys() == set(group)
    for path in group:
        others = [repr(other) for other in group if other != path]
        assert found[path] == "falls on one file with " + ", ".join(others)
    assert refused("other", *group) == {}


def test_a_refused_key_falls_on_nothing():
    assert refused("a/../B", "a/../b", "b", folds_case=True).keys() == {"a/../B", "a/../b"}


@given(st.lists(st.sampled_from("aAbBéÉ") | st.just(NFD), max_size=6, unique=True))
def test_of_each_file_without_case_all_names_or_none_are_refused(paths):
    folded = [unicodedata.normalize("NFC", path).casefold() for path in paths]
    expected = {p for p, f in zip(paths, folded, strict=True) if folded.count(f) > 1}
    assert refused(*paths, folds_case=True).keys() == expected


def test_the_limits_of_a_folder_that_is_not_there_yet(tmp_path):
    found = limits(tmp_path / "not" / "there")
    assert found == Limits(os.pathconf(tmp_path, "PC_NAME_MAX"), 4095, False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_listed_may_be_used(tmp_path, monkeypatch):
    def denied(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    assert not limits(tmp_path).folds_case


def test_two_names_of_two_files_are_no_case_folding(tmp_path):
    (tmp_path / "Readme").write_bytes(b"")
    (tmp_path / "rEADME").symlink_to("Readme")
    assert not target_names._folds_case(tmp_path)


def test_a_disk_without_case_is_told_by_its_names(tmp_path, monkeypatch):
    (tmp_path / "Readme").write_bytes(b"1")
    real = Path.lstat

    def folding(path):
        same = tmp_path / "Readme"
        return real(same if path.name.lower() == "readme" else path)

    monkeypatch.setattr(Path, "lstat", folding)
    monkeypatch.setattr(Path, "exists", lambda _path: True)
    assert target_names._folds_case(tmp_path)


def test_the_name_of_an_unfinished_download():
    assert partial_name("a") == partial_name("a")
    assert len({partial_name(name) for name in ("a", "b", "A", NFC, NFD)}) == 5
    for name in ("a", "名" * 85, "new\nline"):
        assert is_partial(partial_name(name))
        assert len(partial_name(name)) == 30
    for name in ("a", ".waybill-", ".waybill-0.part", partial_name("a") + "x", "x.part"):
        assert not is_partial(name)
