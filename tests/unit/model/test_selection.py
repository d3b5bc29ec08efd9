"""Patterns: what they match, what they refuse, and that a walk may trust them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.model.selection import Selection, check_pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("**", ["a", "a/b/c", ".hidden", "a/.b/c"], []),
        ("*", ["a", "a/b", ".hidden"], []),
        ("*.h5", ["x.h5", "a/b/x.h5", ".h5"], ["x.h5.bak", "x.H5", "x.h5/y"]),
        ("/*.h5", ["x.h5"], ["a/x.h5"]),
        ("data", ["data", "a/data"], ["data/x", "data2", "mydata"]),
        ("data/", ["data/x", "a/data/b/c"], ["data", "a/data", "data2/x"]),
        ("/data/", ["data/x"], ["a/data/x", "data"]),
        ("a/b", ["a/b"], ["x/a/b", "a/b/c"]),
        ("a/*/c", ["a/b/c"], ["a/c", "a/b/b/c"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c"], ["a/bc", "ac", "x/a/c"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab", "x/a/b"]),
        ("**/c", ["c", "a/c", "a/b/c"], ["ac", "c/a"]),
        ("run_?.txt", ["run_1.txt"], ["run_.txt", "run_12.txt"]),
        ("a?b/c", [], ["a/b/c"]),
        ("a**b", ["ab", "axxb", "a/x/b"], ["ba"]),
        ("[ab].txt", ["a.txt", "x/b.txt"], ["c.txt", "ab.txt"]),
        ("[!ab].txt", ["c.txt"], ["a.txt", "x/a.txt"]),
        ("[^ab].txt", ["c.txt"], ["a.txt"]),
        ("[a-cx]", ["b", "x"], ["d", "-"]),
        ("[+-9]x", ["0x", "+x"], ["a/x"]),
        ("a[!b]c/d", ["axc/d"], ["a/c/d", "abc/d"]),
        ("[]]x", ["]x"], ["x"]),
        ("[*]", ["*"], ["a"]),
        ("[[]x]", ["[x]"], ["x"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[&&~~||^]", ["&", "|", "~", "^"], ["a"]),
        ("x]", ["x]"], ["x"]),
        ("a.b+(c)$", ["a.b+(c)$"], ["axb+(c)$"]),
        ("back\\slash", ["back\\slash"], ["backslash"]),
        ("{a,b}", ["{a,b}"], ["a"]),
        ("new\nline*", ["new\nline\n"], ["newline"]),
        ("*a*b*", ["ab", "xaxbx", "aab"], ["ba"]),
        ("*ab*ab", ["abab", "xabxab", "ababab"], ["ab"]),
    ],
)
def test_include(pattern, matching, other):
    selection = Selection([pattern])
    assert [path for path in matching + other if selection.matches(path)] == matching


@pytest.mark.parametrize(
    ("pattern", "left_out", "taken"),
    [
        ("*.tmp", ["x.tmp", "a/x.tmp", "a.tmp/x"], ["x.tmp2"]),
        ("build", ["build", "build/x", "a/build/x"], ["builds/x"]),
        ("build/", ["build/x", "a/build/x/y"], ["build", "a/build"]),
        ("/build", ["build", "build/x"], ["a/build"]),
        ("a/*", ["a/b", "a/b/c"], ["a", "x/a/b"]),
        ("a/**/c", ["a/c", "a/b/c", "a/c/d"], ["a/b"]),
        (".*", [".git/x", "a/.b"], ["a.b"]),
        ("**", ["a", "a/b"], []),
    ],
)
def test_exclude_takes_folders_with_it(pattern, left_out, taken):
    selection = Selection(exclude=[pattern])
    assert [path for path in left_out + taken if selection.matches(path)] == taken


def test_exclude_wins_and_patterns_add_up():
    selection = Selection(["*.h5", "notes/**"], ["old/", "/x.h5"])
    paths = ["x.h5", "a/x.h5", "notes/a", "notes/old/a", "b.txt"]
    assert [path for path in paths if selection.matches(path)] == ["a/x.h5", "notes/a"]


def test_nothing_given_takes_everything():
    assert Selection().matches("a/.b/c")
    assert not Selection().excludes_folder("a")


@pytest.mark.parametrize(
    ("pattern", "skipped", "entered"),
    [
        ("foo", ["foo", "a/foo", "foo/bar"], ["foobar", "a"]),
        ("foo/", ["foo", "a/foo", "foo/bar"], ["foobar", "a"]),
        ("foo/**", ["foo", "foo/bar"], ["a/foo", ""]),
        ("foo/*", ["foo", "foo/bar"], ["a/foo"]),
        ("foo/**/*", ["foo"], ["fo"]),
        ("/foo/", ["foo"], ["a/foo"]),
        ("foo/*.tmp", ["foo/x.tmp"], ["foo"]),
        ("**/foo/**", ["foo", "a/foo"], ["a"]),
        ("*/*", ["a", "a/b"], [""]),
        ("*", ["", "a"], []),
        ("**", ["", "a/b"], []),
        ("/*", ["", "a"], []),
        ("*.zarr", ["x.zarr", "a/x.zarr/0"], ["a"]),
    ],
)
def test_excludes_folder(pattern, skipped, entered):
    selection = Selection(exclude=[pattern])
    assert [folder for folder in skipped + entered if selection.excludes_folder(folder)] == skipped


names = st.sampled_from(["a", "b", "ab", "a.b"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
pieces = st.sampled_from(["a", "b", "*", "**", "a*", "?", "[ab]", "a**b"])
patterns = st.tuples(
    st.sampled_from(["", "/"]),
    st.lists(pieces, min_size=1, max_size=4).map("/".join),
    st.sampled_from(["", "/"]),
).map("".join)


@given(st.lists(patterns, min_size=1, max_size=3), paths, paths)
def test_a_skipped_folder_holds_nothing_to_take(exclude, folder, below):
    selection = Selection(exclude=exclude)
    if selection.excludes_folder(folder):
        assert not selection.matches(f"{folder}/{below}")
    if selection.excludes_folder(""):
        assert not selection.matches(below)


@given(patterns, paths)
def test_what_an_include_takes_the_same_exclude_leaves_out(pattern, path):
    if Selection([pattern]).matches(path):
        assert not Selection(exclude=[pattern]).matches(path)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "empty"),
        ("/", "empty"),
        ("a[", "without"),
        ("[]", "without"),
        ("[!]", "without"),
        ("[a/b]", "without"),
        ("../x", '".."'),
        ("a/../x", '".."'),
        ("./x", '"."'),
        ("a//b", "two"),
        ("//a", "absolute"),
        ("C:\\data", "absolute"),
        ("s3://bucket/x", "absolute"),
        ("[z-a]", "wrong way round"),
        ("[[:alpha:]]", "not supported"),
        ("!keep", "negate"),
    ],
)
def test_invalid_patterns(pattern, why):
    with pytest.raises(ValueError, match=why):
        check_pattern(pattern)
    with pytest.raises(ValueError, match=r"^pattern "):
        Selection(exclude=[pattern])


def test_fast_enough_for_many_files():
    selection = Selection(["*.fastq.gz", "*.bam", "qc/**"], ["*.tmp", "scratch/", "/logs/", ".*"])
    many = [f"run_{n % 97}/lane_{n % 8}/sample_{n}.fastq.gz" for n in range(100_000)]
    start = time.thread_time()
    assert all(map(selection.matches, many))
    assert time.thread_time() - start < 2


def test_many_stars_do_not_explode():
    selection = Selection(["*a" * 30 + "b"])
    start = time.thread_time()
    assert not selection.matches("a" * 200)
    assert time.thread_time() - start < 1
