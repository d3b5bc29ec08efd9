"""Says what is wrong in a line that is no TOML, and how it is written."""

from __future__ import annotations

import re
import unicodedata

from waybill.model.locations import in_wsl

# Lines whose values are never shown: addresses and passwords of notifications, and what looks so.
_SECRET = re.compile(
    r"secret|token|passw|credential|key|webhook|command|smtp|mail|url", re.IGNORECASE
)
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
_PAIR = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*(=|:)\s*(.*?)\s*")
_TABLE = re.compile(r"\s*\[\s*(?:(transfers)\s*\.\s*)?([^\[\]\"']+?)\s*\]\s*(?:#.*)?")
_WORD = re.compile(r"[^\s\"'\[\]{},#=]+")


def toml_advice(text: str, problem: str) -> str:
    """The message about a text that is no TOML. ``problem`` is what the parser says, with line and
    column. The line is shown unless it may hold a secret."""
    place = _PLACE.search(problem)
    if place is None:
        return problem
    number = int(place[1])
    lines = text.splitlines()
    line = lines[number - 1] if number <= len(lines) else ""
    if _SECRET.search(line.partition("=")[0]) or not line.strip():
        return problem
    shown = line.strip() if len(line.strip()) <= 80 else line.strip()[:77] + "..."
    right = _right(line)
    right = _right(line)
    return f"line {number}: {shown}: {right}" if right else f"{problem}: {shown}"


def _right(line: str) -> str:
    """How the line is written; ``""`` when nobody knows."""
    if table := _TABLE.fullmatch(line):
        section, name = table[1], table[2]
        if not re.fullmatch(r"[A-Za-z0-9_. -]+", name) or " " in name:
            name = plain_name(name)
            right = f"[{section}.{name}]" if section else f"[{name}]"
            return f'a name has letters from A to Z, digits, "_" and "-"; write {right}'
    pair = _PAIR.fullmatch(line)
    if pair is None:
        return ""
    key, sign, value = pair.groups()
    bare = value.strip("\"'")
    if not value and sign == ":":
        return "that is YAML; TOML has [transfers.NAME], and below it key = value"
    if value in ("True", "False"):
        return f"write {key} = {value.lower()}"
    if re.fullmatch(r"\[[^\[\]\"'#]+\]", value):
        items = ", ".join(f'"{item.strip()}"' for item in value[1:-1].split(","))
        return f"texts stand in quotes; write {key} = [{items}]"
    if value[:1] in ("'", '"') and value.count(value[:1]) == 1:
        return f"the text has no quote at its end; write {key} = {value}{value[:1]}"
    if value[:1] == value[-1:] == '"' and "\\" in bare:
        if (place := in_wsl(bare)) is not None:
            return f'a path of Windows; in WSL it is {key} = "{place}"'
        return f"in double quotes a backslash begins an escape; write {key} = '{bare}'"
    if _WORD.fullmatch(value) and not _is_toml(value):
        quoted = f"'{value}'" if "\\" in value else f'"{value}"'
        return f"a text stands in quotes; write {key} = {quoted}"
    if sign == ":":
        quoted = value if _is_toml(value) else f'"{bare}"'
        return f"a key and its value have = between them; write {key} = {quoted}"
    if re.fullmatch(r"[A-Za-z/~.$][^\"'\[\]{}#=]*", value):
        return f'a text stands in quotes; write {key} = "{value}"'
    return ""


def _is_toml(value: str) -> bool:
    import tomli

    try:
        tomli.loads(f"value = {value}")
    except tomli.TOMLDecodeError:
        return False
    return True


def plain_name(text: str) -> str:
    """The name of a transfer that is most like ``text``: letters, digits, ``_`` and ``-``."""
    letters = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore")
    return re.sub(r"[^A-Za-z0-9_-]+", "-", letters.decode()).strip("-_") or "data"
