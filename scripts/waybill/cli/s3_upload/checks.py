"""What is allowed in the configuration of a monitor, and how it is used."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waybill.config.check import KeyPath, kind, nearest, show
from waybill.config.notify import check_address, is_variable
from waybill.model.locations import check_blanks, check_bucket, local_path

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(slots=True)
class Checker:
    """Gathers mistakes. ``expands`` tells whether ``~`` and variables count in a folder."""

    expands: bool
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)

    def problem(self, where: KeyPath, text: str) -> None:
        """Note one mistake."""
        self.problems.append((where, text))

    def text(self, where: KeyPath, value: Any, allowed: str) -> str | None:
        """A text that is not empty."""
        if isinstance(value, str) and value.strip():
            return value
        found = kind(value) if value != "" else "nothing"
        self.problem(where, f"found {found}; allowed: {allowed}")
        return None

    def use(self, where: KeyPath, parse: Callable[[str], Any], text: str | None) -> Any:
        """What ``parse`` makes of ``text``, or None when it raises ValueError."""
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.problem(where, str(error))
            return None

    def items(self, where: KeyPath, value: Any, allowed: str, one: Check) -> tuple[Any, ...] | None:
        """A list, each item as ``one`` makes of it."""
        if not isinstance(value, list):
            self.problem(where, f"found {kind(value)}; allowed: {allowed}")
            return None
        found = [one(self, (*where, number), item) for number, item in enumerate(value)]
        return tuple(dict.fromkeys(item for item in found if item is not None))


# What makes the used form of the value at a place; None, with a problem noted, when it cannot be.
Check = Callable[[Checker, KeyPath, Any], Any]


def whole(least: int, most: int | None = None) -> Check:
    """A whole number within these limits, both included."""

    def check(checker: Checker, where: KeyPath, value: Any) -> int | None:
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        if isinstance(value, bool) or not isinstance(value, int):
            checker.problem(where, f"found {kind(value)}; allowed: a whole number, {limits}")
        elif value < least or (most is not None and value > most):
            checker.problem(where, f"{value} is not allowed; allowed: a whole number, {limits}")
        else:
            return value
        return None

    return check


def number(checker: Checker, where: KeyPath, value: Any) -> float | None:
    """A number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        checker.problem(where, f"found {kind(value)}; allowed: a number, at least 0")
    elif value < 0:
        checker.problem(where, f"{value} is not allowed; allowed: a number, at least 0")
    else:
        return value
    return None


def log_level(checker: Checker, where: KeyPath, value: Any) -> int | None:
    """A level of the module logging, by its name in any case or by its number."""
    allowed = f"{', '.join(map(show, _LEVELS))}, or a whole number from 0 to 50"
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= 50:
            return value
        checker.problem(where, f"{value} is not allowed; allowed: {allowed}")
    elif text := checker.text(where, value, allowed):
        level = logging.getLevelNamesMapping().get(text.upper())
        if level is not None:
            return level
        near = nearest(text, _LEVELS)
        hint = f' did you mean "{near}"?' if near else ""
        checker.problem(where, f"{show(text)} is not allowed;{hint} allowed: {allowed}")
    return None


def folder(checker: Checker, where: KeyPath, value: Any) -> Path | None:
    """A folder, made absolute."""
    text = checker.text(where, value, "a folder")
    return checker.use(where, _expanded if checker.expands else _literal, text)


def _expanded(text: str) -> Path:
    return local_path(text).absolute()


def _literal(text: str) -> Path:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("the path holds a control character")
    check_blanks(text)
    return Path(text).absolute()


def folders(checker: Checker, where: KeyPath, value: Any) -> tuple[Path, ...] | None:
    """Folders, at least one."""
    if value == []:
        checker.problem(where, "found an empty list; allowed: a list of folders, not empty")
        return None
    return checker.items(where, value, "a list of folders", folder)


def bucket(checker: Checker, where: KeyPath, value: Any) -> str | None:
    """The name of a bucket."""

    def check(name: str) -> str:
        check_bucket(name)
        return name

    return checker.use(where, check, checker.text(where, value, "the name of a bucket"))


def prefix(checker: Checker, where: KeyPath, value: Any) -> str | None:
    """A path in the bucket as a key prefix, ``""`` or ending in ``/``."""
    text = checker.text(where, value, 'a path in the bucket; "/" is its top')
    return checker.use(where, _prefix, text)


def _prefix(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("the path holds a control character")
    check_blanks(text)
    if text.startswith("s3://"):
        raise ValueError('is an address; write the bucket into "bucket" and its path here')
    path = text.strip("/")
    if {"", ".", ".."} & set(path.split("/")) and path:
        raise ValueError('has "//", "." or ".." in it, which S3 takes literally')
    return f"{path}/" if path else ""


def regex(checker: Checker, where: KeyPath, value: Any) -> str | None:
    """A regular expression; an empty text is none, as for s3_upload."""
    if value == "":
        return None
    text = checker.text(where, value, "a regular expression")
    return checker.use(where, _regex, text)


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{show(text)} is not a regular expression: {error}") from None
    return text


def regexes(checker: Checker, where: KeyPath, value: Any) -> tuple[str, ...] | None:
    """Regular expressions. An empty one is found in every path, so it is a mistake."""

    def one(checker: Checker, where: KeyPath, value: Any) -> str | None:
        return checker.use(where, _regex, checker.text(where, value, "a regular expression"))

    return checker.items(where, value, "a list of regular expressions", one)


def names(checker: Checker, where: KeyPath, value: Any) -> tuple[str, ...] | None:
    """Files of a run, relative to it."""

    def check(name: str) -> str:
        if {"", ".", ".."} & set(name.split("/")) or "\0" in name:
            raise ValueError("is not the path of a file within a run")
        return name

    def one(checker: Checker, where: KeyPath, value: Any) -> str | None:
        return checker.use(where, check, checker.text(where, value, "the name of a file"))

    return checker.items(where, value, "a list of names of files", one)


def webhook(checker: Checker, where: KeyPath, value: Any) -> str | None:
    """The address of a web hook, or a variable that holds it; never shown. Empty is none."""

    def check(text: str) -> str:
        if not is_variable(text):
            check_address(text)
        return text

    if value == "":
        return None
    text = checker.text(where, value, "a http:// or https:// address (value not shown)")
    return checker.use(where, check, text)
