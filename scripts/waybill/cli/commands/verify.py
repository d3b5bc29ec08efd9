"""``waybill verify``: compares both sides with what was proven, or a folder with a list."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

from waybill.cli import documents
from waybill.cli.commands import options
from waybill.cli.launch import TICK_SECONDS, Ended, Launch
from waybill.cli.terminal import Screen, printable, table, visible
from waybill.model.errors import EXIT_CONFIG, EXIT_EMPTY, EXIT_OK, WaybillError
from waybill.model.selection import Selection
from waybill.model.transfer import Transfer
from waybill.model.units import format_size, parse_sample
from waybill.model.verbs import VERIFY
from waybill.results.forecast import LOOKING, Amount, Forecast, Progress, Rate
from waybill.results.layout import Layout
from waybill.system.meter import METER
from waybill.verify.count import Count
from waybill.verify.folder import hold_folder, look_at
from waybill.verify.judge import CONTENT, LISTING, METADATA, Finding
from waybill.verify.layout import (
    Verified,
    VerifyLayout,
    expected,
    last_run,
    read_findings,
    read_state,
)
from waybill.verify.outcome import Tally

MOST_ROWS = 50  # of a report on the screen; all are in report.tsv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_transfers(parser)
    options.add_quiet(parser)
    options.add_json(parser)
    options.add_snakemake(parser)
    add = parser.add_argument
    add("--depth", choices=[LISTING, METADATA, CONTENT], help="what is looked at")
    add("--sample", metavar="N/M", type=_sample, help="how much of it is looked at")
    add("--against", metavar="FILE", help="a manifest or sha256sum file; needs FOLDER, not S3")
    add("folder", metavar="FOLDER", nargs="?", help="with --against: the folder it is about")


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show whether both sides still are what was proven; returns the exit code."""
    if given.against is None and given.folder is None:
        return _verify_transfers(screen, given)
    if given.against is None or given.folder is None:
        screen.problem("verify --against FILE FOLDER: one does not go without the other")
        return EXIT_CONFIG
    return _verify_folder(screen, given)


def _verify_transfers(screen: Screen, given: argparse.Namespace) -> int:
    chosen = {"depth": given.depth, "sample": given.sample}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    settings = {"verify": chosen} if chosen else {}
    transfers = options.transfers(given, settings, writes=True)
    here = Path.cwd()
    log = here / ".snakemake" / "waybill.log"
    log.unlink(missing_ok=True)
    layouts = {name: Layout(here / transfer.results) for name, transfer in transfers.items()}
    before = {name: last_run(layout).run for name, layout in layouts.items()}
    launch = Launch(
        here, str(given.config), log, cores=given.cores, settings=settings,
        options=options.launch_options(given),
    )  # fmt: skip
    forecast = Forecast(
        layouts.values(), VERIFY.doing, expected=lambda layout: expected(last_run(layout)),
        since=time.time(),
    )  # fmt: skip
    screen.progress(LOOKING)
    ended = launch.run("verify", list(transfers), lambda: screen.progress(forecast.look()))
    screen.clear()
    told = False
    screen.data["transfers"] = []
    for name, transfer in transfers.items():
        layout = last_run(layouts[name])
        fresh = layout.run != before[name] and layout.report.exists()
        if fresh and (now := read_state(layout)).files:
            told |= _report(screen, transfer, layout, now)
        else:
            told |= _tell(screen, name, ended)
    if ended.signal:
        screen.problem("interrupted")
    elif not told and ended.code not in (EXIT_OK, EXIT_EMPTY):
        screen.problem(f"the workflow failed; its log is {log}")
    return ended.code


def _report(screen: Screen, transfer: Transfer, layout: VerifyLayout, now: Verified) -> bool:
    """Show the report of a transfer. Returns whether it has a failure."""
    source, destination = printable(transfer.source), printable(transfer.destination)
    screen.line(f"{transfer.name}: {source} -> {destination}")
    found = (finding for _, finding in read_findings(layout.report))
    tally = Tally(found, MOST_ROWS, against=now.against)
    if screen.json:
        told = documents.of_verification(
            now,
            transfer.verify_depth,
            transfer.verify_sample,
            (finding for _, finding in read_findings(layout.report)),
        )
        screen.data["transfers"].append({**documents.of_transfer(transfer), **told})
    _show(screen, tally)
    screen.line(f"  {tally.summary(now, transfer.verify_depth, transfer.verify_sample)}")
    if tally.told:
        screen.line(f"  all of it: {printable(os.path.relpath(layout.copy))}")
    return bool(tally.failing)


def _tell(screen: Screen, name: str, ended: Ended) -> bool:
    """Show the last lines of the workflow about a transfer. Returns whether there were any."""
    lines = [said.text for said in ended.said if said.transfer == name and not said.stage]
    for line in lines:
        screen.problem(visible(f"{name}: {line}"))
    return bool(lines)


def _verify_folder(screen: Screen, given: argparse.Namespace) -> int:
    file, folder = Path(given.against), Path(given.folder)
    depth = given.depth or CONTENT
    if depth == METADATA:
        screen.problem(
            "--depth metadata: a folder has no checksums of its own; allowed: content, listing"
        )
        return EXIT_CONFIG
    if not folder.is_dir():
        raise WaybillError(f"{folder}: no such folder", exit_code=EXIT_CONFIG)
    sample = parse_sample(given.sample or "1/1")
    count = Count(sample, datetime.now(UTC).date())
    looks = hold_folder(file, folder, count, "", depth=depth, selection=Selection())
    if not count.now.files:
        screen.problem(visible(f"nothing to check: {file} lists nothing"))
        return EXIT_EMPTY
    found = [finding for _, finding in count.decided]
    size = sum(look.size for look in looks)
    rate = Rate()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = [pool.submit(look_at, folder, look) for look in looks]
        while wait(results, timeout=TICK_SECONDS).not_done:
            done = METER.look().hashed
            hashes = Amount(done, size, rate.at(time.monotonic(), done))
            screen.progress(Progress(VERIFY.doing, hashes=hashes))
    found += [finding for result in results for finding in result.result()]
    screen.clear()
    found.sort(key=lambda f: f.path)
    told = documents.of_verification(count.now, depth, sample, found)
    screen.data |= {"against": str(file), "folder": str(folder), **told}
    tally = Tally(found, MOST_ROWS, against=True)
    _show(screen, tally)
    screen.line(tally.summary(count.now, depth, sample))
    return tally.code


def _show(screen: Screen, tally: Tally) -> None:
    named = [*tally.failing, *tally.notes]
    if named:
        for line in table(_rows(named), right={3}):
            screen.line(f"  {line}")
    if more := tally.told - len(named):
        screen.line(f"  ... and {more} more")


def _rows(findings: Iterable[Finding]) -> Iterable[tuple[str, ...]]:
    yield "", "side", "file", "size", "what"
    for f in findings:
        size = "" if f.size is None else format_size(f.size)
        yield f.status, f.side, printable(f.path), size, printable(f.reason)


def _sample(text: str) -> str:
    try:
        parse_sample(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
