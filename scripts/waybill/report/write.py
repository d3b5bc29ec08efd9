"""Writes the pages. What makes them (pandas, altair, jinja2) is imported only when one is written,
and never by a job that moves data: after a run a process of its own writes them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.model.transfer import Transfer
from waybill.results.layout import Layout
from waybill.system import installed
from waybill.system.files import write_atomic

VARIABLE = "WAYBILL_REPORT"  # `no`: a run writes no page
TIMEOUT_SECONDS = 600

_PACKAGES = {"altair": "altair", "jinja2": "jinja2", "pandas": "pandas", "vl_convert": "vl-convert"}
_FORMER = "plan.html"  # the page of earlier versions


def require() -> None:
    """Raise WaybillError, with exit code 2, when a package that makes the pages is missing."""
    if missing := _missing():
        raise WaybillError(
            f"the report needs {', '.join(missing)}: pip install 'snakemake-waybill[report]'",
            exit_code=EXIT_CONFIG,
        )


def _missing() -> list[str]:
    return [name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None]


def write(transfer: Transfer) -> Path:
    """Write the page of a transfer; returns its path. Raises WaybillError, OSError."""
    require()
    from waybill.report.page import render

    layout = Layout(transfer.results)
    page = render(transfer, layout)
    former = {layout.page.with_name(_FORMER), *layout.page.parent.glob("[!.]*.svg")}
    charts = {layout.chart(name): svg for name, svg in page.charts.items()}
    for path, svg in charts.items():
        write_atomic(path, svg)
    write_atomic(layout.page, page.html)
    for path in former - charts.keys():
        path.unlink(missing_ok=True)
    return layout.page


def write_index(transfers: Mapping[str, Transfer]) -> list[Path]:
    """Write a page over all transfers into each folder of results; returns their paths. Raises
    WaybillError, OSError."""
    require()
    from waybill.report.index import render

    by_folder: dict[Path, list[Transfer]] = {}
    for transfer in transfers.values():
        by_folder.setdefault(transfer.results.parent, []).append(transfer)
    for folder, its_transfers in by_folder.items():
        write_atomic(folder / "index.html", render(its_transfers))
    return [folder / "index.html" for folder in by_folder]


def after_run(transfers: Mapping[str, Transfer]) -> list[str]:
    """Write the pages of these transfers in a process of its own. Returns a line for each page that
    could not be written: a page changes no exit code. Nothing is written, and nothing said, where
    the packages are missing or the variable WAYBILL_REPORT is ``no``."""
    wanted = os.environ.get(VARIABLE, "").lower() not in ("no", "false", "0")
    if not wanted or not transfers or _missing():
        return []
    paths = [os.fspath(installed.tree()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    given = json.dumps({name: transfer.for_jobs() for name, transfer in transfers.items()})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "waybill.report"],
            input=given,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"the report pages were given up after {TIMEOUT_SECONDS} seconds"]
    except OSError as error:
        return [f"the report pages were not written: {error.strerror}"]
    lines = done.stderr.splitlines()
    told = [line for line in lines if line.startswith(PREFIX)]
    if done.returncode and not told:
        last = lines[-1] if lines else f"ended with {done.returncode}"
        return [f"the report pages were not written: {last}"]
    return [line.removeprefix(PREFIX) for line in told]


PREFIX = "page: "  # of the lines of the process for its parent
