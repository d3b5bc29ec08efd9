"""Where the CPU time of the test suite goes: a plugin of pytest, used at the root of the clone.

    python -m pytest -p benchmarks.suite -n 2 tests/workflow

The end of the summary has the CPU seconds of the folders, the files and the costliest tests;
`--cpu-table FILE` writes a line for each test, its seconds and its name. Seconds count for the test
in which a process of pytest, or one that it has started, used them: those of a server that several
tests share for the one it works for. What is killed together with its parent is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

COSTLIEST = 40
PROPERTY = "cpu_seconds"  # of a report
BEGUN = pytest.StashKey[float]()
SPENT: Counter[str] = Counter()  # by test


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-table", type=Path, help="write the CPU seconds of all tests here")


def cpu() -> float:
    """CPU seconds of this process, of what it has started, and of what those have waited for."""
    this = psutil.Process()
    total = 0.0
    for process in (this, *this.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[BEGUN] = cpu()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    finally:
        item.user_properties.append((PROPERTY, cpu() - item.stash[BEGUN]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        SPENT[report.nodeid] += dict(report.user_properties).get(PROPERTY, 0.0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    folders: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for name, seconds in SPENT.items():
        file = Path(name.partition("::")[0])
        files[str(file)] += seconds
        folders["/".join(file.parts[:2])] += seconds
    tests = dict(SPENT.most_common(COSTLIEST))
    for title, counts in (("folders", folders), ("files", files), ("tests", Counter(tests))):
        terminalreporter.write_sep("=", f"CPU seconds of {title}")
        for name, seconds in counts.most_common():
            terminalreporter.write_line(f"{seconds:8.1f}  {name}")
    terminalreporter.write_line(f"{SPENT.total():8.1f}  all {len(SPENT)} tests")
    table = config.getoption("cpu_table")
    if table is not None:
        lines = [f"{seconds:.2f}\t{name}\n" for name, seconds in SPENT.most_common()]
        table.write_text("".join(lines), encoding="utf-8")
