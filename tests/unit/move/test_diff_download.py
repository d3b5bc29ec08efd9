"""The truth tables of `waybill.move.diff` for downloads, cell by cell."""

import pytest

from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError
from waybill.move.diff import NOTHING_TO_COMPARE, action_of, diff_download, judge
from waybill.results.batch_tables import read_diff, render_diff
from waybill.s3.same_bytes import Verdict

OBJECT = RemoteEntry("f", 10, 2_000, "etag")
SAME = LocalEntry("f", 10, 2_000, 1)
LONGER = SAME._replace(size=11)
OLDER = SAME._replace(mtime_ns=1_999)
NEWER = SAME._replace(mtime_ns=2_001)


def nobody(*_args):
    raise AssertionError("the listing decides, nobody is to be asked")


def always(answer):
    return lambda *_args: answer


def judged(answer):
    return always(Verdict(answer))


# compare, the file, whether the bytes are the same, when the object was made -> status
TABLE = [
    ("sha256", None, nobody, nobody, "+"),
    ("sha256", LONGER, nobody, nobody, "*"),
    ("sha256", SAME, judged(True), nobody, "="),
    ("sha256", SAME, judged(False), nobody, "*"),
    ("sha256", SAME, judged(None), nobody, "!"),
    ("sha256", OLDER, judged(True), nobody, "="),
    ("sha256", NEWER, judged(False), nobody, "*"),
    ("mtime", None, nobody, nobody, "+"),
    ("mtime", LONGER, nobody, nobody, "*"),
    ("mtime", SAME, nobody, nobody, "="),
    ("mtime", NEWER, nobody, nobody, "="),
    ("mtime", OLDER, nobody, always(1_999), "="),
    ("mtime", OLDER, nobody, always(5), "="),
    ("mtime", OLDER, nobody, always(2_000), "*"),
    ("size", None, nobody, nobody, "+"),
    ("size", LONGER, nobody, nobody, "*"),
    ("size", SAME, nobody, nobody, "="),
    ("size", OLDER, nobody, nobody, "="),
]

ACTIONS = {
    "if-changed": {"=": "keep", "+": "move", "*": "move", "!": "move"},
    "never": {"=": "keep", "+": "move", "*": "refuse", "!": "refuse"},
    "always": {"=": "move", "+": "move", "*": "move", "!": "move"},
}


@pytest.mark.parametrize(("compare", "there", "same", "made", "status"), TABLE)
def test_the_status_of_an_object(compare, there, same, made, status):
    found, reason = judge(OBJECT, there, compare=compare, same=same, made_ns=made)
    assert found == status
    assert reason


def item(there=SAME, entry=OBJECT, *, ours=None, hashes=None, same=nobody, made=nobody, **settings):
    (found,) = diff_download(
        [entry],
        {there.path: there} if there else {},
        **{"compare": "sha256", "overwrite": "if-changed"} | settings,
        ours=ours or {},
        hashes={"f": "ab"} if hashes is None else hashes,
        same_bytes=same,
        made_ns=made,
    )
    return found


@pytest.mark.parametrize("overwrite", ACTIONS)
@pytest.mark.parametrize(("compare", "there", "same", "made", "status"), TABLE)
def test_what_follows_from_it(compare, there, same, made, status, overwrite):
    """With ``never`` a file that is another one is a failure, and the table says so."""
    found = item(there, same=same, made=made, compare=compare, overwrite=overwrite)
    action = ACTIONS[overwrite][status]
    assert found.action == action == action_of(status, overwrite=overwrite)
    assert found.status == ("!" if action == "refuse" else status)
    assert ('overwrite = "never"' in found.reason) == (action == "refuse")
    assert ('overwrite = "always"' in found.reason) == (overwrite == "always" and status == "=")
    assert found.sha256 == ("ab" if action == "keep" else "")
    assert (found.size, found.etag, found.time) == (10, "etag", "2000")
    # What stands there is remembered, so that nothing else is replaced.
    assert (found.mtime_ns, found.inode) == ((there.mtime_ns, there.inode) if there else (0, 0))


@pytest.mark.parametrize("overwrite", ACTIONS)
@pytest.mark.parametrize("compare", ["sha256", "mtime", "size"])
def test_what_was_downloaded_from_this_object_is_equal(compare, overwrite):
    found = item(OLDER, ours={"f": "cd"}, compare=compare, overwrite=overwrite)
    assert found.status == "="
    assert found.action == ACTIONS[overwrite]["="]
    assert found.sha256 == ("cd" if found.action == "keep" else "")


@pytest.mark.parametrize("overwrite", ACTIONS)
@pytest.mark.parametrize("compare", ["sha256", "mtime", "size"])
def test_a_folder_that_is_there_is_equal(compare, overwrite):
    folder = RemoteEntry("f/", 0, 2_000, "etag")
    settings = {"compare": compare, "overwrite": overwrite, "hashes": {}}
    assert item(LocalEntry("f/", 0, 1, 0), folder, **settings).status == "="
    assert item(None, folder, **settings)[:2] == ("+", "move")


def test_a_known_hash_needs_no_question():
    assert item(entry=OBJECT._replace(sha256="ab")).status == "="
    assert item(entry=OBJECT._replace(sha256="cd")).status == "*"


@pytest.mark.parametrize("overwrite", ACTIONS)
def test_what_cannot_be_looked_at_is_always_refused(overwrite):
    error = EntryError("f", "access denied")

    def fail(_entry):
        raise error

    for found in (
        item(same=always(error), overwrite=overwrite),
        item(hashes={}, overwrite=overwrite),  # the file could not be hashed
        item(OLDER, compare="mtime", made=fail, overwrite=overwrite),
    ):
        assert found[:2] == ("!", "refuse")
        assert found.sha256 == ""
        assert "cannot be compared" in found.reason
    assert "could not be hashed" in item(hashes={}, overwrite=overwrite).reason


def test_nothing_to_compare_with_says_so():
    assert item(same=judged(None)).reason == NOTHING_TO_COMPARE
    refused = item(same=judged(None), overwrite="never")
    assert refused.reason.startswith(NOTHING_TO_COMPARE)


def test_entries_stay_in_their_order_and_a_table_comes_back(tmp_path):
    entries = [OBJECT._replace(path=name) for name in ("b", "a\tb\nc", "a", "d/")]
    found = list(
        diff_download(
            entries,
            {"a": SAME._replace(path="a", size=3)},
            compare="size",
            overwrite="never",
            ours={},
            hashes={},
            same_bytes=nobody,
            made_ns=nobody,
        )
    )
    assert [d.path for d in found] == ["b", "a\tb\nc", "a", "d/"]
    assert [d.status for d in found] == ["+", "+", "!", "+"]
    (tmp_path / "t.tsv").write_bytes(render_diff(iter(found)))
    assert list(read_diff(tmp_path / "t.tsv")) == found
