"""Why a finished run waits: it is too old to be begun, or it failed again and again.

Failures are counted in ``{log_dir}/uploads/{run}.retry.json``, because the state of the run has no
field for them: ``failures``, ``first`` and ``last`` (UTC, ISO 8601) and ``reason``. If that file is
removed, the run is tried at the next pass.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from waybill.model.times import utc
from waybill.presets.illumina.run_state import SUFFIX
from waybill.presets.illumina.runs import RUN_INFO
from waybill.system import foreign_json
from waybill.system.files import write_atomic

RETRY_SUFFIX = ".retry.json"

_LONGEST = timedelta(days=1)

# Passes that cron starts at the same minute of each hour may differ by this.
_JITTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often in a row a run failed, when first and last, and why the last time."""

    failures: int
    first: str
    last: str
    reason: str


def pause(failures: int) -> timedelta:
    """How long a run rests after so many failures in a row. After the first it does not rest,
    because most failures pass by themselves; then 1, 2, 4 hours and so on, at most a day."""
    if failures < 2:
        return timedelta(0)
    return min(timedelta(hours=2 ** min(failures - 2, 10)), _LONGEST)


def retry_file(state_file: Path) -> Path:
    """The file that counts the failures of the run with this state file."""
    return state_file.with_name(state_file.name.removesuffix(SUFFIX) + RETRY_SUFFIX)


def read(state_file: Path) -> Retry | None:
    """The failures in a row of a run. None when there are none, or when the file cannot be used;
    the run is then tried. Raises OSError."""
    try:
        found = foreign_json.loads(retry_file(state_file).read_bytes())
        retry = Retry(**found)
        if any(datetime.fromisoformat(time).tzinfo is None for time in (retry.first, retry.last)):
            return None
    except (FileNotFoundError, ValueError, TypeError):
        return None
    sound = isinstance(retry.failures, int) and isinstance(retry.reason, str)
    return retry if sound and retry.failures > 0 else None


def failed(state_file: Path, reason: str, now: datetime) -> Retry:
    """Count one more failure of a run, and return all of them. Raises OSError."""
    before = read(state_file)
    retry = Retry(
        failures=before.failures + 1 if before else 1,
        first=before.first if before else utc(now),
        last=utc(now),
        reason=reason,
    )
    write_atomic(retry_file(state_file), json.dumps(asdict(retry), indent=4).encode())
    return retry


def succeeded(state_file: Path) -> None:
    """Forget the failures of a run. Raises OSError."""
    retry_file(state_file).unlink(missing_ok=True)


def rests(retry: Retry | None, now: datetime) -> str | None:
    """Why a run that failed is not tried now, or None when it is."""
    if retry is None:
        return None
    last = datetime.fromisoformat(retry.last)
    due = last + pause(retry.failures)
    if not last <= now < due - _JITTER:  # a time in the future is wrong
        return None
    return f"failed {retry.failures} times, tried again after {utc(due)}: {retry.reason}"


def too_old(run: Path, finished_at: float | None, max_age: float, now: datetime) -> str | None:
    """Why a run that was not begun is too old to be begun; None when it is not. ``max_age`` is in
    hours; 0 means no limit.

    A run is as old as its completion file (``finished_at``, seconds since the epoch) or
    RunInfo.xml, whichever is younger. RunInfo.xml is written when a run starts, two days before its
    end; people touch it to have a run taken. Raises OSError.
    """
    if not max_age:
        return None
    newest = max((run / RUN_INFO).stat().st_mtime, finished_at or 0)
    hours = (now.timestamp() - newest) / 3600  # no datetime: a file may be of the year 10000
    if hours <= max_age:
        return None
    return (
        f"finished {hours:.0f} hours ago, more than max_age ({max_age:g}): not uploaded;"
        f" touch {run / RUN_INFO} to have it uploaded"
    )
