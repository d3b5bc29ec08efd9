"""One message about a run, as Slack, mail, a command and a web hook get it. Pure text.

The Slack texts begin like those of the seed tool ``s3_upload``, so that searches and filters for
them still work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waybill import __version__
from waybill.model.errors import one_line
from waybill.model.escaping import escape
from waybill.model.times import utc
from waybill.model.units import format_size
from waybill.notify.report import Failed, Report, is_blind
from waybill.notify.state import FAILURE, RECOVERY, SUCCESS

MOST_NAMED = 20
MOST_CHARACTERS = 30_000  # Slack cuts a text at 40,000
MOST_OF_A_LINE = 500

_BULLET, _BELOW = "\n\t\t• ", "\n\t\t\t\t◦ "
_WORDS = {
    "upload": ("S3 Upload", "Successfully uploaded", "Failed uploading"),
    "download": ("S3 Download", "Successfully downloaded", "Failed downloading"),
}
# Failures of a whole inventory that AWS causes, in the words of waybill.s3.errors.
_CONNECTING = re.compile(r"credentials|AWS (login|profile|region)|cannot reach|clock of this")
_ACCESSING = re.compile(r": bucket '|: access denied")


@dataclass(frozen=True, slots=True)
class Item:
    """One transfer in a message, the events it is there for, and since when it has been failing."""

    report: Report
    events: tuple[str, ...]
    failing_since: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """The message to one channel about one run; ``exit_code`` is that of the run."""

    items: tuple[Item, ...]
    exit_code: int
    host: str
    now: datetime

    @property
    def event(self) -> str:
        """The gravest event in the message."""
        told = {event for item in self.items for event in item.events}
        return next(event for event in (FAILURE, RECOVERY, SUCCESS) if event in told)

    def slack(self) -> dict[str, str]:
        """What is posted to a Slack webhook."""
        sections = [*self._successes(), *self._failures(), *self._recoveries()]
        text = "\n\n".join(sections)
        if len(text) > MOST_CHARACTERS:
            text = text[: text.rindex("\n", 0, MOST_CHARACTERS)] + "\n…"
        return {"text": f"{text}\n\n{_slack(self._signature())}"}

    def _successes(self) -> Iterator[str]:
        for direction, unit, items in self._grouped(SUCCESS):
            bullets = []
            for report in (item.report for item in items):
                if unit == "transfer":
                    bullets.append(f"{report.transfer}: {_moved(report)}, to {report.destination}")
                else:
                    bullets += [f"{d.name}: {_files(d[1], d[2])}" for d in report.finished]
            title, done, _ = _WORDS[direction]
            head = f":white_check_mark:  *{title}*: {done} {_count(len(bullets), unit)}"
            yield head + "".join(_listed(bullets, _BULLET))

    def _failures(self) -> Iterator[str]:
        for direction, unit, items in self._grouped(FAILURE):
            title, _, failed = _WORDS[direction]
            broken = [item for item in items if not _aws_trouble(item.report)]
            for text in dict.fromkeys(_aws_trouble(item.report) for item in items):
                if text:
                    those = [item for item in items if _aws_trouble(item.report) == text]
                    bullets = (_failure_bullet(item) for item in those)
                    yield f":warning:  *{title}*: {text}" + "".join(bullets)
            if broken:
                count = sum(len(_by_unit(item.report)) for item in broken)
                bullets = (_failure_bullet(item) for item in broken)
                yield f":x:  *{title}*: {failed} {_count(count, unit)}" + "".join(bullets)

    def _recoveries(self) -> Iterator[str]:
        for direction, _, items in self._grouped(RECOVERY):
            head = f":white_check_mark:  *{_WORDS[direction][0]}*: No longer failing"
            names = [f"{i.report.transfer}: had been {_since(i)}" for i in items]
            yield head + "".join(_listed(names, _BULLET))

    def _grouped(self, event: str) -> Iterator[tuple[str, str, list[Item]]]:
        groups: dict[tuple[str, str], list[Item]] = {}
        for item in self.items:
            if event in item.events:
                groups.setdefault((item.report.direction, item.report.unit), []).append(item)
        for (direction, unit), items in groups.items():
            yield direction, unit, items

    def _signature(self) -> str:
        when = self.now.strftime("%Y-%m-%d %H:%M UTC")
        return f"{self.host}, {when}, exit code {self.exit_code}"

    def subject(self) -> str:
        """The subject of a mail."""
        parts = []
        for word, event in (
            ("failed", FAILURE),
            ("no longer failing", RECOVERY),
            ("done", SUCCESS),
        ):
            names = [i.report.transfer for i in self.items if _gravest(i) == event]
            if names:
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                parts.append(f"{', '.join(names[:5])}{more} {word}")
        return f"Waybill: {'; '.join(parts)} ({self.host})"

    def text(self) -> str:
        """The message as plain text: the body of a mail."""
        blocks = ["\n".join(_block(item)) for item in self.items]
        return "\n\n".join([*blocks, f"-- \nWaybill {__version__}, {self._signature()}\n"])

    def document(self) -> dict[str, Any]:
        """The message for programs; docs/notifications.md explains its members."""
        return {
            "waybill": __version__,
            "event": self.event,
            "exit_code": self.exit_code,
            "host": self.host,
            "time": utc(self.now),
            "text": self.text(),
            "transfers": [_entry(item) for item in self.items],
        }

    def environment(self) -> dict[str, str]:
        """The variables a command gets beside the document."""
        reports = [item.report for item in self.items]
        values = {
            "EVENT": self.event,
            "EXIT_CODE": self.exit_code,
            "HOST": self.host,
            "TIME": utc(self.now),
            "TRANSFERS": ",".join(report.transfer for report in reports),
            "MOVED_FILES": sum(report.moved_files for report in reports),
            "MOVED_BYTES": sum(report.moved_bytes for report in reports),
            "FAILURES": sum(len(report.failures) for report in reports),
        }
        return {f"WAYBILL_{key}": str(value) for key, value in values.items()}


def _gravest(item: Item) -> str:
    return next(event for event in (FAILURE, RECOVERY, SUCCESS) if event in item.events)


def _aws_trouble(report: Report) -> str:
    """The words of the seed tool when AWS cannot be used at all; ``""`` for other failures."""
    if not is_blind(report.failures):
        return ""
    message = report.failures[0].message
    if _ACCESSING.search(message):
        return "Error in accessing specified S3 buckets!"
    return "Error in connecting to AWS!" if _CONNECTING.search(message) else ""


def _by_unit(report: Report) -> dict[str, list[Failed]]:
    """The failures by run or dataset; those of neither are under the name of the transfer."""
    found: dict[str, list[Failed]] = {}
    for failure in report.failures:
        unit = "" if report.unit == "transfer" else failure.dataset
        found.setdefault(unit or report.transfer, []).append(failure)
    return found


def _failure_bullet(item: Item) -> str:
    report = item.report
    text = ""
    named = 0
    for unit, failures in _by_unit(report).items():
        head = f"{unit}: {len(failures)} failed"
        if item.failing_since:
            head += f", {_since(item)}"
        if unit == report.transfer:
            head += f"; {_moved(report)}; {report.source} to {report.destination}"
        text += _BULLET + _slack(_line(head))
        shown = failures[: MOST_NAMED - named]
        named += len(shown)
        text += "".join(_BELOW + _slack(_line(f.text)) for f in shown)
        if len(failures) > len(shown):
            text += f"{_BELOW}and {len(failures) - len(shown)} more"
    return text


def _block(item: Item) -> Iterator[str]:
    report = item.report
    words = {FAILURE: "failed", RECOVERY: "is no longer failing", SUCCESS: "is done"}
    yield f"Transfer {report.transfer} {words[_gravest(item)]}"
    yield ""
    yield f"  from       {one_line(report.source)}"
    yield f"  to         {one_line(report.destination)}"
    if report.files:
        yield f"  selected   {_files(report.files, report.bytes)}"
    yield f"  moved      {_moved(report).removesuffix(' moved')}"
    if item.failing_since:
        until = ", until now" if RECOVERY in item.events else ""
        yield f"  failing    {_since(item).removeprefix('failing ')}{until}"
    if report.unit != "transfer" and report.finished:
        yield ""
        names = [f"{d.name}: {_files(d[1], d[2])}" for d in report.finished]
        yield "".join(_listed([f"done {name}" for name in names], "\n  ", plain=True))[1:]
    if report.failures:
        yield ""
        failed = [f"FAILED {_named(failure, report)}" for failure in report.failures]
        where = f", in {report.results}/failures"
        yield "".join(_listed(failed, "\n  ", plain=True, where=where))[1:]


def _entry(item: Item) -> dict[str, Any]:
    report = item.report
    return {
        "transfer": report.transfer,
        "events": list(item.events),
        "failing_since": item.failing_since,
        "preset": report.preset,
        "direction": report.direction,
        "source": report.source,
        "destination": report.destination,
        "results": report.results,
        "exit_code": report.exit_code,
        "files": report.files,
        "bytes": report.bytes,
        "moved_files": report.moved_files,
        "moved_bytes": report.moved_bytes,
        "datasets": [d._asdict() for d in report.datasets],
        "failures": [
            {"dataset": f.dataset, "path": escape(f.path), "message": _line(f.message)}
            for f in report.failures[:MOST_NAMED]
        ],
        "more_failures": max(0, len(report.failures) - MOST_NAMED),
    }


def _named(failure: Failed, report: Report) -> str:
    """A failure in one line, with its dataset where there are several."""
    several = report.unit != "transfer" and failure.dataset
    return f"{failure.dataset}: {failure.text}" if several else failure.text


def _since(item: Item) -> str:
    when = (item.failing_since or "")[:16].replace("T", " ")
    return f"failing since {when} UTC"


def _moved(report: Report) -> str:
    if not report.moved_files:
        return "nothing moved"
    return f"{_files(report.moved_files, report.moved_bytes)} moved"


def _files(number: int, size: int) -> str:
    return f"{_count(number, 'file')}, {format_size(size)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(
    lines: list[str], before: str, *, plain: bool = False, where: str = ""
) -> Iterable[str]:
    """The first lines, each after ``before``, and how many more there are."""
    for line in lines[:MOST_NAMED]:
        yield before + (_line(line) if plain else _slack(_line(line)))
    if len(lines) > MOST_NAMED:
        yield f"{before}and {len(lines) - MOST_NAMED} more{where}"


def _line(text: str) -> str:
    return _cut(one_line(text), MOST_OF_A_LINE)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 2] + " …"


def _slack(text: str) -> str:
    """``text`` escaped so that Slack sees no link or mention ("Escaping text" in its reference)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
