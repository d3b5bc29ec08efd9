"""What the commands tell as JSON, in the forms of workflow/schemas/output.schema.json.

A document is one JSON object. A run writes events instead, each an object in a line of its own, as
it comes to them. docs/json.md shows both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from waybill.cli.plan import Plan
from waybill.model.errors import WaybillError
from waybill.results import outcome
from waybill.results.forecast import Progress
from waybill.verify.judge import Finding
from waybill.verify.layout import Verified

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.results.layout import Layout


def of_transfer(transfer: Transfer) -> dict[str, Any]:
    """Which transfer it is."""
    return {
        "name": transfer.name,
        "direction": transfer.direction,
        "source": transfer.source,
        "destination": transfer.destination,
    }


def of_plan(
    transfer: Transfer, plan: Plan, refused: Iterable[tuple[str, str]], *, entries: bool
) -> dict[str, Any]:
    """The counts of a plan; with ``entries`` also each entry that is or may be to be moved, or is
    aside.
    ``refused`` are the refused ones that are no failures. Sizes are in bytes."""
    counts = {
        "move": len(plan.moves),
        "undecided": len(plan.unsure),
        "same": len(plan.same),
        "refused": len(plan.refused),
        "held": len(plan.held),
        "skipped": len(plan.skipped),
        "only_at_destination": plan.only_there,
    }
    found = {**of_transfer(transfer), "files": counts, "bytes": plan.size}
    if not entries:
        return found
    aside = {"refused": refused, "held": plan.held, "skipped": plan.skipped}
    return found | {
        "entries": [
            {"dataset": m.dataset, "path": m.path, "size": m.size, "what": what or m.what,
             "sha256": m.sha256 or None}
            for moves, what in ((plan.moves, ""), (plan.unsure, "undecided"))
            for m in moves
        ],
        "aside": [
            {"path": path, "what": what, "reason": reason}
            for what, pairs in aside.items()
            for path, reason in pairs
        ],
    }  # fmt: skip


def of_outcome(transfer: Transfer, layout: Layout, code: int) -> dict[str, Any]:
    """How a transfer stands; its results may be ones that cannot be read, then ``standing`` is
    ``unreadable`` and no counts follow."""
    told = {**of_transfer(transfer), "exit_code": code}
    try:
        found = outcome.read(transfer, layout)
    except (WaybillError, OSError):
        return told | {"standing": "unreadable"}
    moved, moved_bytes = found.moved
    return told | {
        "standing": found.standing.name.lower(),
        "files": found.files,
        "bytes": found.bytes,
        "moved_files": moved,
        "moved_bytes": moved_bytes,
        "held": found.held,
        "batches": found.batches,
        "open_batches": list(found.open),
        "failures": [
            {"stage": f.stage, "path": f.named or f.path or None, "message": f.message,
             "exit_code": f.exit_code}
            for f in found.failures
        ],
    }  # fmt: skip


def of_verification(
    now: Verified, depth: str, sample: tuple[int, int], findings: Iterable[Finding]
) -> dict[str, Any]:
    """What a verification looked at, and all that does not agree."""
    told = list(findings)
    return {
        "depth": depth,
        "sample": f"{sample[0]}/{sample[1]}",
        "files": now.files,
        "bytes": now.bytes,
        "looked_files": now.looked,
        "held": now.held,
        "agree": sum(finding.status == "=" for finding in told),
        "findings": [
            {"status": f.status, "side": f.side, "path": f.path, "size": f.size,
             "reason": f.reason, "fails": f.fails}
            for f in told
            if f.status != "="
        ],
    }  # fmt: skip


def of_progress(progress: Progress, *, running: bool) -> dict[str, Any]:
    """How far a run is; null where nothing is known."""
    moves, hashes = progress.moves, progress.hashes
    return {
        "running": running,
        "does": progress.phase if running else "ended",
        "files": progress.files,
        "files_total": progress.files_total,
        "bytes": moves.done,
        "bytes_total": moves.total,
        "bytes_per_second": moves.rate,
        "seconds_left": moves.seconds_left,
        "hashed_bytes": hashes.done,
        "hashed_bytes_total": hashes.total,
        "hashed_bytes_per_second": hashes.rate,
        "hashing_seconds_left": hashes.seconds_left,
        "repeated_requests": progress.repeats,
        "failed": progress.failed,
        "jobs": [
            {
                "stage": job.stage, "dataset": job.dataset, "batch": job.batch, "host": job.host,
                "cluster_job": job.cluster_job, "files": job.files, "files_total": job.files_total,
                "bytes": job.moved + job.there, "bytes_total": job.bytes_total,
            }
            for job in progress.jobs
        ],
        "large_files": [
            {"path": path, "bytes": done, "size": size} for path, done, size in progress.large
        ],
    }  # fmt: skip
