"""Batches: limits kept, nothing lost, and one more file disturbs at most two of them."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from waybill.inventory import batches as batches_module
from waybill.inventory.batches import ALONE_BYTES, assign, assign_in_order, is_first, is_last
from waybill.results.layout import BATCH_NAME, FIRST_BATCH_NAME

PATHS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    unique=True,
    min_size=1,
    max_size=80,
)


def members(paths, sizes, **limits):
    """Batches as name to (path, size) pairs."""
    batches = assign(paths, sizes, **limits)
    names = [batch.name for batch in batches]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(BATCH_NAME, name) for name in names)
    return {b.name: [(paths[i], sizes[i]) for i in b.indices] for b in batches}


@given(PATHS, st.integers(1, 10), st.data())
def test_every_entry_is_in_one_batch_and_the_limits_hold(paths, max_files, data):
    paths.sort()
    sizes = data.draw(st.lists(st.integers(0, 120), min_size=len(paths), max_size=len(paths)))
    batches = assign(paths, sizes, max_files=max_files, max_bytes=100)
    indices = [i for batch in batches for i in batch.indices]
    assert sorted(indices) == list(range(len(paths)))
    for batch in batches:
        total = sum(sizes[i] for i in batch.indices)
        assert len(batch.indices) <= max_files
        assert total <= 100 or len(batch.indices) == 1
        assert list(batch.indices) == sorted(batch.indices)
        if any(sizes[i] >= 100 for i in batch.indices):
            assert len(batch.indices) == 1
        assert batch.name[0] == ("f" if len(batch.indices) == 1 else "b")


@given(PATHS, st.integers(1, 10), st.data())
@settings(max_examples=500)
def test_one_more_file_changes_at_most_two_batches(paths, max_files, data):
    new = data.draw(st.sampled_from(paths))
    limits = {"max_files": max_files, "max_bytes": 10**9}
    before = sorted(set(paths) - {new})
    old = members(before, [1] * len(before), **limits)
    after = sorted(paths)
    now = members(after, [1] * len(after), **limits)
    changed = [name for name, entries in now.items() if old.get(name) != entries]
    assert len(changed) <= 2


@given(PATHS, st.integers(1, 10), st.data())
def test_a_changed_file_changes_only_its_own_batch(paths, max_files, data):
    paths.sort()
    which = data.draw(st.integers(0, len(paths) - 1))
    limits = {"max_files": max_files, "max_bytes": 10**9}
    old = members(paths, [1] * len(paths), **limits)
    sizes = [2 if i == which else 1 for i in range(len(paths))]
    now = members(paths, sizes, **limits)
    assert old.keys() == now.keys()
    assert sum(old[name] != now[name] for name in old) == 1


def test_batches_are_reasonably_full():
    paths = sorted(f"D{i // 1000}/f{i:06}" for i in range(20_000))
    batches = assign(paths, [1] * len(paths), max_files=1000, max_bytes=10**9)
    assert 20 <= len(batches) <= 60


def test_names_are_frozen():
    """A change here would upload nothing twice, but every batch of every user would run again."""
    # the first 32 bits of blake2b-64 of "a", "b" and "c"
    names = ["f.a.40f89e39", "f.b.8472c2e3", "f.c.373f6364"]
    batches = assign(["a", "b", "c"], [1, 1, 500], max_files=1, max_bytes=100)
    assert [batch.name for batch in batches] == names
    (batch,) = assign(["a", "b"], [1, 1], max_files=2, max_bytes=100)
    assert batch.name == "b.a.40f89e39"


def test_the_name_is_safe_and_begins_like_the_path():
    (batch,) = assign(["scan 1/gut $é\n.h5ad"], [1], max_files=1, max_bytes=100)
    assert batch.name.startswith("f.scan_1_gut____.h5ad.")
    (batch,) = assign(["x" * 500 + "/gut.h5ad"], [1], max_files=1, max_bytes=100)
    assert batch.name.startswith("f.x") and "_gut.h5ad." in batch.name
    assert len(batch.name) < 100


def test_names_that_would_be_equal_get_all_digits(monkeypatch):
    monkeypatch.setattr(
        batches_module, "path_hash", lambda path: bytes(4) + path.encode()[:4].ljust(4, b"-")
    )
    found = assign(["a é", "b", "é é"], [1, 1, 1], max_files=1, max_bytes=100)
    assert len({batch.name for batch in found}) == 3
    found = assign(["a?x", "a_x"], [1, 1], max_files=1, max_bytes=100)
    assert [batch.name for batch in found] == [
        f"f.a_x.{8 * '0'}{b'a?x-'.hex()}", f"f.a_x.{8 * '0'}{b'a_x-'.hex()}"
    ]  # fmt: skip


def test_a_file_of_a_gibibyte_is_alone_whatever_the_limits_are():
    sizes = [5, ALONE_BYTES, ALONE_BYTES - 1, 5]
    found = assign(["a", "b", "c", "d"], sizes, max_files=100, max_bytes=1 << 40)
    assert [list(batch.indices) for batch in found] == [[0, 2, 3], [1]]


@given(
    st.sets(st.text("ab/", min_size=1, max_size=6), max_size=40),
    st.integers(1, 7),
    st.booleans(),
    st.booleans(),
)
def test_what_goes_first_and_last_is_apart(paths, max_files, some_first, some_last):
    ordered = sorted(paths)
    first = (lambda path: path.startswith("a")) if some_first else None
    last = (lambda path: path.endswith("b")) if some_last else None
    batches = assign_in_order(
        ordered, [1] * len(ordered), max_files=max_files, max_bytes=1 << 20, first=first, last=last
    )
    assert sorted(i for batch in batches for i in batch.indices) == list(range(len(ordered)))
    assert len({batch.name for batch in batches}) == len(batches)
    for batch in batches:
        for i in batch.indices:
            expected = "b" if len(batch.indices) > 1 else "f"
            if some_first and ordered[i].startswith("a"):
                expected = "a"
            elif some_last and ordered[i].endswith("b"):
                expected = "z"
            assert batch.name[0] == expected


def test_the_name_tells_who_waits():
    names = [f"{letter}.x.00000000" for letter in "abfz"]
    assert [name[0] for name in names if is_first(name)] == ["a"]
    assert [name[0] for name in names if is_last(name)] == ["z"]
    assert [name[0] for name in names if re.fullmatch(FIRST_BATCH_NAME, name)] == ["a"]
