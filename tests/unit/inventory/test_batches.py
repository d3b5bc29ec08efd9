"""Batches: limits kept, nothing lost, and one more file disturbs at most two of them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from waybill.inventory.batches import START, assign, assign_in_order, is_first, is_last

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
        large = any(sizes[i] >= 100 for i in batch.indices)
        assert large == batch.name.startswith("f")


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
    # blake2b-64 of "a", "b" and "c", the cuts made in front of a and b; c is large and alone
    names = ["b40f89e395b66422f", "b8472c2e34d854f75", "f373f6364cd072c1b"]
    batches = assign(["a", "b", "c"], [1, 1, 500], max_files=1, max_bytes=100)
    assert [batch.name for batch in batches] == names
    (batch,) = assign(["a", "b"], [1, 1], max_files=2, max_bytes=100)
    assert batch.name == START


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
            expected = "b"
            if some_first and ordered[i].startswith("a"):
                expected = "a"
            elif some_last and ordered[i].endswith("b"):
                expected = "z"
            assert batch.name[0] == expected


def test_the_name_tells_who_waits():
    assert [letter for letter in "abfz" if is_first(letter + "0")] == ["a"]
    assert [letter for letter in "abfz" if is_last(letter + "0")] == ["z"]
