"""Who is told what a pass of the monitor did: Slack, as the configuration says.

The command itself tells, once at the end of a pass, and so the addresses are in no file and in no
other process. What goes wrong before anything moves is told as well, each time under the same name,
so that it is not repeated every hour and is told to be over.
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
    """Whom to tell, out of the web hooks of a configuration."""
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
    """Tell what became of the transfers, whose ``results`` are absolute."""
    told = {name: replace(transfer, notify=whom) for name, transfer in transfers.items()}
    _tell(told, codes, code=code, success=success)


def _tell(
    transfers: Mapping[str, Transfer], codes: Mapping[str, int], *, code: int, success: bool
) -> None:
    """Tell it, and log what goes wrong with that."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        notify.after_run(transfers, codes, code=code, success=success)
    for line in said.getvalue().splitlines():
        log.warning("%s", visible(line.removeprefix("waybill: ")))


class Beforehand:
    """What comes before the first transfer: the configuration, the credentials."""

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
        """Tell that there was no pass, and why."""
        record = failures.record_path(self._layout, "inventory")
        try:
            failures.write(record, [Failure("", code, problem) for problem in problems])
        except OSError:  # what was told could not be remembered, and would be told every hour
            return
        self._tell(code)

    def passed(self) -> None:
        """Tell that it is over, if it was told before."""
        if self._layout.root.exists():
            failures.write(failures.record_path(self._layout, "inventory"), [])
            self._tell(EXIT_OK)

    def _tell(self, code: int) -> None:
        known = {BEFOREHAND: self._transfer}
        _tell(known, {BEFOREHAND: code}, code=code, success=code == EXIT_OK)


def of_broken(file: Path) -> tuple[Notify | None, Path]:
    """Whom to tell about a configuration that has mistakes, as far as it can be made out, and its
    log folder."""
    table: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        text = file.read_text(encoding="utf-8-sig")
        table = tomli.loads(text) if file.suffix.lower() == ".toml" else json.loads(text)
    table = table if isinstance(table, dict) else {}
    folder = table.get("log_dir", LOG_DIR)
    return settings(table), Path(folder if isinstance(folder, str) and folder else LOG_DIR)
