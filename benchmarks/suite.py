"""Where the CPU time of the test suite goes: a plugin of pytest, for the root of the repository.

    python -m pytest -p benchmarks.suite -n 2 tests/workflow

The end of pytest's summary then has the CPU seconds of the folders, the files and the costliest
tests, and ``--cpu-table FILE`` writes a line for each test: seconds, its name. A second is counted
for the test during which a process of pytest, or one that it has started, used it; so a server that
several tests share counts for the one that it works for. What is killed together with its parent
is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

COSTLIEST = 40
PROPERTY = "cpu_seconds"
BEGUN = pytest.StashKey[float]()
SPENT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-table", type=Path, help="write the CPU seconds of all tests here")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SPENT] = Counter()


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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        _spent[report.nodeid] += dict(report.user_properties).get(PROPERTY, 0.0)


_spent: Counter[str] = Counter()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    folders: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for name, seconds in _spent.items():
        file = name.partition("::")[0]
        files[file] += seconds
        folders[str(Path(*Path(file).parts[:2]))] += seconds
    write = terminalreporter.write_line
    for title, counts in (
        ("folders", folders),
        ("files", files),
        ("costliest tests", Counter(dict(_spent.most_common(COSTLIEST)))),
    ):
        terminalreporter.write_sep("=", f"CPU seconds: {title}")
        for name, seconds in counts.most_common():
            write(f"{seconds:8.1f}  {name}")
    write(f"{_spent.total():8.1f}  all {len(_spent)} tests")
    table = config.getoption("cpu_table")
    if table is not None:
        lines = [f"{seconds:.2f}\t{name}\n" for name, seconds in _spent.most_common()]
        table.write_text("".join(lines), encoding="utf-8")
