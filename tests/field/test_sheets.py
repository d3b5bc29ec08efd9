"""Sample sheets as instruments, LIMS and spreadsheets write them: the samples, or a refusal."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from support.illumina import make_run
from waybill.presets.illumina import routing, sample_sheet
from waybill.presets.illumina.routing import Outcome
from waybill.presets.illumina.sample_sheet import SheetError

S1, S2 = "S1_assay", "S2_assay"

HEAD = "[Header]\nFileFormatVersion,2\n\n[Reads]\nRead1Cycles,151\n\n"
OLD_HEAD = "[Header]\nIEMFileVersion,4\nDate,10/23/2024\n\n[Reads]\n151\n151\n\n[Settings]\n\n"
V1 = f"{OLD_HEAD}[Data]\nSample_ID,Sample_Name,index\n{S1},one,ACGT\n{S2},two,TTGC\n"
V2 = (
    f"{HEAD}[BCLConvert_Settings]\nSoftwareVersion,4.2.7\n\n[BCLConvert_Data]\n"
    f"Lane,Sample_ID,Index,Index2\n1,{S1},ACGT,TGCA\n1,{S2},TTGC,GCAA\n"
)
TSO500 = (
    f"{HEAD}[TSO500L_Settings]\nAdapterRead1,CTGT\n\n[TSO500L_Data]\n"
    f"Sample_ID,Sample_Type,Index,Index2\n{S1},DNA,ACGT,TGCA\n{S2},RNA,TTGC,GCAA\n"
)
CLOUD = (
    f"\n[Cloud_Settings]\nGeneratedVersion,1.14.0\n\n[Cloud_Data]\nSample_ID,ProjectName\n{S1},P\n"
)
HISEQ = (
    "FCID,Lane,SampleID,SampleRef,Index,Description,Control,Recipe,Operator,SampleProject\n"
    f"HSAMPLEID,1,{S1},hg19,ACGT,,N,R1,op,P\nHSAMPLEID,2,{S2},hg19,TTGC,,N,R1,op,P\n"
)
TWICE = f"[Data],,,\nLane,Sample_ID,Index,sample_id\n1,{S1},ACGT,4711\n2,{S2},TTGC,4712\n"


def semicolons(text: str) -> str:
    return text.replace(",", ";")


def filled(text: str, columns: int = 9) -> str:
    lines = text.splitlines()
    return "".join(f"{line}{',' * (columns - line.count(','))}\n" for line in lines)


def in_quotes(text: str) -> str:
    return "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text.splitlines()
    )


KINDS = {
    "version 1": V1.encode(),
    "version 2": V2.encode(),
    "version 2, also for the cloud": (V2 + CLOUD).encode(),
    "TSO500": TSO500.encode(),
    "TSO500, also for the cloud": (TSO500 + CLOUD).encode(),
    "TSO500, its table twice by another name": TSO500.replace("L_Data", "S_Data").encode(),
    "another program's": TSO500.replace("TSO500L", "DragenGermline").encode(),
    "for the cloud alone": (HEAD + CLOUD + f"{S2},P\n").encode(),
    "an empty section of the instrument": (f"{HEAD}[BCLConvert_Data]\n\n" + TSO500).encode(),
    "a head without rows": (f"{HEAD}[Data]\nSample_ID,Index\n\n" + TSO500).encode(),
    "a section that has none": (V2 + "\n[Manifests_Data]\nName,File\nA,a.txt\n").encode(),
    "Sample_ID and sample_id": TWICE.encode(),
    "sample_id before Sample_ID": (f"[Data]\nsample_id,Sample_ID\n4711,{S1}\n4712,{S2}\n".encode()),
    "SAMPLE_ID alone": V1.replace("Sample_ID", "SAMPLE_ID").encode(),
    "SampleID": V1.replace("Sample_ID", "SampleID").encode(),
    "SampleID and Sample_ID": f"[Data]\nSampleID,Sample_ID\nx,{S1}\ny,{S2}\n".encode(),
    "HiSeq, without sections": HISEQ.encode(),
    "zero bytes in a cell": (
        f"[Data]\r\nSample_ID,index2,I5_Index_ID\r\n{S1},NNNN,\0\0\0\0\r\n{S2},NNNN,\0\0\0\0\r\n"
    ).encode(),
    "zero bytes in the last cell": f"[Data]\nSample_ID,I5\n{S1},A\n{S2},\0\0\0\n".encode(),
    "zero bytes that fill a cell up": f"[Data]\nSample_ID,I5\n{S1}\0\0,A\n{S2}\0\0,B\n".encode(),
    "a zero byte at the end": V1.encode() + b"\0",
    "byte order mark": V2.encode("utf-8-sig"),
    "byte order mark within": V1.encode().replace(b"Sample_ID,", b"\xef\xbb\xbfSample_ID,"),
    "UTF-16": V2.encode("utf-16"),
    "UTF-16, big": codecs.BOM_UTF16_BE + V1.encode("utf-16-be"),
    "UTF-16 without a mark": V1.encode("utf-16-le"),
    "UTF-16 without a mark, big": V2.encode("utf-16-be"),
    "Latin-1": V1.replace("one", "Müller").encode("latin-1"),
    "semicolons": semicolons(V2).encode(),
    "semicolons, filled up": semicolons(filled(V1)).encode("utf-8-sig"),
    "semicolons, in quotes": semicolons(in_quotes(V1)).encode(),
    "semicolons, commas in a cell": semicolons(V1).replace("one", "a, b").encode(),
    "semicolons, sections without": f"[Data]\nLane;Sample_ID\n1;{S1}\n2;{S2}\n".encode(),
    "tabs": V2.replace(",", "\t").encode(),
    "commas at the ends": filled(V1).encode(),
    "commas alone in lines": filled(V2 + "\n\n").encode(),
    "Windows": V2.replace("\n", "\r\n").encode(),
    "old Macintosh": V1.replace("\n", "\r").encode(),
    "in quotes": in_quotes(V2).encode(),
    "in quotes, filled up, Windows": in_quotes(filled(V1)).replace("\n", "\r\n").encode(),
    "a note behind the name of a section": V1.replace("[Data]", "[Data],,keep this").encode(),
    "blanks around": V1.replace("Sample_ID", " Sample_ID ").replace(S1, f" {S1} ").encode(),
    "a lane each": f"[Data]\nLane,Sample_ID\n1,{S1}\n1,{S2}\n2,{S1}\n2,{S2}\n".encode(),
    "no line end at the end": V2.rstrip("\n").encode(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_B14_no_sheet_of_a_known_kind_is_refused(kind: str) -> None:
    assert sample_sheet.parse(KINDS[kind]).samples == (S1, S2)


UNREADABLE = {
    "two columns of the exact name": (
        "[Data]\nSample_ID,Sample_ID\nS1,S2\n",
        "line 2: has two columns Sample_ID",
    ),
    "two of another spelling": (
        "[Data]\nsample_id,SAMPLE_ID\nS1,S2\n",
        "line 2: has two columns Sample_ID",
    ),
    "a column of another name": ("[Data]\nSample_Name\nS1\n", "line 2: has no column Sample_ID"),
    "a row without a sample": (
        f"[TSO500L_Data]\nSample_ID,Type\n{S1},DNA\n,RNA\n",
        "line 4: has no Sample_ID",
    ),
    "samples of two programs, one of them broken": (
        f"[TSO500L_Data]\nSample_ID,T\n{S1},D\n[Cloud_Data]\nSample_ID,P\n,P\nS9,P\n",
        "line 6: has no Sample_ID",
    ),
    "rows of the instrument without the column": (
        f"[Data]\nName\nS9\n[TSO500L_Data]\nSample_ID\n{S1}\n",
        "line 2: has no column Sample_ID",
    ),
    "a section twice": (
        f"[TSO500L_Data]\nSample_ID\n{S1}\n[TSO500L_Data]\nSample_ID\n{S2}\n",
        "has [TSO500L_Data] a second time in line 4",
    ),
    "no samples at all": (HEAD + "[TSO500L_Data]\nSample_ID,Type\n", "no samples follow"),
    "a block of zero bytes": (f"[Data]\nSample_ID\n{S1}\n" + "\0" * 200 + "\n", "zero bytes"),
    "cut off": (f"[Data]\nSample_ID\n{S1}\nS2_as\0\0\0\0", "was not written to its end"),
    "cut off after a row": (f"[Data]\nSample_ID\n{S1}\n\0\0\0\0", "was not written to its end"),
    "an open quote": (f'[Data]\nLane,Sample_ID\n1,{S1}\n2,"S2\n', "mind the quotes"),
    "a quote within": (f'[Data]\nSample_ID\n{S1}\nS2,"a"x\n', "mind the quotes"),
    "a workbook": ("PK\3\4\0\0", "is a workbook, not text; save it as CSV"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_B14_no_sheet_is_read_wrongly(kind: str) -> None:
    text, says = UNREADABLE[kind]
    with pytest.raises(SheetError) as caught:
        sample_sheet.parse(text.encode("latin-1"))
    assert says in str(caught.value)


def test_B14_two_sheets_that_differ_in_form_alone_say_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="no sheet")
    (run / "SampleSheet.csv").write_bytes(V2.encode())
    (run / "my_SampleSheet.csv").write_bytes(semicolons(V2).replace("\n", "\r\n").encode("utf-16"))
    assert sample_sheet.samples(run) == (S1, S2)


@pytest.mark.parametrize("kind", ["TSO500", "Sample_ID and sample_id", "zero bytes in a cell"])
def test_B14_a_run_with_such_a_sheet_is_taken(tmp_path: Path, kind: str) -> None:
    run = make_run(tmp_path, state="no sheet")
    (run / "SampleSheet.csv").write_bytes(KINDS[kind])
    assert routing.decide(run, "_assay$").outcome is Outcome.TAKE
    assert routing.decide(run, "_other$").outcome is Outcome.ELSEWHERE
