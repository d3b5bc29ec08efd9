"""Jobs that are not repeated: those that have failed for a reason that lasts.

Snakemake repeats a failed job as often as ``retries`` says, on a cluster through the queue. It does
not ask why the job failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from waybill.model.failure import Failure
from waybill.results import failures
from waybill.results.layout import Layout
from waybill.stages.snakemake_private import Snakemake

# What the job that moves a batch does besides; their failures end it, too.
_WITHIN = ("checksum", "diff")

_Stamp = tuple[int, int]


def give_up_lasting_failures(layouts: Iterable[Layout]) -> None:
    """Have Snakemake, in this process, not repeat a job whose recorded failures all last. Records
    that are here already are of an earlier run and do not count."""
    known = {layout.root: layout for layout in layouts}
    old = {r: _stamp(r) for layout in known.values() for r in layout.failures.glob("*.tsv")}

    def last(rule: str, names: Mapping[str, str]) -> bool:
        layout = known.get(Path(names.get("results", ""), names.get("transfer", "")))
        found = list(_failures(layout, rule, names, old)) if layout else []
        return bool(found) and all(failure.lasting for failure in found)

    Snakemake.do_not_repeat(last)


def _failures(
    layout: Layout, rule: str, names: Mapping[str, str], old: Mapping[Path, _Stamp | None]
) -> Iterator[Failure]:
    """The failures of a job of ``rule`` with the wildcards ``names``, without ``old`` records."""
    dataset, batch = names.get("dataset", ""), names.get("batch", "")
    for stage in (rule, *(_WITHIN if batch else ())):
        record = failures.record_path(layout, stage, dataset, batch)
        if _stamp(record) != old.get(record):
            yield from failures.read(layout, record.name)


def _stamp(record: Path) -> _Stamp | None:
    """What differs between two records of one job; None when there is none."""
    try:
        found = record.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
