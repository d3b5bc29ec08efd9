"""Tables: escaped names come back, files appear whole, an equal table is left alone."""

import csv
import os

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import WaybillError
from waybill.model.escaping import escape, unescape
from waybill.results import marker
from waybill.results.batch_tables import read_local, read_remote, render_local, render_remote
from waybill.results.marker import Proof
from waybill.system import files, tsv

NAMES = st.text(min_size=1).filter(lambda t: not any(0xD800 <= ord(c) <= 0xDFFF for c in t))


@given(NAMES)
def test_escape_is_one_line_and_comes_back(name):
    escaped = escape(name)
    assert not set(escaped) & {"\t", "\n", "\r"}
    assert unescape(escaped) == name


def test_a_byte_that_is_not_utf8_comes_back():
    name = os.fsdecode(b"caf\xe9\\x.bin")
    assert escape(name) == "caf\\xe9\\\\x.bin"
    assert unescape(escape(name)) == name


@given(st.lists(NAMES, unique=True, max_size=20))
def test_entries_come_back(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "t.tsv"
    local = [LocalEntry(name, i, i * 10**9 + 7, i) for i, name in enumerate(names)]
    path.write_bytes(render_local(local))
    assert read_local(path) == local
    remote = [RemoteEntry(name, i, i, f"e{i}", "") for i, name in enumerate(names)]
    path.write_bytes(render_remote(remote))
    assert read_remote(path) == remote


def test_pandas_reads_a_table_as_documented(tmp_path):
    names = ['quote"d', "tab\tbed", "N/A", "# hash", "line\nend", " space ", "\u2028"]
    marker.write(
        tmp_path / "m.tsv", [Proof(n, f"p/{n}", 1, 2, "0" * 64, "e", "", "t") for n in names]
    )
    frame = pd.read_csv(
        tmp_path / "m.tsv", sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False
    )
    assert [unescape(name) for name in frame["path"]] == names
    assert [proof.path for proof in marker.read(tmp_path / "m.tsv")] == names


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes(b"old")

    def broken():
        yield b"half"
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        files.write_atomic(path, broken())
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.tsv"]


@pytest.mark.parametrize("text", ["path\tsize\n", "size\tpath\na\t1\n", "path\tsize\na\n", ""])
def test_a_damaged_table_is_named(tmp_path, text):
    path = tmp_path / "t.tsv"
    path.write_text(text)
    if text == "path\tsize\n":
        assert list(tsv.rows(path, ("path", "size"))) == []
        return
    with pytest.raises(WaybillError, match=r"t\.tsv"):
        list(tsv.rows(path, ("path", "size")))
