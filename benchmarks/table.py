"""The page: medians, ratios and targets, from what was measured."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence

from joblogs import MOVING
from raw import Row
from session import PROOF
from targets import Figures, targets
from tools import OURS, TOOLS
from workloads import WORDS

MIB = 1 << 20
SHORT_SECONDS = 2  # in which memory is sampled too rarely to tell
TITLES = {
    "upload": "First upload",
    "nothing": "Nothing to do",
    "changed": "One file changed",
    "download": "Download",
}


def page(rows: Sequence[Row], relay: tuple[float, float] | None) -> str:
    """benchmarks/peers.md; ``relay`` is what the relay lets through (requests/s, bytes/s)."""
    figures = Figures(rows)
    parts = [_head(rows), _targets(figures)]
    for cell, title in TITLES.items():
        parts.append(_table(figures, cell, title))
        if cell == "upload":
            parts += [_moving(figures), _proof(figures)]
    for latency in sorted({row.latency_ms for row in rows} - {0}):
        parts.append(_table(figures, "upload", f"First upload, {latency:g} ms away", latency))
        if relay and parts[-1]:
            words = (
                "Each request's answer is held back by a relay on this machine that knows no other"
                f" limit: without latency it lets {relay[0]:,.0f} requests/s or"
                f" {relay[1] / MIB:,.0f} MiB/s through."
            )
            parts.append(textwrap.fill(words, 100))
    parts += [_storage(figures), _problems(rows), _commands(rows), _conditions(rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table; the first ``left`` columns are words."""
    marks = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows))


def _head(rows: Sequence[Row]) -> str:
    known = sorted({row.workload for row in rows})
    scale = "" if rows[0].scale == 1 else f" **Scaled by {rows[0].scale:g}: not for comparison.**"
    words = (
        f"`make bench`: {rows[-1].machine}; the server (`rclone serve s3`) shares them.{scale}"
        " Tools take turns in an order drawn for each round; figures are medians. Waybill"
        " is the README's command in a new folder, all of `snakemake` included; waybill-ifcb has"
        " the settings of config/ifcb.toml, which looks into bins first. `x s5cmd` is the"
        " wall time relative to it. Peak memory is that of all processes of a tool together,"
        " sampled four times a second. Every result was looked at: names and sizes of all files,"
        " content of up to 5,000."
    )
    return "\n".join(
        (
            "# Waybill and its peers",
            "",
            textwrap.fill(words, 100),
            "",
            *(f"- {name}: {WORDS[name]}" for name in known),
            "",
            "What is not reached, and where the time goes: [profile.md](profile.md).",
            "",
            "![wall time relative to s5cmd](peers.svg)",
        )
    )


def _targets(figures: Figures) -> str:
    found = []
    for target in targets(figures):
        if target.value is None:
            found.append((target.what, "", target.limit_text, "not measured"))
        else:
            reached = "reached" if target.value <= target.limit else "**not reached**"
            found.append((target.what, target.text, target.limit_text, reached))
    return "## Targets\n\n" + _lines(("", "measured", "target", ""), found, 1)


def _table(figures: Figures, cell: str, title: str, latency: float = 0.0) -> str:
    """The tools at one cell; with latency, also what its relay took."""
    found = []
    for workload in WORDS:
        for tool in TOOLS:
            rows = figures.whole(tool, workload, cell, latency)
            if not rows:
                continue
            walls = [row.wall for row in rows]
            ratio = figures.ratio(tool, workload, cell, latency)
            relay = [_seconds(statistics.median(row.relay_cpu for row in rows))] if latency else []
            found.append(
                (
                    workload,
                    tool,
                    _seconds(statistics.median(walls)),
                    f"{_seconds(min(walls))} to {_seconds(max(walls))}",
                    "" if ratio is None else f"{ratio:.2f}",
                    _seconds(statistics.median(row.cpu for row in rows)),
                    _seconds(statistics.median(row.server_cpu for row in rows)),
                    *relay,
                    "" if max(walls) < SHORT_SECONDS else _mib(max(row.peak for row in rows)),
                    _mib(max(row.largest for row in rows)),
                    f"{len(rows)}",
                )
            )
    if not found:
        return ""
    head = ["", "tool", "wall s", "from to", "x s5cmd", "CPU s", "server CPU s"]
    head += ["relay CPU s"] * bool(latency) + ["peak MiB", "largest process MiB", "rounds"]
    return f"## {title}\n\n" + _lines(head, found, 2)


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _mib(value: int) -> str:
    return f"{value / MIB:.0f}"


def _moving(figures: Figures) -> str:
    """What Waybill's jobs that handle bytes say of themselves."""
    found = []
    for cell in ("upload", "download"):
        for workload in WORDS:
            rows = figures.whole("waybill", workload, cell)
            if not rows:
                continue
            moving, bare = figures.moving(workload, cell), figures.wall("s5cmd", workload, cell)
            ratio = f"{moving / bare:.2f}" if moving and bare else ""
            stages = [
                _seconds(statistics.median(row.stages.get(name, 0.0) for row in rows))
                for name in MOVING
            ]
            peak = _mib(max(row.job_peak for row in rows))
            found.append((workload, cell, *stages, _seconds(moving), ratio, peak))
    if not found:
        return ""
    words = (
        "What the jobs that handle bytes say of themselves: wall seconds, summed over the jobs,"
        " which run side by side; the rest of the wall time above is Snakemake and the start of"
        " a Python for each job."
    )
    head = ("", "", *MOVING, "sum", "x s5cmd", "peak MiB of any job")
    title = "## Of that, Waybill's moving of bytes\n\n"
    return title + textwrap.fill(words, 100) + "\n\n" + _lines(head, found, 2)


def _proof(figures: Figures) -> str:
    found = []
    for workload in WORDS:
        before, after = (figures.wall(PROOF, workload, cell) for cell in ("sums", "check"))
        if before is None or after is None:
            continue
        sums = {}
        for tool in TOOLS:
            wall = figures.wall(tool, workload)
            if wall is not None:
                sums[tool] = wall if tool in OURS else before + wall + after
        for tool, total in sums.items():
            parts = ("", "") if tool in OURS else (_seconds(before), _seconds(after))
            ratio = f"{total / sums['s5cmd']:.2f}" if "s5cmd" in sums else ""
            wall = total if tool in OURS else total - before - after
            cells = (parts[0], _seconds(wall), parts[1], _seconds(total), ratio)
            found.append((workload, tool, *cells))
    if not found:
        return ""
    words = (
        "The peers neither hash the files nor hold the result against them. Here people's own"
        " `sha256sum` goes before, and a download of every object to be hashed after. Waybill's"
        " hash of every file is part of its run; on the way each request carries one that S3"
        " checks (this server does not)."
    )
    head = ("", "tool", "sha256sum s", "upload s", "check s", "sum s", "x s5cmd")
    title = "## First upload, with what the peers leave out\n\n"
    return title + textwrap.fill(words, 100) + "\n\n" + _lines(head, found, 2)


def _storage(figures: Figures) -> str:
    wall = figures.wall("storage", "W1")
    if wall is None:
        return ""
    rate = figures.files("W1") / wall
    words = (
        f"snakemake-storage-plugin-s3 moved {rate:,.0f} files/s of W1 with 100 files a job, the"
        f" best of what was tried. W4 would take it {100_000 / rate / 60:,.0f} minutes, so it"
        " stands in W1 alone, and not in every round."
    )
    return textwrap.fill(words, 100)


def _problems(rows: Sequence[Row]) -> str:
    found = [
        f"- round {row.round}, {row.workload}, {row.tool}, {TITLES.get(row.cell, row.cell).lower()}"
        + (f", {row.latency_ms:g} ms away" if row.latency_ms else "")
        + f": {row.problem}"
        for row in rows
        if row.problem
    ]
    return "\n".join(("## Not whole, and not counted", "", *found)) if found else ""


def _commands(rows: Sequence[Row]) -> str:
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        seen.setdefault((row.version if row.tool != PROOF else "proof", row.command), row.cell)
    found = [f"- {version}: `{command}`" for (version, command), _ in sorted(seen.items())]
    words = (
        "The environment names the server, everything else is the default of the tools."
        " `--snakefile` and `--directory` stand for the `cd` of the README."
    )
    return "\n".join(("## Command lines", "", textwrap.fill(words, 100), "", *found))


def _conditions(rows: Sequence[Row]) -> str:
    loops = sorted(row.calibration for row in rows)
    loads = sorted(row.load for row in rows)
    middle = statistics.median(loops)
    busy = sum(loop > 1.25 * middle for loop in loops)
    days = sorted({row.time[:10] for row in rows})
    words = (
        f"Measured {' to '.join(dict.fromkeys((days[0], days[-1])))}. Before each command, a loop"
        f" always the same took {loops[0]:.2f} to {loops[-1]:.2f} s (median {middle:.2f} s);"
        f" {busy} of {len(rows)} times it took more than a quarter longer than usual, as others"
        f" were at work. Load of one minute {loads[0]:.1f} to {loads[-1]:.1f}."
    )
    return "## Conditions\n\n" + textwrap.fill(words, 100)
