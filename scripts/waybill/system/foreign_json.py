"""JSON that others wrote: from a bucket, or from a file that somebody may have edited."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(data: bytes | str) -> Any:
    """The value that ``data`` (UTF-8, UTF-16 or UTF-32) holds.

    Raises ValueError, with what is wrong, for text that is no JSON, for JSON that is nested too
    deeply, for NaN and Infinity, and for numbers that are too large for a float (1e999).
    """
    try:
        return json.loads(data, parse_constant=_no_number, parse_float=_number)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: line {error.lineno}: {error.msg}") from None


def whole(value: Any) -> int:
    """``value``, a whole number that is not negative, such as a size in bytes. Raises ValueError
    for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("is no size")
    return value


def text(value: Any) -> str:
    """``value``, a text. Raises ValueError for anything else, and for a lone surrogate."""
    if not isinstance(value, str):
        raise ValueError("is no text")
    value.encode()
    return value


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"holds a number that is too large: {digits:.20}")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"holds {name}, which is no number")
