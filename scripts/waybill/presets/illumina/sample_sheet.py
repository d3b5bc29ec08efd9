"""Sample sheets: which samples a run has.

A sheet is CSV in sections, each under a line ``[Name]``. Samples are in ``[Data]`` (version 1,
Illumina Experiment Manager) and ``[BCLConvert_Data]`` (version 2, ``FileFormatVersion,2``). Where
neither has any, they are in the sections of other programs whose names end in ``Data`` and whose
first row has the column, such as ``[TSO500L_Data]``. A file without any section is a table of
samples as a whole. A sample may have a row for each lane.

The column is ``Sample_ID``, at any position. Only where there is none of exactly this name, it may
be spelled in other letters (``sample_id``, ``Sample ID``) or be ``SampleID``, as older software and
many LIMS have it.

Illumina asks for ASCII. Real sheets are also UTF-8 with and without byte order mark, UTF-16,
Latin-1, and files of Excel: with quotes, lines filled up with commas, semicolons or tabs in the
place of commas, empty lines, any line end. Some programs write cells of zero bytes; those bytes
are left out.
"""

from __future__ import annotations

import codecs
import contextlib
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
_DELIMITERS = ",;\t"  # the first one that gives samples counts

# Zero bytes in a row that a cell may have. More of them, or some at the end, are the blocks of a
# file that was not written to its end, so samples may be missing.
_ZEROS = 64


class SheetError(ValueError):
    """The samples are not known; the message names the sheet and says why."""


class _UnreadError(SheetError):
    """Another delimiter may give the samples."""


class _Row(NamedTuple):
    """``width`` counts the empty cells at the end, too."""

    line: int
    cells: tuple[str, ...]
    width: int


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
    text = _decode(data)
    unread: list[_UnreadError] = []
    for delimiter in _DELIMITERS:
        try:
            return _parsed(_rows(text, delimiter), needs_delimiter=bool(unread))
        except _UnreadError as error:
            unread.append(error)
    raise unread[0]


def _parsed(rows: list[_Row], *, needs_delimiter: bool) -> Sheet:
    """The sheet. With ``needs_delimiter`` the first row of each table must have the delimiter."""
    found = [
        sample
        for table in _tables(rows)
        for sample in _samples(table, needs_delimiter=needs_delimiter)
    ]
    return Sheet(tuple(dict.fromkeys(found)), tuple(row.cells for row in rows))


def _tables(rows: list[_Row]) -> list[list[_Row]]:
    """The tables that hold samples, each with its head first."""
    sections: dict[str, list[_Row]] = {}
    twice: dict[str, _Row] = {}
    current: list[_Row] = []
    for row in rows:
        match = _SECTION.fullmatch(row.cells[0])
        if match is None:
            current.append(row)
            continue
        name = match[1].strip().lower()
        if name in sections:
            twice.setdefault(name, row)
        current = sections.setdefault(name, [])
    if not sections:
        return [current]
    own = [name for name in _DATA if name in sections]
    others = [
        name
        for name, table in sections.items()
        if name.endswith("data") and name not in own and table and "sample_id" in _columns(table[0])
    ]
    names = [name for name in own if len(sections[name]) > 1]
    names = names or [name for name in others if len(sections[name]) > 1] or own or others
    if not names:
        raise _UnreadError("has no section [Data] or [BCLConvert_Data]")
    for name in names:
        if name in twice:
            row = twice[name]
            raise SheetError(f"has {row.cells[0]} a second time in line {row.line}")
    return [sections[name] for name in names]


def _decode(data: bytes) -> str:
    if data.startswith(b"PK\3\4"):
        raise SheetError("is a workbook, not text; save it as CSV")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").replace("\0", "")
        except UnicodeDecodeError:
            raise SheetError("begins like UTF-16 but is not; save it as UTF-8") from None
    for encoding, high, low in (("utf-16-be", 0, 1), ("utf-16-le", 1, 0)):
        zeros = data[high::2].count(0), data[low::2].count(0)
        if len(data) % 2 == 0 and zeros[0] > 0.8 * len(data) / 2 and not zeros[1]:
            with contextlib.suppress(UnicodeDecodeError):
                return data.decode(encoding)
    data = _without_zeros(data)
    data = data.replace(codecs.BOM_UTF8, b"")  # it may stand inside, where files were joined
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _without_zeros(data: bytes) -> bytes:
    """The text without the zero bytes in its cells, and without one after its last line."""
    if data.endswith((b"\n\0", b"\r\0")):
        data = data[:-1]
    if b"\0" * (_ZEROS + 1) in data or data.endswith(b"\0"):
        text = "holds a block of zero bytes, as a file that was not written to its end"
        raise SheetError(f"{text}; copy it again")
    return data.replace(b"\0", b"")


def _rows(text: str, delimiter: str) -> list[_Row]:
    """The rows that are not empty, without blanks around cells and empty cells at the end."""
    found = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                found.append(_Row(reader.line_num, tuple(cells), len(row)))
    except csv.Error as error:
        raise _UnreadError(f"line {reader.line_num}: {error}; mind the quotes") from None
    return found


def _columns(head: _Row) -> list[str]:
    """The names of the columns; that of the samples is ``sample_id``, however it is spelled."""
    spellings = (
        lambda cell: cell == "Sample_ID",
        lambda cell: cell.lower().replace(" ", "_") == "sample_id",
        lambda cell: cell.lower() == "sampleid",
    )
    for is_spelled in spellings:
        if any(map(is_spelled, head.cells)):
            return ["sample_id" if is_spelled(cell) else "" for cell in head.cells]
    return []


def _samples(table: list[_Row], *, needs_delimiter: bool) -> list[str]:
    if not table:
        raise SheetError("has no samples: its data section is empty")
    header, *rows = table
    columns = _columns(header)
    if "sample_id" not in columns or (needs_delimiter and header.width == 1):
        raise _UnreadError(f"line {header.line}: has no column Sample_ID")
    if columns.count("sample_id") > 1:
        raise SheetError(f"line {header.line}: has two columns Sample_ID")
    if not rows:
        raise SheetError(f"line {header.line}: no samples follow")
    column = columns.index("sample_id")
    found = []
    for row in rows:
        if len(row.cells) <= column or not row.cells[column]:
            raise SheetError(f"line {row.line}: has no Sample_ID")
        found.append(row.cells[column])
    return found
