"""Bins: their names, and what is half-written of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ifcb import IMAGES, NEW, OLD, bin_files
from waybill.presets.ifcb import bins

ENDING_IN_AN_IMAGE = IMAGES[:3]


def reason(files: dict[str, bytes]) -> str:
    """What is said about a bin with these files, by name."""
    (name,) = {path.rpartition(".")[0] for path in files}
    kinds = {path.rpartition(".")[2]: body for path, body in files.items()}
    sizes = {kind: len(body) for kind, body in kinds.items()}
    return bins.unfinished(name, sizes, lambda count: kinds["adc"][-count:])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("D20141117T001645_IFCB101.adc", ("D20141117T001645_IFCB101", "adc")),
        ("IFCB1_2009_216_075913.roi", ("IFCB1_2009_216_075913", "roi")),
        ("D2013/a b\n/D20130526T095207_IFCB013.hdr",
         ("D2013/a b\n/D20130526T095207_IFCB013", "hdr")),
        ("D20141117T001645_IFCB1011.hdr", ("D20141117T001645_IFCB1011", "hdr")),
        ("IFCB101_2012_028_081515.hdr", ("IFCB101_2012_028_081515", "hdr")),
        ("D20141117T001645_IFCB101.ADC", None),
        ("D20141117T001645_IFCB101.adc.gz", None),
        ("D20141117T001645_IFCB101_00014.png", None),
        ("D20141117T001645_IFCB101.adc\n", None),
        (".D20141117T001645_IFCB101.roi", None),
        ("xD20141117T001645_IFCB101.roi", None),
        ("D20141117T001645_IFCB101/file.adc", None),
        ("D20141117T001645_IFCB101.adc/.DS_Store", None),
        ("notes.adc", None),
        (".DS_Store", None),
    ],
)  # fmt: skip
def test_names(path, expected):
    assert bins.split(path) == expected


@pytest.mark.parametrize("name", [NEW, OLD])
@pytest.mark.parametrize("images", [IMAGES, ENDING_IN_AN_IMAGE, ((0, 0),), ((5, 7),) * 500])
def test_whole(name, images):
    files = bin_files(name, images)
    assert reason(files) == ""
    del files[f"{name}.roi"]
    assert reason(files) == "", "a bin without .roi is legal"


@pytest.mark.parametrize("name", [NEW, OLD])
@pytest.mark.parametrize("roi", [None, b"", b"\0\0"])
def test_an_empty_bin_is_whole(name, roi):
    files = bin_files(name) | {f"{name}.adc": b"", f"{name}.roi": roi}
    assert reason({path: body for path, body in files.items() if body is not None}) == ""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hdr": None}, "no .hdr yet"),
        ({"adc": None}, "no .adc yet"),
        ({"adc": None, "roi": None}, "no .adc yet"),
        ({"hdr": b""}, ".hdr is empty"),
        ({"hdr": b"", "adc": b"", "roi": b""}, ".hdr is empty"),
        ({"adc": b""}, ".adc tells of 0 bytes of images, .roi has 4624"),
        ({"roi": b""}, ".roi has 0 bytes, its images 4624"),
    ],
)
def test_half_written(change, expected):
    files = bin_files(NEW) | {f"{NEW}.{kind}": body for kind, body in change.items()}
    assert reason({path: body for path, body in files.items() if body is not None}) == expected


@pytest.mark.parametrize("name", [NEW, OLD])
@given(data=st.data())
def test_a_file_that_is_cut_anywhere_is_found_out(name, data):
    files = bin_files(name, ENDING_IN_AN_IMAGE)
    adc, roi = files[f"{name}.adc"], files[f"{name}.roi"]
    # What an old instrument leaves at the end is not known to be needed.
    images = sum(width * height for width, height in ENDING_IN_AN_IMAGE) + (name == OLD)
    short = data.draw(st.integers(0, images - 1))
    assert reason(files | {f"{name}.roi": roi[:short]}) == (
        f".roi has {short} bytes, its images {images}"
    )
    # A row without the end of its last cell tells the same.
    cut = data.draw(st.integers(0, adc.rindex(b",") - (name == OLD)))
    assert reason(files | {f"{name}.adc": adc[:cut]}) != ""


@pytest.mark.parametrize(
    "adc",
    [b"not a table", b"not a table\n", b"\xff\x00" * 3000, b"a,b,c\nd", b"1,2,3\n1", b"\n\n"],
)
def test_what_is_not_understood_holds_nothing_back(adc):
    assert reason(bin_files(NEW) | {f"{NEW}.adc": adc}) == ""


def test_lines_that_end_as_on_windows():
    files = bin_files(OLD)
    assert reason({p: b.replace(b"\n", b"\r\n") for p, b in files.items()}) == ""
