"""The command after each run: what the configuration has done with a run that is proven.

That a command is due is noted in ``{home}/after/{digest}.json`` before the state file calls the run
completed, and the note is removed when the command has ended with 0. So the command of a pass that
was killed, and one that failed, runs at the next pass. It has to bear being run twice for one run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from waybill.cli import state_folder
from waybill.cli.terminal import visible
from waybill.model.errors import EXIT_FAILED, EXIT_OK
from waybill.notify.channels import Command, DeliveryError
from waybill.system import foreign_json
from waybill.system.files import write_atomic

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is proven: its folder, its addresses in S3, and its files and bytes. This is the
    document that the command gets."""

    run: str
    run_id: str
    destinations: tuple[str, ...]
    manifests: tuple[str, ...]
    files: int
    bytes: int

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def environment(self) -> dict[str, str]:
        values = {
            "RUN": self.run,
            "RUN_ID": self.run_id,
            "DESTINATIONS": "\n".join(self.destinations),
            "MANIFESTS": "\n".join(self.manifests),
            "FILES": self.files,
            "BYTES": self.bytes,
        }
        return {f"WAYBILL_{key}": str(value) for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class AfterRuns:
    """The commands that are due. ``command`` is empty where none is configured; ``timeout`` is in
    seconds."""

    home: Path
    command: Sequence[str]
    timeout: float

    @property
    def _folder(self) -> Path:
        return self.home / "after"

    def note(self, done: Done) -> None:
        """Note that the command is due for a run. Raises OSError."""
        if self.command:
            file = self._folder / f"{state_folder.digest(done.run)}.json"
            write_atomic(file, json.dumps(asdict(done), indent=1).encode(), sync=True)

    def run(self) -> int:
        """Run the command for each run that it is due for; returns the exit code."""
        code = EXIT_OK
        for file in sorted(self._folder.glob("*.json")):
            done = _read(file)
            if done is None or not self.command or self._run(done):
                file.unlink(missing_ok=True)
            else:
                code = EXIT_FAILED
        return code

    def _run(self, done: Done) -> bool:
        """Whether the command has ended with 0. What it prints goes to the log."""
        where = visible(done.run)
        why = ""
        with redirect_stderr(StringIO()) as said:
            try:
                Command(tuple(self.command), self.timeout).send(done)
            except DeliveryError as error:
                why = str(error)
        for line in said.getvalue().splitlines():
            log.info("%s: %s", where, visible(line))
        if why:
            text = "%s: the command after the run failed: %s; it runs again at the next pass"
            log.error(text, where, visible(why))
        else:
            log.info("%s: the command after the run is done", where)
        return not why


def _read(file: Path) -> Done | None:
    """What a note says; None for a damaged one, whose run is named in no other file."""
    try:
        found = foreign_json.loads(file.read_bytes())
        lists = {key: tuple(map(os.fspath, found[key])) for key in ("destinations", "manifests")}
        return Done(**{**found, **lists})
    except (OSError, ValueError, LookupError, TypeError) as error:
        log.warning("%s: is damaged (%s); no command runs for it", file, error)
        return None
