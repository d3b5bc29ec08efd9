"""The charts of the page, as SVG: made with altair, rendered by vl-convert, without JavaScript.

Colours are variables of the style sheet, so a chart follows the theme of the page. Each mark has
its values as an ``aria-label``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import altair as alt
import pandas as pd
import vl_convert

from waybill.model.units import format_size
from waybill.report.templates import colours
from waybill.results.jobs import Job

WIDE, NARROW = 520, 300  # px, without axes
BINS = 120  # of time
MOST_BARS = 1_000  # jobs in the timeline
MOST_LINES = 40  # jobs with a line of their own
LANE_PX = 18

# Colours of Okabe and Ito, which people with any colour blindness tell apart.
_STAGES = {
    "inventory": "var(--c-grey)",
    "checksum": "var(--c-orange)",
    "diff": "var(--c-yellow)",
    "first": "var(--c-sky)",
    "upload": "var(--c-blue)",
    "download": "var(--c-blue)",
    "manifest": "var(--c-pink)",
    "publish": "var(--c-pink)",
    "failed": "var(--c-red)",
    "not ended": "var(--c-red)",
}
_OTHER = "var(--c-grey)"
_FACTORS = (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0))


class Chart(NamedTuple):
    """A chart in two widths, as SVG, and what it shows in a sentence for people who do not see
    it."""

    wide: str
    narrow: str
    told: str


def sizes(counts: dict[int, tuple[int, int]]) -> Chart | None:
    """How many files and how many bytes are of which size. ``counts`` is that of
    ``report.entries.Entries.sizes``."""
    if not counts:
        return None
    classes = sorted({min(counts), *range(max(0, min(counts)), max(counts) + 1), *counts})
    total = sum(size for _, size in counts.values())
    unit, factor = _unit(max(size for _, size in counts.values()))
    table = pd.DataFrame(
        {
            "size": [size_label(n) for n in classes],
            "files": [counts.get(n, (0, 0))[0] for n in classes],
            "bytes": [counts.get(n, (0, 0))[1] / factor for n in classes],
        }
    )
    order = list(table["size"])

    def draw(width: int) -> Any:
        def bars(field: str, title: str) -> Any:
            return (
                alt.Chart(table)
                .mark_bar(color="var(--c-blue)")
                .encode(
                    x=alt.X("size:O", sort=order, title="size of a file, from"),
                    y=alt.Y(f"{field}:Q", title=title, axis=alt.Axis(tickCount=4, format="~s")),
                )
                .properties(width=width, height=150)
            )

        files, data = bars("files", "files"), bars("bytes", unit)
        half = (width - 60) // 2
        if width == NARROW:
            return alt.vconcat(files, data)
        return alt.hconcat(files.properties(width=half), data.properties(width=half))

    files = sum(n for n, _ in counts.values())
    told = f"{files:,} files, {format_size(total)}, by the size of a file"
    return _render(draw, told)


def throughput(jobs: Iterable[Job]) -> Chart | None:
    """Bytes per second over time: all jobs together as an area, each as a line."""
    moving = [job for job in jobs if job.moved and job.moves]
    if not moving:
        return None
    start = min(job.begun for job in moving)
    end = max(job.time for job in moving)
    step = max((end - start) / BINS, 0.1)
    edges = [start + step * i for i in range(int((end - start) / step) + 2)]
    rates = {id(job): _rates(job, edges) for job in moving}
    total = [sum(column) for column in zip(*rates.values(), strict=True)]
    unit, factor = _unit(max(total))
    scale, word = _time_scale(end - start)

    def rows(values: list[float], name: str) -> Any:
        times = [(edge - start) / scale for edge in edges[: len(values)]]
        frame = pd.DataFrame({"time": times, "rate": [v / factor for v in values], "job": name})
        return frame[frame["rate"].gt(0) | frame["rate"].shift(1, fill_value=0).gt(0)]

    largest = sorted(moving, key=lambda job: -job.moved)[:MOST_LINES]
    each = pd.concat([rows(rates[id(job)], _name(job)) for job in largest], ignore_index=True)
    times = [(edge - start) / scale for edge in edges[: len(total)]]
    all_ = pd.DataFrame({"time": times, "rate": [value / factor for value in total]})

    def draw(width: int) -> Any:
        x = alt.X("time:Q", title=f"{word} since {_clock(start)}", axis=alt.Axis(tickCount=6))
        y = alt.Y("rate:Q", title=f"{unit}/s", axis=alt.Axis(tickCount=5))
        area = alt.Chart(all_).mark_area(
            color="var(--c-blue)", fillOpacity=0.25, line={"color": "var(--c-blue)"},
            interpolate="step-after",
        )  # fmt: skip
        layers = [area.encode(x=x, y=y)]
        if len(largest) > 1:
            lines = alt.Chart(each).mark_line(
                color="var(--c-orange)", strokeWidth=1, opacity=0.7, interpolate="step-after"
            )
            layers.append(lines.encode(x=x, y=y, detail="job:N"))
        return alt.layer(*layers).properties(width=width, height=200)

    seconds = max(end - start, 0.001)
    size = sum(job.moved for job in moving)
    told = (
        f"{format_size(size)} by {len(moving)} jobs in {seconds:,.0f} seconds,"
        f" {format_size(size / seconds)}/s on average, {format_size(max(total))}/s at most"
    )
    return _render(draw, told)


def timeline(jobs: list[Job]) -> Chart | None:
    """When each job ran, a lane for each job that a node runs at one time."""
    shown = sorted(jobs, key=lambda job: job.begun - job.time)[:MOST_BARS]
    if not shown:
        return None
    start, end = min(job.begun for job in shown), max(job.time for job in shown)
    scale, word = _time_scale(end - start)
    least = (end - start) / 400  # so that a short job is seen
    lanes = _lanes(shown)
    order = list(dict.fromkeys(lane for _, lane in lanes))
    table = pd.DataFrame(
        {
            "lane": [lane for _, lane in lanes],
            "begin": [(job.begun - start) / scale for job, _ in lanes],
            "until": [(max(job.time, job.begun + least) - start) / scale for job, _ in lanes],
            "stage": [_kind(job) for job, _ in lanes],
            "batch": [_name(job) for job, _ in lanes],
        }
    )
    stages = sorted(set(table["stage"]))
    colours = [_STAGES.get(stage, _OTHER) for stage in stages]

    def draw(width: int) -> Any:
        legend = alt.Legend(orient="top", title=None, columns=3 if width == NARROW else 6)
        return (
            alt.Chart(table)
            .mark_bar(stroke="var(--paper)", strokeWidth=0.5)
            .encode(
                x=alt.X("begin:Q", title=f"{word} since {_clock(start)}"),
                x2="until:Q",
                y=alt.Y("lane:N", sort=order, title=None, axis=alt.Axis(labelLimit=110)),
                color=alt.Color(
                    "stage:N", scale=alt.Scale(domain=stages, range=colours), legend=legend
                ),
                description="batch:N",
            )
            .properties(width=width - (0 if width == WIDE else 60), height=alt.Step(LANE_PX))
        )

    hosts = {job.host for job in shown if job.host}
    where = f" on {len(hosts)} nodes" if len(hosts) > 1 else ""
    told = f"{len(shown)} jobs{where} in {max(end - start, 0):,.0f} seconds"
    return _render(draw, told)


def as_file(chart: Chart) -> bytes:
    """A chart as a file of SVG by itself, with the colours of the style sheet."""
    return chart.wide.replace(">", f"><style>{colours()}</style>", 1).encode()


def _lanes(jobs: list[Job]) -> list[tuple[Job, str]]:
    """The jobs by node and start, each with its lane: the first of its node that is free."""
    free: dict[str, list[float]] = {}
    found: list[tuple[Job, str]] = []
    for job in sorted(jobs, key=lambda job: (job.host, job.begun)):
        ends = free.setdefault(job.host, [])
        number = next((i for i, end in enumerate(ends) if end <= job.begun), len(ends))
        ends[number : number + 1] = [job.time]
        found.append((job, f"{job.host or 'slot'} {number + 1}"))
    places = {lane: number for number, lane in enumerate(sorted({n for _, n in found}, key=_key))}
    return sorted(found, key=lambda item: (places[item[1]], item[0].begun))


def _key(lane: str) -> tuple[str, int]:
    host, _, number = lane.rpartition(" ")
    return host, int(number)


def _rates(job: Job, edges: list[float]) -> list[float]:
    """Bytes per second of a job between each two edges."""
    times = [min(job.begun + job.every * n, job.time) for n in range(len(job.moves) + 1)]
    done = [0.0, *accumulate(map(float, job.moves))]
    reached = [_at(edge, times, done) for edge in edges]
    width = edges[1] - edges[0]
    return [(b - a) / width for a, b in pairwise(reached)]


def _at(when: float, times: list[float], done: list[float]) -> float:
    """The bytes that were done at a time, between the samples in proportion."""
    if when <= times[0]:
        return done[0]
    for (t0, d0), (t1, d1) in pairwise(zip(times, done, strict=True)):
        if when <= t1:
            return d0 + (d1 - d0) * (when - t0) / max(t1 - t0, 1e-9)
    return done[-1]


def size_label(exponent: int) -> str:
    """The least size in a class: ``1 KiB`` for 5, ``0 B`` for -1."""
    if exponent < 0:
        return "0 B"
    unit, factor = _unit(4**exponent)
    return f"{4**exponent // factor} {unit}"


def _unit(size: float) -> tuple[str, int]:
    """The unit in which a size has the fewest digits, and its bytes."""
    name, bits = next((u, b) for u, b in _FACTORS if size >= 1 << b or b == 0)
    return name, 1 << bits


def _time_scale(seconds: float) -> tuple[float, str]:
    if seconds > 2 * 86_400:
        return 86_400, "days"
    if seconds > 2 * 3_600:
        return 3_600, "hours"
    return (60, "minutes") if seconds > 180 else (1, "seconds")


def _clock(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _kind(job: Job) -> str:
    """What the colour of a job tells: its stage, or that it has failed or not ended."""
    if job.code is None:
        return "not ended"
    return "failed" if job.code else job.stage


def _name(job: Job) -> str:
    return " ".join(filter(None, (job.stage, job.dataset, job.batch)))


_AXIS = {
    "labelColor": "var(--soft)", "titleColor": "var(--soft)", "gridColor": "var(--line)",
    "domainColor": "var(--line)", "tickColor": "var(--line)", "labelFontSize": 12,
    "titleFontSize": 12, "titleFontWeight": "normal",
}  # fmt: skip
_FONT = "system-ui, sans-serif"


def _render(draw: Callable[[int], Any], told: str) -> Chart:
    """A chart in both widths."""
    return Chart(_svg(draw(WIDE), told), _svg(draw(NARROW), told), told)


def _svg(chart: Any, told: str) -> str:
    styled = (
        chart.properties(description=told, background="transparent")
        .configure(font=_FONT)
        .configure_axis(**_AXIS)
        .configure_axisX(labelAngle=0, labelOverlap=True, labelSeparation=10)
        .configure_view(stroke=None)
        .configure_legend(labelColor="var(--soft)", labelFontSize=12)
    )
    return vl_convert.vegalite_to_svg(styled.to_dict(format="vega-lite"))
