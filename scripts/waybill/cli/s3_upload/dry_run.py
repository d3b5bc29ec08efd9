"""``s3-upload monitor --dry_run``: which runs would be uploaded. Writes nothing but the log."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import botocore.exceptions as be

from waybill.cli import state_folder
from waybill.cli.s3_upload import report
from waybill.cli.s3_upload import transfers as transfers_of
from waybill.cli.s3_upload.config import MonitorConfig
from waybill.cli.s3_upload.report import Line
from waybill.cli.terminal import visible
from waybill.model.dataset import Found
from waybill.model.errors import EXIT_FAILED, EXIT_OK, WaybillError
from waybill.model.secrets import hold
from waybill.model.transfer import Transfer
from waybill.presets.illumina import datasets, routing
from waybill.presets.illumina.glance import partial
from waybill.presets.illumina.routing import Decision, Outcome
from waybill.results import outcome, state
from waybill.results.layout import Layout
from waybill.s3.errors import explain

log = logging.getLogger(__name__)


def dry_run(config: MonitorConfig, home: Path) -> int:
    """Log which runs would be uploaded; returns the exit code. Raises WaybillError for invalid
    credentials."""
    pair = transfers_of.credentials(os.environ)
    with tempfile.TemporaryDirectory(prefix="s3-upload-") as folder:
        file = Path(folder) / "config.toml"
        transfers = state_folder.configure(file, transfers_of.of_monitor(config))
    code = EXIT_OK
    for transfer in {t.bucket: t for t in transfers.values()}.values():
        try:
            _check_bucket(transfer, pair)
        except WaybillError as error:
            log.error("%s", visible(str(error)))
            code = EXIT_FAILED
    begun = {folder for folder in partial(transfers_of.uploads(config)) if folder}
    decisions: list[tuple[str, Path, Decision]] = []
    wanted: list[tuple[bool, str]] = []
    lines: dict[str, list[Line]] = {}
    for name, transfer in transfers.items():
        own = replace(transfer, results=home / transfer.results)
        before = state.read(Layout(own.results))
        found = datasets.find(own, before, mend=False)
        for place in found.datasets:
            decisions.append((name, Path(place.folder), Decision(Outcome.TAKE, "")))
            known = before.places.get(place.name)
            if place.look and not (known and outcome.is_proven(own, place.name, known)):
                is_new = known is None and place.folder not in begun
                to = f"{own.bucket}:/{place.prefix.removesuffix('/')}"
                wanted.append((is_new, f"{place.folder} would be uploaded to {to}"))
        lines[name] = _lines(name, found, decisions)
        code = EXIT_FAILED if found.failed else code
    places = {name: transfer.destination for name, transfer in transfers.items()}
    for line in report.once(lines, places):
        log.log(line.level, "%s", visible(line.text))
    for _, text in sorted(wanted, key=lambda item: item[0]):  # runs that were begun first
        log.info("%s", visible(text))
    for line in report.of_routes(routing.sort_out(decisions), places.__getitem__):
        log.log(line.level, "%s", visible(line.text))
    if not wanted:
        log.info(report.NOTHING)
    log.info("dry run, nothing done: %d run(s) would be uploaded", len(wanted))
    return code


def _lines(name: str, found: Found, decisions: list[tuple[str, Path, Decision]]) -> list[Line]:
    """Lines about the runs that are not taken. Adds the decision about each to ``decisions``."""
    lines = []
    for failure in found.failed:
        lines.append(Line(logging.ERROR, f"FAILED {failure}"))
        decisions.append((name, Path(failure.path), Decision(Outcome.PROBLEM, failure.message)))
    for path, reason in found.held.items():
        lines.append(report.held(f"{reason}: {path}"))
        decisions.append((name, Path(path), Decision(Outcome.PROBLEM, reason)))
    for path, reason in found.skipped.items():
        if not reason.startswith(datasets.COMPLETED):
            decisions.append((name, Path(path), Decision(Outcome.ELSEWHERE, reason)))
    return lines


def _check_bucket(transfer: Transfer, pair: dict[str, str]) -> None:
    """Check that the bucket can be listed: an upload begins with that. Raises WaybillError."""
    import boto3

    try:
        hold(*pair.values())
        session = boto3.Session(
            aws_access_key_id=pair.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=pair.get("AWS_SECRET_ACCESS_KEY"),
        )
        client = session.client("s3")
        client.list_objects_v2(Bucket=transfer.bucket, Prefix=transfer.prefix, MaxKeys=1)
    except (be.ClientError, be.BotoCoreError) as error:
        raise explain(error, transfer) from None
