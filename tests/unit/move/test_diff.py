"""The two truth tables of `waybill.move.diff`, cell by cell."""

import pytest

from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError
from waybill.move.diff import action_of, diff, judge, undecided
from waybill.results.batch_tables import read_diff, render_diff
from waybill.s3.same_bytes import Verdict

FILE = LocalEntry("f", 10, 1_000, 1)
OBJECT = RemoteEntry("f", 10, 2_000, "etag")


def never():
    raise AssertionError("the listing decides, nobody is to be asked")


@pytest.mark.parametrize("compare", ["sha256", "mtime", "size"])
@pytest.mark.parametrize(
    ("there", "status"), [(None, "+"), (OBJECT._replace(size=11), "*")], ids=["absent", "size"]
)
def test_the_listing_decides(compare, there, status):
    assert judge(FILE, there, compare=compare, same=never)[0] == status


@pytest.mark.parametrize(
    ("compare", "there", "same", "status"),
    [
        ("sha256", OBJECT, True, "="),
        ("sha256", OBJECT, False, "*"),
        ("sha256", OBJECT, None, "!"),
        ("mtime", OBJECT, None, "="),
        ("mtime", OBJECT._replace(mtime_ns=1_000), None, "="),
        ("mtime", OBJECT._replace(mtime_ns=999), None, "*"),
        ("size", OBJECT._replace(mtime_ns=999), None, "="),
    ],
)
def test_same_size(compare, there, same, status):
    assert judge(FILE, there, compare=compare, same=lambda: Verdict(same))[0] == status


ACTIONS = {
    "if-changed": {"=": "keep", "+": "move", "*": "move", "!": "move"},
    "never": {"=": "keep", "+": "move", "*": "refuse", "!": "refuse"},
    "always": {"=": "move", "+": "move", "*": "move", "!": "move"},
}


@pytest.mark.parametrize(
    ("overwrite", "status", "action"),
    [(o, s, a) for o, row in ACTIONS.items() for s, a in row.items()],
)
def test_what_follows(overwrite, status, action):
    assert action_of(status, overwrite=overwrite) == action


def as_verdict(answer):
    return answer if isinstance(answer, EntryError) else Verdict(answer)


def run(there, answer=never, hashes=None, **settings):
    chosen = {"compare": "sha256", "overwrite": "if-changed"} | settings
    found = {"f": there} if there else {}
    (item,) = diff(
        [FILE],
        {"f": "ab"} if hashes is None else hashes,
        found,
        same_bytes=lambda _: answer() if callable(answer) else as_verdict(answer),
        **chosen,
    )
    return item


@pytest.mark.parametrize("compare", ["sha256", "mtime", "size"])
@pytest.mark.parametrize("overwrite", ACTIONS)
@pytest.mark.parametrize("there", [None, OBJECT, OBJECT._replace(size=11)])
def test_an_unreadable_file_is_never_equal(compare, overwrite, there):
    item = run(there, hashes={}, compare=compare, overwrite=overwrite)
    assert (item.status, item.action, item.sha256) == ("!", "refuse", "")
    assert item.reason == "the file could not be hashed"


def test_a_known_hash_needs_no_question():
    assert run(OBJECT._replace(sha256="ab")).status == "="
    assert run(OBJECT._replace(sha256="cd")).status == "*"


def test_only_same_size_without_a_known_hash_is_asked():
    entries = [LocalEntry(name, 10, 0, 0) for name in "abcde"]
    remote = {
        "a": RemoteEntry("a", 10, 0, "e"),
        "b": RemoteEntry("b", 11, 0, "e"),
        "c": RemoteEntry("c", 10, 0, "e", "00"),
        "e": RemoteEntry("e", 10, 0, "e"),
    }
    hashes = dict.fromkeys("abcd", "00")  # e could not be hashed
    assert [entry.path for entry in undecided(entries, hashes, remote)] == ["a"]


def test_an_object_that_cannot_be_looked_at_is_refused():
    item = run(OBJECT, answer=EntryError("f", "access denied"))
    assert (item.status, item.action, item.sha256) == ("!", "refuse", "")
    assert "access denied" in item.reason


def test_a_refusal_says_why_and_so_does_a_forced_move():
    assert 'overwrite = "never"' in run(OBJECT, answer=False, overwrite="never").reason
    assert 'overwrite = "always"' in run(OBJECT, answer=True, overwrite="always").reason


def test_a_table_comes_back(tmp_path):
    items = [run(None), run(OBJECT, answer=True), run(OBJECT, answer=None), run(None, hashes={})]
    items.append(items[0]._replace(path="a\tb\nc"))
    (tmp_path / "t.tsv").write_bytes(render_diff(iter(items)))
    assert list(read_diff(tmp_path / "t.tsv")) == items
