"""What a run of a plan will take: time, requests to S3 and, with a list of prices, money."""

from __future__ import annotations

import argparse
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from waybill.cli.plan import SAME_SIZE, Plan
from waybill.model.errors import ConfigError, describe
from waybill.model.transfer import Transfer
from waybill.model.units import HASH_RATE, format_duration, format_size, hash_time
from waybill.results import history
from waybill.results.layout import Layout
from waybill.s3.parts import MULTIPART_ABOVE_BYTES, part_size

# Of a run whose rate counts: a smaller one is mostly the start of Snakemake.
LEAST_SECONDS, LEAST_BYTES = 10, 64 << 20
LISTED_AT_ONCE = 1_000  # keys in one answer of ListObjectsV2
_GB = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A list of prices. ``currency`` is the word behind each sum. The other numbers are of 1,000
    requests (``put``: PUT, POST and LIST; ``get``: GET and HEAD), of 1 GB (10^9 bytes) that leaves
    S3 (``out``), and of 1 GB that is stored for a month (``month``)."""

    currency: str = ""
    put: float = 0
    get: float = 0
    out: float = 0
    month: float = 0


def read_prices(path: Path) -> Prices:
    """The prices in a TOML file. Raises ConfigError with one line for each mistake."""
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([describe(error, path)]) from None
    except ValueError as error:
        raise ConfigError([f"{path}: not valid TOML: {error}"]) from None
    kinds = {f.name: (str,) if f.name == "currency" else (int, float) for f in fields(Prices)}
    wrong = []
    for name, value in found.items():
        if name not in kinds:
            wrong.append(f"{path}: {name}: no such price; there are {', '.join(kinds)}")
        elif type(value) not in kinds[name] or (name != "currency" and value < 0):
            kind = "a text" if name == "currency" else "a number that is not negative"
            wrong.append(f"{path}: {name}: {value!r} is not {kind}")
    if wrong:
        raise ConfigError(wrong)
    return Prices(**found)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a user told about the run to be: bytes a second, and prices; None for what is not
    known."""

    bandwidth: int | None = None
    prices: Prices | None = None

    @classmethod
    def of(cls, given: argparse.Namespace) -> Budget:
        """What the options of a command tell. Raises ConfigError."""
        return cls(given.bandwidth, read_prices(given.prices) if given.prices else None)


@dataclass(slots=True)
class Requests:
    """How many requests a run sends: ``put`` for small objects and manifests, ``parts`` of large
    ones with the requests that begin and complete them, ``get`` for objects or ranges of them,
    ``list`` for keys, and at most ``head`` for single objects and manifests."""

    put: int = 0
    parts: int = 0
    get: int = 0
    list: int = 0
    head: int = 0

    def __str__(self) -> str:
        words = {"put": "PUT", "parts": "for parts", "get": "GET", "list": "LIST", "head": "HEAD"}
        counts = {word: getattr(self, name) for name, word in words.items()}
        told = [f"{count:,} {word}" for word, count in counts.items() if count]
        return ", ".join(told)


def requests_of(plan: Plan, transfer: Transfer) -> Requests:
    """The requests of a run of this plan, its look at both sides included. Repeated requests are
    not counted."""
    found = Requests(head=len(plan.unsure))
    uploads = transfer.direction == "upload"
    there = len(plan.same) + len(plan.unsure) + (plan.only_there if uploads else len(plan.moves))
    found.list = max(len(plan.datasets), math.ceil(there / LISTED_AT_ONCE))
    for move in plan.moves:
        parts = math.ceil(move.size / part_size(move.size)) if _is_large(move.size) else 0
        if uploads and parts:
            found.parts += parts + 2
        elif uploads:
            found.put += 1
        else:
            found.get += parts or 1
            found.head += 1 if parts else 0
    if transfer.publishes:
        published = len({move.dataset for move in (*plan.moves, *plan.unsure)})
        found.put += published
        found.head += published
    return found


def _is_large(size: int) -> bool:
    return size > MULTIPART_ABOVE_BYTES


def last_rate(layout: Layout) -> float | None:
    """Bytes a second in the last run of a transfer that was large enough to tell; None when there
    was none."""
    for ended in reversed(history.read(layout)):
        large = ended.moved_bytes >= LEAST_BYTES and ended.seconds >= LEAST_SECONDS
        if large and ended.kind == history.RUN:
            return ended.moved_bytes / ended.seconds
    return None


def lines(plan: Plan, transfer: Transfer, layout: Layout, budget: Budget) -> Iterator[str]:
    """What a run of this plan takes, in lines for people. The time follows from the rate of the
    last run, unless the budget has another; without either there is no line about it."""
    if plan.unsure:
        size = sum(move.size for move in plan.unsure)
        what = f"? {len(plan.unsure):,} file(s), {format_size(size)}"
        yield (
            f"{what}: the same size is there, and nothing proves the same content; the run compares"
            f" them{_hashing(plan)}; --hash does it now"
        )
    if not plan.moves and not plan.unsure:
        return
    if plan.moves and (rate := budget.bandwidth or last_rate(layout)):
        whose = "" if budget.bandwidth else ", as in the last run"
        seconds = format_duration(max(1, plan.size / rate))
        yield f"time: about {seconds} at {format_size(rate)}/s{whose}"
    requests = requests_of(plan, transfer)
    yield f"requests: about {requests}"
    if budget.prices:
        yield f"cost: about {_cost(plan, requests, budget.prices, transfer)}"


def _hashing(plan: Plan) -> str:
    """How long it takes to hash what only a hash could tell."""
    size = sum(move.size for move in plan.unsure if move.what == SAME_SIZE)
    if not size:
        return ""
    return f", which takes about {hash_time(size)} at {format_size(HASH_RATE)}/s"


def _cost(plan: Plan, requests: Requests, prices: Prices, transfer: Transfer) -> str:
    dear, cheap = requests.put + requests.parts + requests.list, requests.get + requests.head
    once = (dear * prices.put + cheap * prices.get) / 1_000
    monthly = 0.0
    if transfer.direction == "upload":
        monthly = plan.size / _GB * prices.month
    else:
        once += plan.size / _GB * prices.out
    told = f"{once:,.2f} {prices.currency}".rstrip()
    return f"{told}, and {monthly:,.2f} a month to store what is moved" if monthly else told
