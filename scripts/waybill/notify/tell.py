"""Sends the notifications of a run: one message to each channel, for all its transfers."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from waybill.model.errors import WaybillError
from waybill.notify import state
from waybill.notify.channels import Channel, Command, DeliveryError, Routes, routes
from waybill.notify.message import Item, Message
from waybill.notify.post import why
from waybill.notify.report import Report, report, with_lost_jobs

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

_GRACE_SECONDS = 1.0


@dataclass(slots=True)
class _Told:
    """One transfer of the run. ``on`` are the events to be notified; ``delivered`` maps a channel
    to the events that have reached it."""

    folder: Path
    on: tuple[str, ...]
    report: Report
    known: state.State
    routes: Routes
    delivered: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Letter:
    """A message to one channel: its transfers and events, and its result. Without ``sent`` there is
    no result yet."""

    name: str
    channel: Channel
    items: list[tuple[_Told, str]] = field(default_factory=list)
    error: DeliveryError | None = None
    sent: bool = False

    def send(self, message: Message) -> None:
        try:
            self.channel.send(message)
        except DeliveryError as error:
            self.error = error
        except OSError as error:  # of this machine, say a full disk
            self.error = DeliveryError(why(error))
        self.sent = True

    @property
    def delivered(self) -> bool:
        return self.sent and (self.error is None or self.error.delivered)


def tell(
    transfers: Mapping[str, Transfer],
    codes: Mapping[str, int],
    *,
    code: int,
    success: bool,
    now: datetime,
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """Send the notifications of a run. ``code`` is its exit code; ``codes`` are those of the
    transfers.

    Returns one line for each error, with the transfer's name in front.
    """
    lines: list[str] = []
    told = _gather(transfers, codes, lines, code=code, success=success, environ=environ)
    letters = _letters(told, now)
    host = socket.gethostname()
    messages = [_message(letter, code, host, now) for letter in letters]
    _send(list(zip(letters, messages, strict=True)))
    for letter in letters:
        first = letter.items[0][0].report.transfer
        if not letter.sent or letter.error:
            text = letter.error or f"no answer within {letter.channel.limit:g} seconds"
            lines.append(f"{first}: notification to {letter.name} failed: {text}")
        if letter.delivered:
            for one, event in letter.items:
                one.delivered[letter.name].append(event)
    for one in told:
        _remember(one, lines, now)
    return list(dict.fromkeys(lines))


def _gather(
    transfers: Mapping[str, Transfer],
    codes: Mapping[str, int],
    lines: list[str],
    *,
    code: int,
    success: bool,
    environ: Mapping[str, str],
) -> list[_Told]:
    """The transfers with notifications: their reports, and what channels were told before. Adds
    errors to ``lines``."""
    reports = []
    for name, transfer in transfers.items():
        if transfer.notify is None and success:
            continue
        try:
            reports.append(report(transfer, codes[name]))
        except (WaybillError, OSError) as error:
            lines.append(f"{name}: notification failed: {error}")
    told = []
    for its_report in with_lost_jobs(reports, code=code, success=success):
        transfer = transfers[its_report.transfer]
        if transfer.notify is None:
            continue
        found = routes(transfer.notify, environ)
        for channel, text in found.problems:
            lines.append(f"{transfer.name}: notification to {channel} failed: {text}")
        known = _known(transfer, lines)
        empty: dict[str, list[str]] = {name: [] for name in found.channels}
        told.append(_Told(transfer.results, transfer.notify.on, its_report, known, found, empty))
    return told


def _known(transfer: Transfer, lines: list[str]) -> state.State:
    try:
        try:
            return state.read(transfer.results)
        except ValueError as error:
            aside = state.set_aside(transfer.results)
            lines.append(f"{transfer.name}: {error}; set aside as {aside.name}")
    except OSError as error:
        lines.append(f"{transfer.name}: {transfer.results / state.NAME}: {error.strerror}")
    return state.State()


def _letters(told: list[_Told], now: datetime) -> list[_Letter]:
    """The messages to be sent, one for each channel."""
    letters: dict[Channel, _Letter] = {}
    for one in told:
        for name, ways in one.routes.channels.items():
            for event in state.events(one.report, one.known, one.on, name, now):
                if channel := ways.get(event):
                    letter = letters.setdefault(channel, _Letter(name, channel))
                    letter.items.append((one, event))
    return list(letters.values())


def _message(letter: _Letter, code: int, host: str, now: datetime) -> Message:
    events: dict[str, list[str]] = {}
    by_name = {}
    for one, event in letter.items:
        events.setdefault(one.report.transfer, []).append(event)
        by_name[one.report.transfer] = one
    items = [
        Item(by_name[name].report, tuple(which), by_name[name].known.failing_since)
        for name, which in events.items()
    ]
    return Message(tuple(items), code, host, now)


def _send(pairs: list[tuple[_Letter, Message]]) -> None:
    """Send all messages at once, each in a thread. Commands run one after the other in this thread,
    so that an interrupt ends them. A thread that does not end in time is left."""
    limits = [letter.channel.limit for letter, _ in pairs]
    end = time.monotonic() + max(limits, default=0) + _GRACE_SECONDS
    threads = []
    for letter, message in pairs:
        if not isinstance(letter.channel, Command):
            threads.append(threading.Thread(target=letter.send, args=(message,), daemon=True))
            threads[-1].start()
    for letter, message in pairs:
        if isinstance(letter.channel, Command):
            letter.send(message)
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _remember(one: _Told, lines: list[str], now: datetime) -> None:
    after = state.advanced(one.known, one.report, one.delivered, now)
    if after != one.known:
        try:
            state.write(one.folder, after)
        except OSError as error:
            where = one.folder / state.NAME
            lines.append(f"{one.report.transfer}: {where}: {error.strerror}")
