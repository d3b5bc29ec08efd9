"""docs/architecture.md says of rooms, functions, paths and columns what the code says."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import waybill
from waybill.config.read import load
from waybill.notify import state as notify_state
from waybill.results import (
    batch_tables,
    failures,
    history,
    jobs,
    journal,
    manifest,
    marker,
    published,
    run_progress,
    state,
)
from waybill.results.journal import Journal, OpenDownload, OpenUpload
from waybill.results.layout import Layout
from waybill.results.marker import Proof
from waybill.verify import layout as verify_layout
from waybill.verify.layout import Verified, VerifyLayout

PACKAGE = Path(waybill.__file__).parent
ROOT = PACKAGE.parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
TOP = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}

PROOF = Proof("a", "k", 1, 2, "ab", "e", "", "2026-01-02T03:04:05.000Z")


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def named(text: str) -> list[str]:
    """What stands in backticks, without the blocks of code."""
    return re.findall("`([^`\n]+)`", re.sub("```.*?```", "", text, flags=re.DOTALL))


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def exists(name: str) -> bool:
    """Whether ``room.module.thing`` is there."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(["waybill", *parts[:count]]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if part not in getattr(found, "__dataclass_fields__", ()) and not hasattr(found, part):
                return False
            found = getattr(found, part, None)
        return True
    return False


# Rooms


def test_every_folder_stands_among_the_rooms_with_its_docstring() -> None:
    told = {named(room)[0]: sentence for room, sentence in rows("Rooms")}
    there = {}
    for init in PACKAGE.rglob("__init__.py"):
        if init.parent != PACKAGE:
            text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
            first = " ".join(text.split("\n\n")[0].split()).replace("``", "`")
            there[f"{init.parent.relative_to(PACKAGE).as_posix()}/"] = first
    assert told == there


def test_the_direction_of_imports_names_every_room() -> None:
    (line,) = [line for line in section("Rooms").splitlines() if "→" in line]
    told = re.findall("[a-z0-9]+", line)
    assert sorted(told) == sorted(TOP - {"demo"})
    # The linter of imports holds the rooms to the same order.
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    for contract in tools.get("importlinter", {}).get("contracts", ()):
        if contract["type"] == "layers":
            assert [room for room in contract["layers"] if room in TOP] == told


# Functions and files that are named


def test_what_the_page_names_exists() -> None:
    names = [n for n in named(PAGE) if re.fullmatch(r"[a-z0-9_]+(\.\w+)*", n)]
    names = [n for n in names if n.split(".")[0] in TOP and ("." in n or n in TOP)]
    # Files of the results have names with a dot, too.
    names = [n for n in names if not n.endswith((".json", ".tsv", ".md"))]
    assert len(names) > 100
    assert [name for name in names if not exists(name)] == []


def test_the_files_the_page_names_exist() -> None:
    folders = ("docs/", "scripts/", "tests/", "workflow/")
    files = [name for name in named(PAGE) if name.startswith(folders)]
    assert len(files) > 10
    assert [name for name in files if not (ROOT / name).exists()] == []


def docstrings(path: Path) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    return [text for text in found if text]


def test_docstrings_name_modules_that_exist() -> None:
    gone = []
    for path in modules():
        for text in docstrings(path):
            for name in re.findall(r"``(?:waybill\.)?([a-z0-9_]+\.[\w.]+)``", text):
                if name.endswith(".py") or (
                    name.split(".")[0] in TOP
                    and not name.endswith((".toml", ".ini", ".json", ".tsv"))
                    and not exists(name)
                ):
                    gone.append(f"{path.relative_to(PACKAGE)}: {name}")
    assert gone == []


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "Makefile", *(f"docs/{p.name}" for p in
    sorted((ROOT / "docs").glob("*.md")))]
)  # fmt: skip
def test_pages_name_modules_that_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    modules = re.findall(r"python3? -m waybill(?:\.([\w.]+))?", text)
    assert [name for name in modules if name and not exists(name.rstrip("."))] == []


# Files under results/{transfer}


def results() -> dict[str, list[str]]:
    """The rows of the table of files, by the path in the first cell."""
    found = {named(cells[0])[0]: cells for cells in rows("Files under results/{transfer}")}
    assert len(found) == len(rows("Files under results/{transfer}"))
    return found


def paths(layout: Layout) -> dict[str, str]:
    """The path below ``results/{transfer}`` that each path method of a layout gives."""
    found = {}
    for name, member in inspect.getmembers(type(layout)):
        function = member.fget if isinstance(member, property) else member
        if not inspect.isfunction(function) or function.__annotations__.get("return") != "Path":
            continue
        wanted = [p for p in inspect.signature(function).parameters if p != "self"]
        if set(wanted) <= {"dataset", "batch"}:
            value = function(layout, **{p: f"{{{p}}}" for p in wanted})
            found[name] = value.relative_to(layout.root).as_posix()
    return found


LAYOUT = Layout(Path("results/t"))
VERIFY = VerifyLayout(LAYOUT.root, "{run}")
RECORD = {"stage": "{stage}", "dataset": "{dataset}", "batch": "{batch}"}
# The paths that no method of a layout gives as they stand in the table.
OTHERS = {
    failures.record_path(LAYOUT, **RECORD).relative_to(LAYOUT.root).as_posix(),
    failures.record_path(VERIFY, **RECORD).relative_to(LAYOUT.root).as_posix(),
    f"progress/{jobs.Job(**RECORD).name}",
    notify_state.NAME,
    LAYOUT.chart("{chart}").relative_to(LAYOUT.root).as_posix(),
    ".door.lock",
    LAYOUT.file_checksum("{dataset}", "{path}").relative_to(LAYOUT.root).as_posix(),
}


def test_every_path_of_a_layout_stands_in_the_table() -> None:
    table = results()
    ours, theirs = paths(LAYOUT), paths(VERIFY)
    assert len(ours) >= 24
    assert len(theirs) >= 32
    given = {*ours.values(), *theirs.values()}
    folders = {parent.as_posix() for name in table for parent in (Path(name) / "_").parents}
    assert given - folders == set()
    logs = {n for n, cells in table.items() if cells[4] == "log" and n.rstrip("/") not in given}
    assert {name for name in table if name.rstrip("/") not in given} == OTHERS | logs


def rule_files(keyword: str) -> set[str]:
    """The files below ``results/{transfer}`` in one section (``output``, ``log``) of all rules."""
    found = set()
    for rules in (ROOT / "workflow" / "rules").glob("*.smk"):
        blocks = re.findall(
            rf"^    {keyword}:\n((?:        .*\n|\n)+)", rules.read_text(encoding="utf-8"), re.M
        )
        for block in blocks:
            found.update(re.findall(r'"\{results\}/\{transfer\}/([^"]+)"', block))
    return found


def test_the_table_tells_what_snakemake_knows() -> None:
    outputs, logs = rule_files("output"), rule_files("log")
    assert len(outputs) > 10
    assert len(logs) > 10
    kinds = {name: cells[4].partition(",")[0] for name, cells in results().items()}
    for name, kind in kinds.items():
        within = {o for o in outputs if name == o or name.startswith(f"{o}/")}
        assert kind == ("yes" if within else "log" if name.endswith("logs/") else "no"), name
        outputs -= {o for o in within if name == o}
    folders = {o for o in outputs if any(name.startswith(f"{o}/") for name in kinds)}
    assert outputs == folders
    for log in logs:
        assert any(kind == "log" and log.startswith(name) for name, kind in kinds.items()), log


def members(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


COLUMNS = {
    LAYOUT.local: batch_tables.LOCAL_COLUMNS,
    LAYOUT.remote: batch_tables.REMOTE_COLUMNS,
    LAYOUT.aside: batch_tables.ASIDE_COLUMNS,
    LAYOUT.diff: batch_tables.DIFF_COLUMNS,
    LAYOUT.plan: batch_tables.PLAN_COLUMNS,
    LAYOUT.summary: batch_tables.SUMMARY_COLUMNS,
    LAYOUT.marker: marker.COLUMNS,
    LAYOUT.cache: batch_tables.CACHE_COLUMNS,
    LAYOUT.state: members(state.State),
    LAYOUT.history: members(history.Ended),
    LAYOUT.run_progress: members(run_progress.RunProgress),
    LAYOUT.job_log: tuple(name for name in members(jobs.Job) if name != "large"),
    LAYOUT.root / notify_state.NAME: members(notify_state.State),
    failures.record_path(LAYOUT, **RECORD): failures.COLUMNS,
    failures.record_path(VERIFY, **RECORD): failures.COLUMNS,
    VERIFY.decided: verify_layout.REPORT_COLUMNS,
    VERIFY.report: verify_layout.REPORT_COLUMNS,
    VERIFY.checked: verify_layout.REPORT_COLUMNS,
    VERIFY.look: verify_layout.LOOK_COLUMNS,
    VERIFY.verified: members(Verified),
}


def told_columns(path: Path) -> str:
    (columns,) = named(results()[path.relative_to(LAYOUT.root).as_posix()][1])
    return columns


def of(place: Any) -> Path:
    """The path a layout's method gives for the placeholders it asks for."""
    if isinstance(place, Path):
        return place
    return place(*(f"{{{name}}}" for name in inspect.signature(place).parameters))


def test_the_columns_are_those_of_the_code() -> None:
    for place, columns in COLUMNS.items():
        assert told_columns(of(place)) == " ".join(columns), of(place)


def test_the_records_of_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    with Journal(path, "run") as open_journal:
        open_journal.done(PROOF)
        open_journal.upload(OpenUpload("a", "1", 1, "ab", 1, "k"))
        open_journal.part("1", 1, "e", "ab")
        open_journal.closed("1")
        open_journal.download(OpenDownload("a", "2", "e", 1, 1))
        open_journal.range("2", 1)
    journal.mark_listing(path, "run")
    lines = path.read_text(encoding="utf-8").split("\n")
    kinds = [next(iter(json.loads(line))) for line in lines if line]
    assert told_columns(of(LAYOUT.journal)) == " ".join(kinds)
    methods = {name for name, _ in inspect.getmembers(Journal, inspect.isfunction)}
    assert {name for name in methods if name[0] != "_"} - {"together"} == set(kinds) - {"listing"}


def test_the_members_of_a_manifest(tmp_path: Path) -> None:
    toml = tmp_path / "c.toml"
    toml.write_text(f'[transfers.t]\nsource = "{tmp_path}"\ndestination = "s3://bucket/p"\n')
    now = datetime(2026, 1, 2, tzinfo=UTC)
    data = b"".join(manifest.manifest(load(toml)["t"], "d", [PROOF], now))
    assert told_columns(of(LAYOUT.manifest)) == " ".join(json.loads(data))


def test_the_members_of_a_publication(tmp_path: Path) -> None:
    told = told_columns(of(LAYOUT.publication)).split()
    record = tmp_path / "d.json"
    record.write_text(json.dumps(dict.fromkeys(told, "text")))
    assert published.read_record(record)
    assert named((published.read_record.__doc__ or "").replace("``", "`")) == told


# How the modules that write and read a file name it, where it is not by its method of the layout.
SIGNS = {
    of(LAYOUT.local): "read_local",
    of(LAYOUT.remote): "read_remote",
    of(LAYOUT.state): r"state\.(read|write)",
    of(LAYOUT.manifest): r"/ \"manifests\"|\"manifests/",
    of(LAYOUT.marker): r"/ \"markers\"",
    of(LAYOUT.kept_marker): r"/ \"journal\"",
    of(LAYOUT.journal): r"\.journals\(",
    of(LAYOUT.cache): r"read_cache",
    of(LAYOUT.history): r"history\.(append|read)",
    of(LAYOUT.seals): r"seals_of\(|seals\.check",
    of(LAYOUT.seals_of_all): r"seals_of\(|seals\.check",
    LAYOUT.run_progress: r"run_progress\.(read|write|look|fold)",
    of(LAYOUT.job_log): r"jobs\.(append|ended)",
    LAYOUT.progress / jobs.Job(**RECORD).name: r"jobs\.(write_progress|in_progress)",
    LAYOUT.root / notify_state.NAME: r"state\.(read|write)\(",
    LAYOUT.chart("{chart}"): r"\.chart\(",
    LAYOUT.root / ".door.lock": r"\.door\.lock",
    LAYOUT.file_checksum("{dataset}", "{path}"): r"\.file_checksum\(",
    LAYOUT.root / "resting/{dataset}": r"\.set_aside",
    LAYOUT.root / "logs": r"\.logs?\b",
    LAYOUT.root / "verify/{run}/logs": r"\.log\b",
    failures.record_path(LAYOUT, **RECORD): r"failures\.(read|write)|failure_record",
    failures.record_path(VERIFY, **RECORD): r"failures\.(read|write)",
    of(VERIFY.checked): r"\.checked",
    VERIFY.verified: r"(read|write)_state",
}


@pytest.mark.parametrize("name", results())
def test_the_modules_that_write_and_read_a_file_name_it(name: str) -> None:
    path = LAYOUT.root / name.rstrip("/")
    by_path = {p: m for m, p in {**paths(LAYOUT), **paths(VERIFY)}.items()}
    signs = [SIGNS[path]] if path in SIGNS else []
    if method := by_path.get(name.rstrip("/")):
        signs.append(rf"\.{method}\b")
    assert signs, "say in SIGNS how modules name it"
    _, _, written, read, _ = results()[name]
    assert named(written)
    for module in (*named(written), *named(read)):
        text = (PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert any(re.search(sign, text) for sign in signs), f"{module} does not name {name}"
