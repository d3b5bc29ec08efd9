"""Sample sheets: which samples a run has.

A sheet is CSV in sections, each under a line ``[Name]``. Samples are in ``[Data]`` (version 1,
Illumina Experiment Manager) or ``[BCLConvert_Data]`` (version 2, ``FileFormatVersion,2``), in the
column ``Sample_ID`` at any position. Samples in other sections do not count. A file without any
section is a table of samples as a whole. A sample may have a row for each lane.

Illumina asks for ASCII. Real sheets are also UTF-8 with and without byte order mark, Latin-1, and
files of Excel: with quotes, lines filled up with commas, empty lines, any line end.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from pathlib import Path
from typing import NamedTuple

MAX_BYTES = 32 << 20  # a sheet of 10,000 samples has about one MiB

_NAME = re.compile(r"sample[-_ ]?sheet.*\.csv\Z", re.IGNORECASE | re.DOTALL)
_SECTION = re.compile(r"\[(.*)\]")
_DATA = ("bclconvert_data", "data")


class SheetError(ValueError):
    """The samples are not known; the message names the sheet and says why."""


class _Row(NamedTuple):
    line: int
    cells: tuple[str, ...]


class Sheet(NamedTuple):
    """``samples`` are unique and in their order; ``content`` are the cells of all rows."""

    samples: tuple[str, ...]
    content: tuple[tuple[str, ...], ...]


def is_name(name: str) -> bool:
    """Whether a file of this name is a sample sheet: the rule of s3_upload, but a name that begins
    with a dot is not one."""
    return not name.startswith(".") and _NAME.search(name) is not None


def find(run: Path) -> list[Path]:
    """The sample sheets at the top of a run, sorted. Raises OSError."""
    with os.scandir(run) as scan:
        return sorted(run / item.name for item in scan if is_name(item.name) and item.is_file())


def samples(run: Path) -> tuple[str, ...]:
    """The samples of a run; ``()`` when it has no sample sheet.

    Several sheets must have the same content; line ends, quotes, padding and encoding may differ. A
    NovaSeq keeps the sheet it was given beside its own. Raises SheetError.
    """
    try:
        paths = find(run)
    except OSError as error:
        raise SheetError(f"{run}: cannot be listed: {error.strerror or error}") from None
    sheets = [_read(path) for path in paths]
    if not sheets:
        return ()
    for path, sheet in zip(paths[1:], sheets[1:], strict=True):
        if sheet.content != sheets[0].content:
            raise SheetError(
                f"{run}: {paths[0].name} and {path.name} do not say the same; keep the right one"
            )
    return sheets[0].samples


def _read(path: Path) -> Sheet:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise SheetError(f"has more than {MAX_BYTES >> 20} MiB, so it is no sample sheet")
        return parse(data)
    except OSError as error:
        raise SheetError(f"{path}: cannot be read: {error.strerror or error}") from None
    except SheetError as error:
        raise SheetError(f"{path}: {error}") from None


def parse(data: bytes) -> Sheet:
    """A sample sheet. Raises SheetError, which does not name the file."""
    rows = _rows(_decode(data))
    sections: dict[str, list[_Row]] = {}
    current: list[_Row] = []
    for row in rows:
        match = _SECTION.fullmatch(row.cells[0]) if len(row.cells) == 1 else None
        if match is None:
            current.append(row)
            continue
        name = match[1].strip().lower()
        if name in sections and name in _DATA:
            raise SheetError(f"has {row.cells[0]} a second time in line {row.line}")
        current = sections.setdefault(name, [])
    tables = [sections[name] for name in _DATA if name in sections]
    if not sections:
        tables = [current]
    elif not tables:
        raise SheetError("has no section [Data] or [BCLConvert_Data]")
    found = [sample for table in tables for sample in _samples(table)]
    return Sheet(tuple(dict.fromkeys(found)), tuple(row.cells for row in rows))


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise SheetError("begins like UTF-16 but is not; save it as UTF-8") from None
    if b"\0" in data:
        raise SheetError("holds zero bytes, so it is not text")
    data = data.replace(codecs.BOM_UTF8, b"")  # it may stand inside, where files were joined
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _rows(text: str) -> list[_Row]:
    """The rows that are not empty, without blanks around cells and empty cells at the end."""
    found = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                found.append(_Row(reader.line_num, tuple(cells)))
    except csv.Error as error:
        raise SheetError(f"line {reader.line_num}: {error}; mind the quotes") from None
    return found


def _samples(table: list[_Row]) -> list[str]:
    if not table:
        raise SheetError("has no samples: its data section is empty")
    header, *rows = table
    columns = [cell.lower().replace(" ", "_") for cell in header.cells]
    if columns.count("sample_id") != 1:
        how = "two columns" if "sample_id" in columns else "no column"
        raise SheetError(f"line {header.line}: has {how} Sample_ID")
    if not rows:
        raise SheetError(f"line {header.line}: no samples follow")
    column = columns.index("sample_id")
    found = []
    for row in rows:
        if len(row.cells) <= column or not row.cells[column]:
            raise SheetError(f"line {row.line}: has no Sample_ID")
        found.append(row.cells[column])
    return found
