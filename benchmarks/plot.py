"""The plot of the page: wall time relative to s5cmd."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from raw import Row
from targets import Figures
from tools import TOOLS
from workloads import WORDS

CELLS = {"upload": "first upload", "nothing": "nothing to do", "download": "download"}
CELLS |= {"changed": "one file changed"}


def write(rows: Sequence[Row], path: Path) -> None:
    """Bars for each workload and tool, one panel for each thing to do, on a logarithmic axis."""
    figures = Figures(rows)
    latencies = sorted({row.latency_ms for row in rows} - {0})
    panels = [(cell, 0.0, title) for cell, title in CELLS.items()]
    panels += [("upload", ms, f"first upload, {ms:g} ms away") for ms in latencies]
    shown = [panel for panel in panels if _groups(figures, *panel[:2])]
    tools = [tool for tool in TOOLS if tool != "s5cmd" and any(r.tool == tool for r in rows)]
    colours = dict(zip(TOOLS, pyplot.get_cmap("tab10").colors, strict=False))
    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": "waybill", "font.size": 9}):
        figure, axes = pyplot.subplots(
            len(shown), 1, figsize=(8, 2.1 * len(shown)), squeeze=False, layout="constrained"
        )
        for axis, (cell, latency, title) in zip(axes[:, 0], shown, strict=True):
            groups = _groups(figures, cell, latency)
            for number, tool in enumerate(tools):
                at = [
                    i + (number - len(tools) / 2 + 0.5) * 0.8 / len(tools)
                    for i in range(len(groups))
                ]
                values = [figures.ratio(tool, name, cell, latency) for name in groups]
                bars = axis.bar(
                    at,
                    [(value or 1) - 1 for value in values],
                    0.75 / len(tools),
                    bottom=1,
                    color=colours[tool],
                    label=tool,
                )
                labels = ["" if value is None else f"{value:.2g}" for value in values]
                axis.bar_label(bars, labels, fontsize=7, padding=1)
            axis.axhline(1, color="black", linewidth=0.8)
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter("{x:g}")
            axis.margins(y=0.2)
            axis.set_ylim(bottom=min(0.8, axis.get_ylim()[0]))
            axis.set_xticks(range(len(groups)), groups)
            axis.set_title(title, loc="left", fontsize=9)
            axis.set_ylabel("x s5cmd")
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=len(tools)
        )
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


def _groups(figures: Figures, cell: str, latency: float) -> list[str]:
    """The workloads that s5cmd and another tool have done."""
    return [
        name
        for name in WORDS
        if any(
            tool != "s5cmd" and figures.ratio(tool, name, cell, latency) is not None
            for tool in TOOLS
        )
    ]
