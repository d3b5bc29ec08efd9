"""Tables: tab-separated, UTF-8, one header line, names escaped, written whole or not at all.

A value never holds a raw tab, newline or carriage return. They are written as ``\\t``, ``\\n`` and
``\\r``, and a backslash as ``\\\\``. A byte that is not UTF-8 is ``\\xNN`` with NN from 80 on.
Other control characters are ``\\xNN`` with NN below 80, or ``\\uNNNN``. Characters with which a
terminal breaks a line or changes the direction of text are ``\\uNNNN``, too. Read such a table with
``pandas.read_csv(..., sep="\\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from waybill.model.errors import DamagedError

_T = TypeVar("_T")


def rows(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """The rows of a table, as lists of raw (still escaped) strings in the order of ``columns``.

    Raises DamagedError, which names file and line, when the header is not ``columns``, a row has
    another width or no end, or the bytes are no UTF-8.
    """
    return read(path, columns, lambda row: row)


def read(
    path: Path, columns: Sequence[str], make: Callable[[list[str]], _T], *, added: int = 0
) -> Iterator[_T]:
    """What ``make`` returns for each row of a table. The rows are those of ``rows``, and so are the
    errors. A row for which ``make`` raises ValueError is damaged, too. The last ``added`` columns
    may be missing, as in a table of an earlier version; the rows are shorter then."""
    number = 1
    widths = {
        "\t".join(columns[:width]) + "\n": width
        for width in range(len(columns) - added, len(columns) + 1)
    }
    with path.open(encoding="utf-8", newline="\n") as file:
        try:
            width = widths.get(file.readline(), 0)
            if not width:
                raise DamagedError(path, "not a table of this version")
            for line in file:
                number += 1
                row = line.rstrip("\n").split("\t")
                if len(row) != width or line[-1] != "\n":
                    raise DamagedError(path, "a row is cut or too long", line=number)
                yield make(row)
        except UnicodeDecodeError:
            raise DamagedError(path, "its bytes are not UTF-8") from None
        except ValueError as error:
            raise DamagedError(path, str(error), line=number) from None


def render(columns: Sequence[str], lines: Iterable[str]) -> bytes:
    """The bytes of a table from its header and its ready-made row lines."""
    return ("\t".join(columns) + "\n" + "".join(f"{line}\n" for line in lines)).encode()
