"""The command ``s3-upload``: sequencing runs to S3, one by name or from cron all that finish."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from waybill.cli import state_folder
from waybill.cli.launch import Ended, Launch
from waybill.cli.s3_upload import report
from waybill.cli.s3_upload import transfers as transfers_of
from waybill.cli.s3_upload.arguments import (
    PROGRAM,
    WORDS_OF_MONITOR,
    WORDS_OF_UPLOAD,
    Monitor,
    Upload,
    parse,
)
from waybill.cli.s3_upload.monitor import monitor
from waybill.cli.s3_upload.states import Watch
from waybill.cli.session import hold_results
from waybill.cli.terminal import Screen, guarded, printable, visible
from waybill.model.errors import (
    EXIT_CONFIG,
    EXIT_EMPTY,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    WaybillError,
)
from waybill.model.units import format_size
from waybill.presets.illumina import instrument
from waybill.presets.illumina.instrument import Phase
from waybill.presets.illumina.runs import RUN_INFO
from waybill.results.layout import Layout
from waybill.results.published import published_key

_ANYWAY = "--skip_check uploads it as it is"


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return guarded(PROGRAM, lambda screen: _command(screen, arguments))


def _command(screen: Screen, arguments: list[str]) -> int:
    wish = parse(arguments)
    if isinstance(wish, Monitor):
        screen.words = WORDS_OF_MONITOR
        return monitor(screen, wish)
    screen.words = WORDS_OF_UPLOAD
    return upload(screen, wish)


def upload(screen: Screen, wish: Upload) -> int:
    """Upload one run without a question."""
    folder = _folder(wish.local_path)
    bucket, prefix = transfers_of.place(wish)
    if not wish.skip_check:
        _check(folder)
    env = transfers_of.environment(os.environ)
    name = f"{transfers_of.plain(folder.name)}-{state_folder.digest(folder, bucket, prefix)}"
    home = state_folder.state_home(PROGRAM) / name
    layout = Layout(home / "results" / transfers_of.RUN)
    hold_results(layout)
    file = home / "config.toml"
    text = transfers_of.of_upload(wish, folder, bucket, prefix)
    transfer = state_folder.configure(file, text)[transfers_of.RUN]
    log = home / "snakemake.log"
    log.unlink(missing_ok=True)
    launch = Launch(home, file.name, log, cores=wish.cores, env=env)
    layouts = {transfers_of.RUN: layout}
    watch = Watch(layouts)

    def tick() -> None:
        watch.look()
        screen.progress(watch.progress())

    screen.progress("Looking at the runs ...")
    ended = launch.run("all", list(layouts), tick)
    screen.clear()
    watch.look()
    url = f"s3://{bucket}/{prefix}{folder.name}/"
    for line in report.notes([ended], layouts, {transfers_of.RUN: url}):
        screen.problem(visible(line.text))
    lines, code = report.conclusion(transfer, layout)
    for line in lines:
        screen.problem(visible(line.text))
    if ended.signal:
        how = "interrupted" if ended.code == EXIT_INTERRUPTED else "ended by a signal"
        text = "what has arrived stays proven, the same command goes on from there"
        screen.problem(f"{how}; {text}")
    _sum_up(screen, watch, folder, url, bucket)
    return _code(screen, ended, code, log)


def _sum_up(screen: Screen, watch: Watch, folder: Path, url: str, bucket: str) -> None:
    """Print what was uploaded, and where the manifest is."""
    for run in watch.all():
        files, size = run.moved
        proven = f"{run.count} of {run.total} file(s) proven"
        if not run.total:
            screen.line(f"No files in {printable(str(folder))}: nothing uploaded")
        elif files:
            amount = f"{files} file(s), {format_size(size)}"
            screen.line(f"Uploaded {amount}, to {printable(url)}; {proven}")
        else:
            screen.line(f"Nothing to upload to {printable(url)}; {proven}")
        key = published_key(run.layout.publication(run.dataset))
        if key:
            screen.line(f"Manifest s3://{bucket}/{printable(key)}")


def _code(screen: Screen, ended: Ended, code: int, log: Path) -> int:
    if ended.signal:
        return ended.code
    codes = {one for one in (code, ended.code) if one not in (EXIT_OK, EXIT_EMPTY)}
    if codes and code in (EXIT_OK, EXIT_EMPTY):
        screen.problem(f"the workflow failed; its log is {log}")
    return EXIT_FAILED if EXIT_FAILED in codes else max(codes, default=EXIT_OK)


def _folder(local_path: str) -> Path:
    """The folder of the run, as an absolute path. A symbolic link keeps its own name."""
    folder = Path(os.path.abspath(local_path))  # noqa: PTH100  Path keeps "..", which has no name
    if folder.is_dir() and folder.name:
        return folder
    wrong = "is not the folder of a run" if folder.exists() else "does not exist"
    raise WaybillError(f"--local_path: {local_path} {wrong}", exit_code=EXIT_CONFIG)


def _check(folder: Path) -> None:
    """Raise WaybillError unless the folder is a run that is finished."""
    if not (folder / RUN_INFO).is_file():
        raise WaybillError(f"{folder}: no {RUN_INFO}, so it is no sequencing run; {_ANYWAY}")
    found = instrument.state(folder)
    if found.phase is not Phase.FINISHED:
        raise WaybillError(f"{folder}: {found.phase}: {found.reason}; {_ANYWAY}")


if __name__ == "__main__":
    sys.exit(main())
