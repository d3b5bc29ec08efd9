"""Which files of a dataset are taken: include and exclude patterns.

A pattern is compared with the path of a file relative to its dataset, ``/`` between folders:

=============  ==================================================================
pattern        meaning
=============  ==================================================================
``*`` ``?``    any characters, one character; neither crosses a ``/``
``**``         any characters, over any number of folders
``[ab]``       one of these; ``[!ab]`` none of these; ``[*]`` a plain ``*``
``name``       no ``/``: this file name, in any folder
``/name``      at the top of the dataset only
``a/b``        any ``/`` inside: the whole path, from the top of the dataset
``name/``      a folder and everything below it, in any folder
=============  ==================================================================

An exclude pattern that matches a folder leaves out everything below it, so that a walk need not
enter it. Case matters; names that start with a dot are like others; a backslash is itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from waybill.model.regexes import searcher

MOST_GAPS = 2  # ``**`` in a pattern that is searched without a limit of time

_EVERYTHING = frozenset({"**", "*", "**/*", "/**", "/**/*"})


class Selection:
    """Decides by path alone which files belong to a transfer.

    ``include`` and ``exclude`` are patterns as described in this module; ``regexes`` are regular
    expressions that leave out a file when they are found in its path with a ``/`` in front.
    Raises ValueError, naming the pattern, when one of ``include`` and ``exclude`` is invalid. The
    methods raise SlowRegexError when one takes too long.
    """

    __slots__ = ("_excluded", "_excluded_folder", "_included", "_regexes", "exclude", "include")

    def __init__(
        self,
        include: Sequence[str] = ("**",),
        exclude: Sequence[str] = (),
        regexes: Sequence[str] = (),
    ) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        self._regexes = [searcher(regex) for regex in regexes]
        included = [_parse_named(pattern) for pattern in self.include]
        excluded = [_parse_named(pattern) for pattern in self.exclude]
        take_all = any(pattern in _EVERYTHING for pattern in self.include)
        self._included = None if take_all else _compile(included, r"\Z")
        self._excluded = _compile(excluded, r"(?:/|\Z)")
        self._excluded_folder = _compile([_folder_form(p) for p in excluded], "/")

    def __repr__(self) -> str:
        return f"Selection(include={self.include!r}, exclude={self.exclude!r})"

    def matches(self, path: str) -> bool:
        """Whether the file at ``path`` (relative to the dataset, ``/`` separated) is taken."""
        probe = "/" + path
        if self._included is not None and not self._included(probe):
            return False
        if any(found(probe) for found in self._regexes):
            return False
        return self._excluded is None or not self._excluded(probe)

    def excludes_folder(self, folder: str) -> bool:
        """Whether nothing below ``folder`` can be taken, so that a walk may skip it.

        ``folder`` is relative to the dataset; ``""`` is the dataset itself. True is certain;
        False only means that the exclude patterns do not tell.
        """
        probe = f"/{folder}/" if folder else "/"
        return self._excluded_folder is not None and bool(self._excluded_folder(probe))


def check_pattern(pattern: str) -> None:
    """Raise ValueError, saying what is wrong, when ``pattern`` is not a valid pattern."""
    _parse(pattern)


@dataclass(frozen=True, slots=True)
class _Pattern:
    segments: tuple[str, ...]
    anchored: bool
    folder: bool

    @property
    def gaps(self) -> int:
        """How often it has a ``**``. A search may take the power of that number."""
        return sum(len(re.findall(r"\*\*+", segment)) for segment in self.segments)

    def __str__(self) -> str:
        at = "/" if self.anchored and len(self.segments) == 1 else ""
        return at + "/".join(self.segments) + ("/" if self.folder else "")

    def regex(self) -> str:
        parts: list[str] = []
        last = len(self.segments) - 1
        for number, segment in enumerate(self.segments):
            if segment == "**":
                parts.append(".+" if number == last else "(?:.+/)?")
            else:
                parts.append(_segment_regex(segment) + ("" if number == last else "/"))
        return "".join(parts)


def _parse_named(pattern: str) -> _Pattern:
    try:
        return _parse(pattern)
    except ValueError as error:
        raise ValueError(f'pattern "{pattern}": {error}') from None


def _parse(pattern: str) -> _Pattern:
    if not pattern.strip("/"):
        raise ValueError("is empty")
    if re.match(r"[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]*://|//", pattern):
        raise ValueError("is absolute; patterns are relative to the dataset")
    if pattern.startswith("!"):
        raise ValueError('"!" does not negate; use "exclude" ("?" stands for a plain "!")')
    body = pattern.removeprefix("/").removesuffix("/")
    segments = tuple(body.split("/"))
    if ".." in segments or "." in segments:
        raise ValueError('a folder cannot be "." or ".."')
    if "" in segments:
        raise ValueError('has two "/" in a row')
    for segment in segments:
        _segment_regex(segment)
    return _Pattern(
        segments=segments,
        anchored=pattern.startswith("/") or len(segments) > 1,
        folder=pattern.endswith("/"),
    )


def _folder_form(pattern: _Pattern) -> _Pattern:
    """The pattern of the folders below which ``pattern``, as an exclude, leaves nothing.

    ``foo/*``, ``foo/**`` and ``foo/**/*`` leave nothing of ``foo``; a name leaves nothing of a
    folder of that name. No segments are left when that is the dataset itself.
    """
    segments = list(pattern.segments)
    if not pattern.folder:
        if segments[-1] == "*":
            segments.pop()
        while segments and segments[-1] == "**":
            segments.pop()
    return _Pattern(tuple(segments), pattern.anchored, folder=True)


def _compile(patterns: Sequence[_Pattern], end: str) -> Callable[[str], object] | None:
    """One search over ``"/" + path`` for all patterns; ``end`` follows those not of a folder.

    Every alternative starts at a slash: any slash for a name, the first one for an anchored
    pattern. That lets the search jump from slash to slash.
    """
    if not patterns:
        return None
    if not all(pattern.segments for pattern in patterns):
        return re.compile("/").match
    alternatives = []
    for pattern in sorted(patterns, key=lambda p: p.anchored):
        at = r"(?<=\A/)" if pattern.anchored else ""
        alternatives.append(at + pattern.regex() + ("/" if pattern.folder else end))
    regex = f"/(?:{'|'.join(alternatives)})"
    if any(pattern.gaps > MOST_GAPS for pattern in patterns):
        return searcher(regex, re.DOTALL, named=str(max(patterns, key=lambda p: p.gaps)))
    return re.compile(regex, re.DOTALL).search


def _segment_regex(segment: str) -> str:
    """The regular expression of one folder or file name of a pattern."""
    if segment == "*":
        return "[^/]+"
    runs = [""]  # what stands between stars, each of a fixed length
    stars: list[int] = []
    position = 0
    while position < len(segment):
        character = segment[position]
        if character == "*":
            count = len(segment) - position - len(segment[position:].lstrip("*"))
            stars.append(count)
            runs.append("")
            position += count
        elif character == "[":
            regex, position = _set_regex(segment, position)
            runs[-1] += regex
        else:
            runs[-1] += "[^/]" if character == "?" else re.escape(character)
            position += 1
    if any(count > 1 for count in stars):
        gaps = [".*" if count > 1 else "[^/]*" for count in stars]
        return runs[0] + "".join(gap + run for gap, run in zip(gaps, runs[1:], strict=True))
    # The first place where a run fits is as good as any other, so the group is atomic. Otherwise a
    # pattern of many stars would take exponential time.
    inner = "".join(f"(?>[^/]*?{run})" for run in runs[1:-1])
    return runs[0] + inner + (f"[^/]*{runs[-1]}" if stars else "")


def _set_regex(segment: str, start: int) -> tuple[str, int]:
    """The regular expression of the ``[...]`` at ``start``, and the position after it."""
    first = start + 1
    negated = segment[first : first + 1] in ("!", "^")
    first += negated
    end = segment.find("]", first + 1)  # a "]" that comes first is one of the characters
    if end < 0:
        raise ValueError('has a "[" without "]" (a set holds no "/"; "[[]" is a plain "[")')
    characters = segment[first:end]
    if "[:" in characters:
        raise ValueError('has a "[:...:]", which is not supported; use a range like [a-z]')
    items: list[str] = []
    position = 0
    while position < len(characters):
        low = characters[position]
        high = low
        if characters[position + 1 : position + 2] == "-" and position + 2 < len(characters):
            high = characters[position + 2]
            position += 2
        if high < low:
            raise ValueError(f'has the range "{low}-{high}", which is the wrong way round')
        items.append(re.escape(low) + (f"-{re.escape(high)}" if high != low else ""))
        position += 1
    if negated:
        return f"[^/{''.join(items)}]", end + 1
    return f"(?!/)[{''.join(items)}]", end + 1


def never_both(outer: Selection, inner: Selection, below: Sequence[str] = ()) -> bool:
    """Whether no file is taken by both selections. ``inner`` applies to the folder ``below`` of
    ``outer``.

    True is certain, on case-insensitive file systems too. False only means that the patterns do not
    decide. They decide by folders and names that differ, by the text before the first and after the
    last wildcard, and by a pattern that one selection includes and the other excludes.
    """
    if not below and (
        set(outer.include) <= set(inner.exclude) or set(inner.include) <= set(outer.exclude)
    ):
        return True
    if _EVERYTHING & {*outer.include, *inner.include} and not below:
        return False
    shifted = [_below(_parse(pattern), below) for pattern in inner.include]
    ours = [_below(_parse(pattern), ()) for pattern in outer.include]
    return all(_differ(one, other) for one in ours for other in shifted)


def _below(pattern: _Pattern, folders: Sequence[str]) -> _Pattern:
    """The pattern, case folded, as seen from above ``folders``."""
    segments = tuple(segment.casefold() for segment in pattern.segments)
    if not folders:
        return _Pattern(segments, pattern.anchored, pattern.folder)
    at = tuple(re.sub(r"[*?\[]", r"[\g<0>]", folder.casefold()) for folder in folders)
    return _Pattern((*at, *(() if pattern.anchored else ("**",)), *segments), True, pattern.folder)


def _differ(one: _Pattern, other: _Pattern) -> bool:
    """Whether no path can match both patterns, each as an include."""
    if one.anchored and other.anchored:
        for left, right in zip(one.segments, other.segments, strict=False):
            if "**" in left or "**" in right:
                break
            if _names_differ(left, right):
                return True
    if one.folder or other.folder or "**" in one.segments[-1] or "**" in other.segments[-1]:
        return False
    return _names_differ(one.segments[-1], other.segments[-1])


def _names_differ(one: str, other: str) -> bool:
    """Whether no name can match both segments. A set of characters decides nothing."""
    for name, pattern in ((one, other), (other, one)):
        if not re.search(r"[*?\[]", name) and "[" not in pattern:
            return re.fullmatch(_segment_regex(pattern), name, re.DOTALL) is None
    heads = [re.split(r"[*?\[]", name, maxsplit=1)[0] for name in (one, other)]
    tails = [re.split(r"[*?\]]", name)[-1] for name in (one, other)]
    heads_differ = not heads[0].startswith(heads[1]) and not heads[1].startswith(heads[0])
    return heads_differ or not (tails[0].endswith(tails[1]) or tails[1].endswith(tails[0]))
