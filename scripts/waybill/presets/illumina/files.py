"""The order of the files of a run, as patterns of ``waybill.model.selection``.

A program that watches the bucket sees first which run is coming, and last that it is complete.
"""

from __future__ import annotations

from collections.abc import Iterable

from waybill.presets.illumina.run_xml import RUN_PARAMETERS
from waybill.presets.illumina.runs import RUN_INFO


def _any_case(text: str) -> str:
    """A pattern of ``text`` in capital and small letters."""
    return "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in text)


# The files at the top of a run that describe it.
FIRST = (
    f"/{RUN_INFO}",
    *(f"/{name}" for name in RUN_PARAMETERS),
    f"/*{_any_case('samplesheet')}*{_any_case('.csv')}",
    f"/*{_any_case('sample')}[-_ ]{_any_case('sheet')}*{_any_case('.csv')}",
)

# The files that say that something is complete; those of the whole run come last. Analyses on the
# instrument (NovaSeq X, NextSeq 1000/2000) come before them.
LAST = (
    "Analysis/**/Secondary_Analysis_Complete.txt",
    "Analysis/*/Manifest.tsv",
    "Analysis/*/CopyComplete.txt",
    "/Basecalling_Netcopy_complete*.txt",
    "/ImageAnalysis_Netcopy_complete*.txt",
    "/QueuedForAnalysis.txt",
    "/CompletedJobInfo.xml",
    "/SequencingComplete.txt",
    "/SequenceComplete.txt",
    "/RTAComplete.txt",
    "/RTAComplete.xml",
    "/RunCompletionStatus.xml",
    "/CopyComplete.txt",
)


def last(complete: Iterable[str] = ()) -> tuple[str, ...]:
    """The patterns of the files that go last. ``complete`` are files of the configuration, relative
    to the run; they go after all others."""
    own = (f"/{_literal(name)}" for name in complete)
    return tuple(dict.fromkeys((*LAST, *own)))


def _literal(name: str) -> str:
    """A pattern that matches ``name`` alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
