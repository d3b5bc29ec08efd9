"""Notifications about a pass of the monitor, to Slack as the configuration says.

The command itself sends them, once at the end of a pass, so the addresses are in no file and in no
other process. An error before anything moves is notified, too. It always has the same name: so it
is not repeated every hour, and a notification says when it is over.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli

from waybill import notify
from waybill.cli.s3_upload.config import LOG_DIR
from waybill.cli.terminal import visible
from waybill.config.check import default_settings
from waybill.config.notify import parse
from waybill.model.errors import EXIT_CONFIG, EXIT_OK
from waybill.model.failure import Failure
from waybill.model.transfer import Notify, Transfer
from waybill.results import failures
from waybill.results.layout import Layout

log = logging.getLogger(__name__)

BEFOREHAND = "monitor"


def settings(table: Mapping[str, Any]) -> Notify | None:
    """The channels for the web hooks of a configuration. If only one hook is set, it gets both
    kinds of messages."""
    hooks = {}
    for one, other in (("log", "alert"), ("alert", "log")):
        url = table.get(f"slack_{one}_webhook") or table.get(f"slack_{other}_webhook")
        if isinstance(url, str) and url:
            hooks[f"slack_{one}_webhook"] = url
    return parse({**default_settings()["notify"], **hooks})[0]


def after_pass(
    whom: Notify | None,
    transfers: Mapping[str, Transfer],
    codes: Mapping[str, int],
    *,
    code: int,
    success: bool,
) -> None:
    """Send the notifications about the transfers, whose ``results`` are absolute."""
    told = {name: replace(transfer, notify=whom) for name, transfer in transfers.items()}
    _tell(told, codes, code=code, success=success)


def _tell(
    transfers: Mapping[str, Transfer], codes: Mapping[str, int], *, code: int, success: bool
) -> None:
    """Send notifications, and log what goes wrong with them."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        notify.after_run(transfers, codes, code=code, success=success)
    for line in said.getvalue().splitlines():
        log.warning("%s", visible(line.removeprefix("waybill: ")))


class Beforehand:
    """Notifications about errors before the first transfer: in configuration or credentials."""

    def __init__(self, whom: Notify | None, config: Path, home: Path) -> None:
        self._layout = Layout(home / "beforehand")
        self._transfer = Transfer(
            name=BEFOREHAND,
            direction="upload",
            source=str(config),
            destination="S3",
            folder=config.parent,
            bucket="",
            prefix="",
            results=self._layout.root,
            publish_prefix=None,
            notify=whom,
        )

    def failed(self, problems: list[str], code: int = EXIT_CONFIG) -> None:
        """Notify that there was no pass, and why."""
        record = failures.record_path(self._layout, "inventory")
        try:
            failures.write(record, [Failure("", code, problem) for problem in problems])
        except OSError:  # without a record, the same would be notified every hour
            return
        self._tell(code)

    def passed(self) -> None:
        """Notify that an error is over, if one was notified before."""
        if self._layout.root.exists():
            failures.write(failures.record_path(self._layout, "inventory"), [])
            self._tell(EXIT_OK)

    def _tell(self, code: int) -> None:
        known = {BEFOREHAND: self._transfer}
        _tell(known, {BEFOREHAND: code}, code=code, success=code == EXIT_OK)


def of_broken(file: Path) -> tuple[Notify | None, Path]:
    """The channels and the log folder of a configuration with mistakes, if they can be read."""
    table: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        text = file.read_text(encoding="utf-8-sig")
        table = tomli.loads(text) if file.suffix.lower() == ".toml" else json.loads(text)
    table = table if isinstance(table, dict) else {}
    folder = table.get("log_dir", LOG_DIR)
    return settings(table), Path(folder if isinstance(folder, str) and folder else LOG_DIR)
