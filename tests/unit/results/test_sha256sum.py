"""The checksum table format, judged by coreutils itself."""

import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.model.errors import WaybillError
from waybill.results import sha256sum

NAMES = [
    "plain",
    "with space",
    " leading",
    "trailing ",
    "-",
    "-n",
    "new\nline",
    "back\\slash",
    "carriage\rreturn",
    "ends with cr\r",
    "tab\t",
    "'\"$HOME`",
    "é",
    "e\u0301",
    "\u2028\x0b\x85",
    "*star",
    "\\n",
]


def test_coreutils_accepts_every_name(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_text(name)
    table = sha256sum.render((n, hashlib.sha256(n.encode()).hexdigest()) for n in NAMES)
    (tmp_path.parent / "t.sha256").write_bytes(table)
    command = ["sha256sum", "--check", "--strict", "--quiet", str(tmp_path.parent / "t.sha256")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_wrong_byte_is_found_by_coreutils(tmp_path):
    (tmp_path / "f").write_text("a")
    (tmp_path / "t").write_bytes(sha256sum.render([("f", hashlib.sha256(b"b").hexdigest())]))
    command = ["sha256sum", "--check", "t"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=10))
def test_what_is_written_is_read(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "t.sha256"
    items = [(name, hashlib.sha256(name.encode()).hexdigest()) for name in names if name != "./-"]
    path.write_bytes(sha256sum.render(items))
    assert list(sha256sum.read(path)) == items


def test_another_format_is_named_with_its_line(tmp_path):
    path = tmp_path / "t.sha256"
    path.write_text("0" * 64 + "  ok\nmd5  x\n")
    with pytest.raises(WaybillError, match=r"t\.sha256:2"):
        list(sha256sum.read(path))
