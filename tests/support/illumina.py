"""Sequencing runs as the instruments leave them, with real names and sparse files.

A run is of a model (``MODELS``) and in a state (``STATES``). At full scale a NovaSeq 6000 run has
the 5,492 files and 102 GB of an S1 flow cell, and takes next to nothing on the disk: every file
begins with its own path, so that no two are alike, and the rest of it is a hole.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MODELS = ("NovaSeq 6000", "NovaSeq X", "NextSeq 2000", "MiSeq", "NextSeq 500")
STATES = ("finished", "in progress", "copying", "no sheet", "two sheets", "bad sheet")

S1_FILES, S1_BYTES = 5_492, 102_000_000_000

SAMPLES = ("S001_assay_1", "S002_assay_1", "S003_assay_1")


@dataclass(frozen=True)
class Model:
    """How runs of one instrument look. ``rta`` is there when base calling is over, ``copied`` when
    all files have arrived, for an instrument that says so; ``done`` come with them."""

    run: str
    application: str
    version: str
    rta: str
    copied: str | None = None
    done: tuple[str, ...] = ()
    parameters: str = "RunParameters.xml"
    tops: tuple[str, ...] = ()
    thumbnail: str = "png"
    cbcl: bool = True
    lanes: int = 2
    cycles: int = 3

    @property
    def serial(self) -> str:
        return self.run.split("_")[1]


_MODELS = {
    "NovaSeq 6000": Model(
        "241023_A01295_0432_BHK3NFDRX5",
        "<Application>NovaSeq Bucket Software</Application>",
        "<ApplicationVersion>1.8.1</ApplicationVersion>",
        rta="RTAComplete.txt",
        copied="CopyComplete.txt",
        done=("SequenceComplete.txt", "RunCompletionStatus.xml"),
        tops=("RTA3.cfg", "Data/Intensities/s.locs", "Recipe/recipe.xml"),
    ),
    "NovaSeq X": Model(
        "20240202_LH00217_0044_A2255J2LT3",
        "<Application>NovaSeqXSeries Bucket Software</Application>"
        "<InstrumentType>NovaSeqXPlus</InstrumentType>",
        "<SystemSuiteVersion>1.2.0.28691</SystemSuiteVersion>",
        rta="RTAComplete.txt",
        copied="CopyComplete.txt",
        done=(
            "RunCompletionStatus.xml",
            "Analysis/1/Data/Secondary_Analysis_Complete.txt",
            "Analysis/1/CopyComplete.txt",
            "Analysis/1/Manifest.tsv",
            "Analysis/1/Data/BCLConvert/fastq/S001_S1_L001_R1_001.fastq.gz",
        ),
        tops=("RTA.cfg", "InstrumentAnalyticsLogs/metrics.csv", "Manifest.tsv"),
    ),
    "NextSeq 2000": Model(
        "240227_VH00103_437_2222FFYNX",
        "<ApplicationName>NextSeq 1000/2000 Bucket Software</ApplicationName>",
        "<ApplicationVersion>1.5.0.42699</ApplicationVersion>",
        rta="RTAComplete.txt",
        copied="CopyComplete.txt",
        done=("SequenceComplete.txt", "RunCompletionStatus.xml"),
        tops=("Data/Intensities/s_1.locs", "Recipe/EffectiveRecipe.xml", "Autocenter/log.csv"),
    ),
    "MiSeq": Model(
        "230224_M02439_0043_000000000-KT42M",
        "<Setup><ApplicationName>MiSeq Bucket Software</ApplicationName>"
        "<ApplicationVersion>2.6.2.1</ApplicationVersion></Setup>",
        "<MCSVersion>2.6.2.1</MCSVersion>",
        rta="RTAComplete.txt",
        done=(
            "Basecalling_Netcopy_complete.txt",
            "Basecalling_Netcopy_complete_Read1.txt",
            "ImageAnalysis_Netcopy_complete.txt",
            "CompletedJobInfo.xml",
            "QueuedForAnalysis.txt",
        ),
        parameters="runParameters.xml",
        tops=("Data/Intensities/L001/s_1_1101.locs", "Recipe/MS2000000-300V2.xml"),
        thumbnail="jpg",
        cbcl=False,
        lanes=1,
    ),
    "NextSeq 500": Model(
        "190315_NB501234_0158_AHJ2YTBGX9",
        "<Setup><ApplicationName>NextSeq Bucket Software</ApplicationName>"
        "<ApplicationVersion>2.1.0.31</ApplicationVersion></Setup>",
        "<RunParametersVersion>NextSeq_2_1_0</RunParametersVersion>",
        rta="RTAComplete.xml",
        done=("RunCompletionStatus.xml",),
        tops=("RTAConfiguration.xml", "RunNotes.xml", "Data/Intensities/L001/s_1.locs"),
        thumbnail="jpg",
        cbcl=False,
        lanes=4,
    ),
}


def model(name: str) -> Model:
    return _MODELS[name]


def run_info(run_id: str, serial: str, *, number: int = 437) -> bytes:
    """A RunInfo.xml."""
    return f"""<?xml version="1.0"?>
<RunInfo Version="6">
  <Run Id="{run_id}" Number="{number}">
    <Flowcell>HK3NFDRX5</Flowcell>
    <Instrument>{serial}</Instrument>
    <Date>2024-02-27T20:40:35Z</Date>
    <Reads>
      <Read Number="1" NumCycles="151" IsIndexedRead="N" />
      <Read Number="2" NumCycles="8" IsIndexedRead="Y" />
      <Read Number="3" NumCycles="151" IsIndexedRead="N" />
    </Reads>
    <FlowcellLayout LaneCount="2" SurfaceCount="2" SwathCount="2" TileCount="78" />
  </Run>
</RunInfo>
""".encode()


def run_parameters(run_id: str, look: Model) -> bytes:
    """A RunParameters.xml."""
    return f"""<?xml version="1.0" encoding="utf-8"?>
<RunParameters xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  {look.application}
  {look.version}
  <InstrumentID>{look.serial}</InstrumentID>
  <RunId>{run_id}</RunId>
</RunParameters>
""".encode()


def sheet(samples: Sequence[str] = SAMPLES, *, version: int = 1, lanes: int = 0) -> str:
    """A sample sheet; with ``lanes`` every sample stands in each of them."""
    rows = [(lane, name) for lane in range(1, lanes + 1) for name in samples]
    lines = ["Lane,Sample_ID,Index,Index2"] if lanes else ["Sample_ID,Index,Index2"]
    for lane, name in rows or [(0, name) for name in samples]:
        lines.append(f"{lane},{name},ACGTACGT,TTGCAACG" if lanes else f"{name},ACGTACGT,TTGCAACG")
    if version == 1:
        lines = ["[Header]", "IEMFileVersion,5", "", "[Reads]", "151", "", "[Data]", *lines]
        return "\n".join(lines) + "\n"
    head = ["[Header]", "FileFormatVersion,2", "", "[Reads]", "Read1Cycles,151", ""]
    head += ["[BCLConvert_Settings]", "SoftwareVersion,4.2.7", "", "[BCLConvert_Data]"]
    cloud = ["", "[Cloud_Settings]", "GeneratedVersion,1.14.0", "", "[Cloud_Data]"]
    cloud += ["Sample_ID,ProjectName", *(f"{name},P1" for name in samples)]
    return "\n".join([*head, *lines, *cloud]) + "\n"


def make_run(
    folder: Path,
    look: str = "NovaSeq 6000",
    state: str = "finished",
    *,
    name: str | None = None,
    samples: Sequence[str] = SAMPLES,
    full: bool = False,
    size: int | None = None,
    age: float = 0,
) -> Path:
    """Make one run in ``folder`` and return its folder.

    ``full`` is for NovaSeq 6000. ``size`` is how many bytes the base calls have together; ``age``
    is how many seconds ago everything changed last.
    """
    instrument = _MODELS[look]
    run = folder / (name or instrument.run)
    written = 0
    calls = list(_base_calls(instrument, full))
    if state in ("in progress", "copying"):
        calls = calls[: len(calls) // 2]
    for path in _small_files(instrument, full):
        written += _sparse(run / path, 70_000 if full else 2_000)
    for path, data in _named_files(instrument, run.name, state, samples):
        target = run / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        written += len(data)
    count = len(calls)
    if size is None:
        size = S1_BYTES - written if full else 4_000 * count
    for number, path in enumerate(calls):
        _sparse(run / path, size * (number + 1) // count - size * number // count)
    if age:
        grow_old(run, age)
    return run


def make_all(folder: Path, **arguments: object) -> dict[tuple[str, str], Path]:
    """A run of every model in every state, in ``{model}/{state}/``."""
    return {
        (look, state): make_run(folder / look / state, look, state, **arguments)
        for look in MODELS
        for state in STATES
        if state != "copying" or _MODELS[look].copied
    }


def grow_old(run: Path, seconds: float) -> None:
    """Have everything in a run changed last so many seconds ago."""
    then = time.time() - seconds
    for parent, folders, files in os.walk(run, topdown=False):
        for item in (*folders, *files):
            os.utime(Path(parent, item), (then, then))
    os.utime(run, (then, then))


def _base_calls(look: Model, full: bool) -> Iterator[str]:
    cycles = 1_300 // (look.lanes * 2) if full else look.cycles
    for lane in range(1, look.lanes + 1):
        base = f"Data/Intensities/BaseCalls/L00{lane}"
        for cycle in range(1, cycles + 1):
            if look.cbcl:
                yield from (f"{base}/C{cycle}.1/L00{lane}_{part}.cbcl" for part in (1, 2))
            else:
                yield f"{base}/{cycle:04}.bcl.bgzf"


def _small_files(look: Model, full: bool) -> Iterator[str]:
    tiles, pictures, logs = (312, 1_736, 40) if full else (2, 2, 1)
    for lane in range(1, look.lanes + 1):
        for tile in range(tiles):
            yield f"Data/Intensities/BaseCalls/L00{lane}/s_{lane}_{1101 + tile}.filter"
        for number in range(pictures):
            place = f"Thumbnail_Images/L00{lane}/C{number // 10 + 1}.1"
            yield f"{place}/s_{lane}_{2103 + number % 10}_green.{look.thumbnail}"
    for number in range(logs):
        yield f"Logs/{look.run}_Cycle{number}_Log.00.log"
        yield f"InterOp/C{number + 1}.1/BasecallingMetricsOut.bin"
    for kind in ("Extraction", "Q", "Tile", "Error", "Index"):
        yield f"InterOp/{kind}MetricsOut.bin"
    yield "Config/Options.cfg"
    yield from look.tops


def _named_files(
    look: Model, run_id: str, state: str, samples: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    yield "RunInfo.xml", run_info(run_id, look.serial)
    yield look.parameters, run_parameters(run_id, look)
    text = sheet(samples, version=2 if look.copied else 1)
    if state != "no sheet":
        yield "SampleSheet.csv", (text if state != "bad sheet" else "[Header]\nDate,now\n").encode()
    if state == "two sheets":
        yield f"{run_id}-samplesheet_2.csv", text.replace("\n", ",,\r\n").encode("utf-8-sig")
    if state == "in progress":
        return
    yield look.rta, b"11/1/2017,15:11:43.174,Illumina RTA 1.18.54\n"
    if state == "copying":
        return
    for path in look.done:
        yield path, f"{path}\n".encode()
    if look.copied:
        yield look.copied, b""


def _sparse(path: Path, size: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(os.fsencode(str(path))[-size:] if size else b"")
        file.truncate(size)
    return size
