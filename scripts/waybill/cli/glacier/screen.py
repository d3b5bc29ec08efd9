"""What ``sync-from-s3`` shows: its modes, the plan of each satellite, and the result."""

from __future__ import annotations

from collections.abc import Iterator

from waybill.cli.glacier.arguments import Wish
from waybill.cli.plan import Plan
from waybill.cli.session import plan_lines
from waybill.cli.terminal import Screen, printable, visible
from waybill.model.transfer import Transfer
from waybill.model.units import format_size

MOST_ROWS = 50


def modes(wish: Wish) -> Iterator[str]:
    """An empty line, then one line for each mode."""
    yield ""
    if wish.dry_run:
        yield f"DRY RUN MODE - No files will be {'uploaded' if wish.upload else 'downloaded'}"
    if wish.upload:
        yield "UPLOAD MODE - From the data folder to S3"
    if wish.exclude_downloads:
        yield "EXCLUDING download/ folders - Only processed results will be synced"
    if wish.regions:
        text = f"REGIONS {', '.join(wish.regions)} - Only these will be synced"
        tiles = "" if wish.exclude_downloads else "; a download/ at the top belongs to no region"
        yield visible(text + tiles)
    if wish.force:
        yield "FORCE OVERWRITE MODE - What differs in content will be replaced"
    else:
        yield "SAFE MODE - What is there already will not be touched"


def show(
    screen: Screen,
    wish: Wish,
    transfer: Transfer,
    plan: Plan | None,
    refused: list[tuple[str, str]],
) -> None:
    """Show source, destination and plan. ``plan`` is None when the two could not be compared."""
    screen.line()
    screen.line(f"Syncing {transfer.name} data...")
    screen.line(f"From: {_place(transfer.source)}")
    screen.line(f"To:   {_place(transfer.destination)}")
    if plan is None:
        screen.line("  not compared; see above")
        return
    if plan.moves or refused:
        for line in plan_lines(plan, refused, most=None if wish.verbose else MOST_ROWS):
            screen.line(f"  {line}")
    if wish.verbose:
        for path in plan.same:
            screen.line(f"  up to date {printable(path)}")
    for path, reason in plan.skipped:
        screen.line(f"  skipped {printable(path)}: {visible(reason)}")
    notes = {
        "up to date": len(plan.same),
        "not to be touched" if not wish.force else "refused": len(plan.refused),
        f"only {'in the bucket' if wish.upload else 'in the folder'}, kept": plan.only_there,
    }
    text = ", ".join(f"{count} {what}" for what, count in notes.items() if count)
    if not plan.found and not plan.refused:
        text = f"no files{f'; {text}' if text else ''}"
    if text:
        screen.line(f"  {text}")


def summary(plan: Plan, files: int, size: int, moved: str, *, complete: bool) -> str:
    """The result of a plan: ``files`` have arrived, ``size`` bytes in all. ``complete`` means that
    no batch is open and no file was refused."""
    wanted = len(plan.moves)
    count = str(files) if files == wanted else f"{files} of {wanted}"
    text = f"{count} file(s), {format_size(size)}, {moved}"
    parts = [text if wanted else f"nothing {moved}"]
    if plan.same:
        parts.append(f"{len(plan.same)} up to date")
    if plan.refused:
        parts.append(f"{len(plan.refused)} different or refused, not touched, named above")
    if complete:
        parts.append("complete")
    return "; ".join(parts)


def _place(text: str) -> str:
    return printable(text if text.endswith("/") else f"{text}/")
