"""Reads three keys of the ``config.ini`` of the Greenland glacier flow project.

The file belongs to another program, so all other keys are ignored. A path may hold blanks and
``=``. CRLF, a byte order mark, indentation and the case of a key make no difference. A comment ends
a line. ``base_dir_old`` is not ``base_dir``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from waybill.config.read import parsed
from waybill.model.errors import ConfigError

PATHS = ("base_dir", "local_base_dir")
MODE = "execution_mode"

_SECTION = re.compile(r"\[([^]]*)\]")
_SETTING = re.compile(r"([A-Za-z_]\w*)\s*[=:](.*)", re.ASCII)
_QUOTED = re.compile(r"""(["'])(.*)\1\s*(?:[#;].*)?""")
_COMMENT = re.compile(r"(?:^|\s)[#;].*")


class _Found(NamedTuple):
    line: int
    rank: int
    value: str


def read(file: Path) -> dict[str, str]:
    """The keys that are set, by their names in lower case.

    A key in its own section (``[PATHS]``, or ``[SETTINGS]`` for the mode) counts before one at the
    top of the file, and that one before one in any other section. Raises ConfigError for a file
    that cannot be read or sets a key to two different values.
    """
    found: dict[str, list[_Found]] = {}
    section = None
    for number, line in enumerate(parsed(file, str.splitlines), start=1):
        line = line.strip()
        if match := _SECTION.match(line):
            section = match[1].strip().lower()
        elif match := _SETTING.match(line):
            key, value = match[1].lower(), _value(match[2])
            if key in (*PATHS, MODE) and value:
                home = "settings" if key == MODE else "paths"
                rank = 0 if section == home else 1 if section is None else 2
                found.setdefault(key, []).append(_Found(number, rank, value))
    settings, problems = {}, []
    for key, places in found.items():
        best = [place for place in places if place.rank == min(p.rank for p in places)]
        if len({place.value for place in best}) > 1:
            lines = " and ".join(str(place.line) for place in best)
            problems.append(f"{file}: {key}: stands in lines {lines} with different values")
        settings[key] = best[0].value
    if problems:
        raise ConfigError(problems)
    return settings


def _value(text: str) -> str:
    text = text.strip()
    if quoted := _QUOTED.fullmatch(text):
        return quoted[2]
    return _COMMENT.sub("", text, count=1).strip()
