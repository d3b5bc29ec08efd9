"""Sample sheets as they are met: every form gives the same samples."""

from __future__ import annotations

import contextlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.illumina import SAMPLES, make_run, sheet
from waybill.presets.illumina import sample_sheet
from waybill.presets.illumina.sample_sheet import SheetError

V1, V2 = sheet(), sheet(version=2)


def padded(text: str, columns: int = 11) -> str:
    """As Excel fills lines up to equal width."""
    return "".join(f"{line}{',' * (columns - line.count(','))}\n" for line in text.splitlines())


def quoted(text: str) -> str:
    rows = [line.split(",") for line in text.splitlines()]
    return "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows)


@pytest.mark.parametrize(
    "data",
    [
        V1.encode(),
        V2.encode(),
        sheet(lanes=4).encode(),
        sheet(version=2, lanes=8).encode(),
        V1.rstrip("\n").encode(),
        (V1 + "\n").encode(),
        (V1 + "\n\n\n\n").encode(),
        (V1 + ",,,,\n,,,,\n").encode(),
        (V2 + " , , \n").encode(),
        V1.replace("\n", "\r\n").encode(),
        V1.replace("\n", "\r").encode(),
        V2.replace("\n", "\r\n").encode("utf-8-sig"),
        V1.encode("utf-16"),
        padded(V1).encode(),
        padded(V2).replace("\n", "\r\n").encode("utf-8-sig"),
        quoted(V1).encode(),
        quoted(V2).encode(),
        quoted(padded(sheet(lanes=2))).encode("utf-8-sig"),
        V1.replace("[Data]", "[DATA]").replace("Sample_ID", "sample_id").encode(),
        V1.replace("Sample_ID", " Sample_ID ").replace("S002", "  S002").encode(),
        V2.replace("[BCLConvert_Data]", "[Data]").encode(),
        V1.replace("[Data]", "[Settings]\nAdapter,CTGT\n\n[Data]\n").encode(),
        V1.replace("ACGTACGT\n", "ACGTACGT,Müller\n").replace("151", "Müller").encode("latin-1"),
        b"\xef\xbb\xbf" + V1.replace("151", "Müller").encode("latin-1"),
        V1[V1.index("Sample_ID") :].encode(),
        V1[V1.index("Sample_ID") :].encode("utf-8-sig"),
        V1.replace("Sample_ID", "\ufeffSample_ID").encode(),
        ('"a, ""b""\n[Data]\nSample_ID"\n' + V1).encode(),
        V1.replace(",ACGTACGT,", ',"two\nlines, 5\'",').encode(),
        V1.replace(",ACGTACGT,", ',5" tube,').encode(),
    ],
)
def test_every_form_has_the_same_samples(data):
    assert sample_sheet.parse(data).samples == SAMPLES


@pytest.mark.parametrize("version", [1, 2])
def test_a_thousand_samples_in_eight_lanes(version):
    names = tuple(f"S{number:04}" for number in range(1000))
    assert sample_sheet.parse(sheet(names, version=version, lanes=8).encode()).samples == names


def test_names_keep_their_characters():
    names = ("Müller-1", 'a "b"', "x,y", "1")
    text = "[Data]\nSample_ID,Index\n" + "".join(
        f'"{name.replace(chr(34), chr(34) * 2)}",A\n' for name in names
    )
    assert sample_sheet.parse(text.encode()).samples == names
    assert sample_sheet.parse(text.encode("latin-1")).samples == names


def test_the_samples_of_both_kinds_of_section_count():
    text = V2 + "[Data]\nSample_ID\nS009_other\n"
    assert sample_sheet.parse(text.encode()).samples == (*SAMPLES, "S009_other")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "has no samples: its data section is empty"),
        (b"\n\n,,,\n", "has no samples: its data section is empty"),
        (b"[Header]\nDate,now\n", "has no section [Data] or [BCLConvert_Data]"),
        (b"[Header]\n[Cloud_Data]\nProject\nS1\n", "has no section [Data] or [BCLConvert_Data]"),
        (b"[Header]\n\n[Data]\n", "has no samples: its data section is empty"),
        (b"[Data]\nSample_ID,Index\n", "line 2: no samples follow"),
        (b"[Data]\nSample_ID,Index\n,,\n\n", "line 2: no samples follow"),
        (b"[Data]\nSample_ID,Index\n[Cloud_Data]\nSample_ID\n", "line 2: no samples follow"),
        (b"[Data]\nSampleName,Index\nS1,A\n", "line 2: has no column Sample_ID"),
        (b"Sample,Index\nS1,A\n", "line 1: has no column Sample_ID"),
        (b"[Data]\nSample_ID,Sample_ID\nS1,S2\n", "line 2: has two columns Sample_ID"),
        (b"[Data]\nLane,Sample_ID\n1,S1\n2,\n", "line 4: has no Sample_ID"),
        (b"[Data]\nLane,Sample_ID\n1,S1\n2\n", "line 4: has no Sample_ID"),
        (b"[Data]\nSample_ID\nS1\n[data]\nSample_ID\nS2\n", "has [data] a second time in line 4"),
        (b'[Data]\nSample_ID\n"S1\nS2\n', "line 4: unexpected end of data; mind the quotes"),
        (b'[Data]\nSample_ID\n"S1"x\nS2\n', "line 3: ',' expected after '\"'; mind the quotes"),
        (b"[Data]\nSample_ID\nS1\0", "holds a block of zero bytes, as a file that was not"),
        (b"PK\x03\x04\x00\x00", "is a workbook, not text; save it as CSV"),
        (b"\xff\xfe[", "begins like UTF-16 but is not; save it as UTF-8"),
        (b"[Data]\nSample_ID\n" + b"x" * 200_000, "line 3: field larger than field limit (131072)"),
    ],
)
def test_a_sheet_without_samples_says_why(data, says):
    with pytest.raises(SheetError) as caught:
        sample_sheet.parse(data)
    assert str(caught.value).startswith(says)


NAMES = st.lists(
    st.text("abcXYZ019_-. üé", min_size=1).map(str.strip).filter(bool).filter(lambda n: n != "-"),
    min_size=1,
    max_size=5,
)


@given(
    names=NAMES,
    version=st.sampled_from([1, 2]),
    lanes=st.integers(0, 3),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n"]),
    form=st.sampled_from([str, padded, quoted, lambda text: quoted(padded(text))]),
    tail=st.sampled_from(["", "\n", "\n\n\n", ",,,\n"]),
)
def test_a_form_changes_no_sample(names, version, lanes, encoding, end, form, tail):
    text = form(sheet(names, version=version, lanes=lanes)) + tail
    found = sample_sheet.parse(text.replace("\n", end).encode(encoding))
    assert found.samples == tuple(dict.fromkeys(names))


@given(data=st.binary(max_size=200))
def test_no_bytes_end_in_another_error(data):
    with contextlib.suppress(SheetError):
        assert sample_sheet.parse(b"[Data]\nSample_ID\n" + data).samples


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("SampleSheet.csv", True), ("samplesheet.csv", True), ("SAMPLESHEET.CSV", True),
        ("sample_sheet.csv", True), ("Sample-Sheet.csv", True), ("sample sheet v2.csv", True),
        ("experiment_2_SampleSheet.csv", True), ("x-samplesheet_attempt_1.csv", True),
        ("SampleSheet.csv.csv", True), ("SampleSheet.csv.test", False), ("SampleSheet.txt", False),
        ("SampleSheet.tsv", False), ("SampleSheet.xlsx", False), ("SampleSheet.csv\n", False),
        ("samples.csv", False), ("sample__sheet.csv", False), ("._SampleSheet.csv", False),
        (".SampleSheet.csv", False),
    ],
)  # fmt: skip
def test_the_name_of_a_sheet(name, is_one):
    assert sample_sheet.is_name(name) == is_one


def test_sheets_are_looked_for_at_the_top(tmp_path):
    run = make_run(tmp_path, state="no sheet")
    assert sample_sheet.samples(run) == ()
    (run / "Analysis" / "1").mkdir(parents=True)
    (run / "Analysis" / "1" / "SampleSheet.csv").write_text("none")
    (run / "samplesheet.csv").mkdir()
    (run / "SampleSheet.csv.test").write_text("none")
    (run / "._SampleSheet.csv").write_bytes(b"\0\5\x16\7")
    assert sample_sheet.samples(run) == ()
    (run / "my_SampleSheet.csv").write_text(V1)
    assert sample_sheet.samples(run) == SAMPLES


def test_several_sheets_that_say_the_same(tmp_path):
    run = make_run(tmp_path, state="two sheets")
    assert len(sample_sheet.find(run)) == 2
    first, second = sample_sheet.find(run)
    assert first.read_bytes() != second.read_bytes(), "they differ in all that does not matter"
    assert sample_sheet.samples(run) == SAMPLES


@pytest.mark.parametrize(
    "other", [V1, V2.replace("S001", "S009"), V2.replace("Cycles,151", "Cycles,76")]
)
def test_several_sheets_that_do_not(tmp_path, other):
    run = make_run(tmp_path)
    (run / "experiment_2_SampleSheet.csv").write_text(other)
    with pytest.raises(SheetError) as caught:
        sample_sheet.samples(run)
    assert str(caught.value) == (
        f"{run}: SampleSheet.csv and experiment_2_SampleSheet.csv do not say the same;"
        " keep the right one"
    )


def test_a_sheet_that_cannot_be_used_is_named(tmp_path):
    run = make_run(tmp_path, state="bad sheet")
    with pytest.raises(SheetError) as caught:
        sample_sheet.samples(run)
    assert str(caught.value) == (
        f"{run}/SampleSheet.csv: has no section [Data] or [BCLConvert_Data]"
    )
    os.truncate(run / "SampleSheet.csv", sample_sheet.MAX_BYTES + 1)
    with pytest.raises(SheetError, match="has more than 32 MiB, so it is no sample sheet"):
        sample_sheet.samples(run)
    with pytest.raises(SheetError, match="gone: cannot be listed: No such file"):
        sample_sheet.samples(tmp_path / "gone")
