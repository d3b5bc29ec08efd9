"""Finds the messages of the package in its code: the texts that errors are made of.

A message is what an error is made with (``WaybillError(...)`` and every other call of a name that
ends in ``Error``), what a function returns that puts errors in words, and what is written to
standard error. Names and functions that such a text is put together from are followed within their
module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]

# Modules whose texts are rows and pages of their own (docs/doctor.md), or that give out no errors.
_ELSEWHERE = (
    "cli/doctor/", "demo/", "messages/", "config/docs.py", "system/generated.py",
    "system/resources.py",
)  # fmt: skip

# What is given a message, and what returns one or a part of one.
_TAKES = re.compile(
    r"(Error|Finding)$|^(_refuse|_fail|problem|_mistake|_broken|mistaken|unusable)$"
)
_GIVES = re.compile(
    r"(^|_)(explain|explain_.*|why|reasons?|refusals?|describe|problems?|advice|mistaken?s?)$"
)
_WORDS = 2  # one word makes no message, but a part of one
_LETTERS = re.compile(r"(?<!\S)\S*[^\W\d_]{2,}\S*")
_FILLED = re.compile(r"\{[^{}]*\}")
_DEEPEST = 6  # steps from a text to what is filled in


class Message(NamedTuple):
    """A text in the code; what is filled in stands in braces. A part is filled into another."""

    text: str
    module: str
    line: int
    is_part: bool

    @property
    def shown(self) -> str:
        """The text as a reader knows it: what is filled in, in capitals."""
        text = _FILLED.sub(lambda match: _placeholder(match[0][1:-1]), self.text)
        return re.sub(r"(?<=[a-z])[A-Z][A-Z ]*|…{2,}", "…", text)

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the text looks like once it is filled in."""
        parts = _FILLED.split(self.text)
        return re.compile(".*?".join(map(re.escape, parts)), re.DOTALL)


def messages(package: Path = PACKAGE) -> list[Message]:
    """Every message of the package, by module, each text once for a module."""
    found: dict[tuple[str, str], Message] = {}
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if not name.startswith(_ELSEWHERE):
            for text, line, is_part in _Module(file.read_text(encoding="utf-8")).messages():
                if (known := found.get((name, text))) is None or (known.is_part and not is_part):
                    found[name, text] = Message(text, name, line, is_part)
    return list(found.values())


def _placeholder(expression: str) -> str:
    names = re.findall(r"[A-Za-z_][A-Za-z_0-9]*", expression)
    if not names or names[-1].isupper() or not re.fullmatch(r"[\w.]+", expression):
        return "…"
    return names[-1].strip("_").upper().replace("_", " ")


_Text = tuple[str, int, bool]  # a text, its line, and whether it is a part


class _Module:
    """The code of one module."""

    def __init__(self, source: str) -> None:
        self._tree = ast.parse(source)
        self._functions: dict[str, ast.AST] = {}
        self._constants: dict[str, ast.expr] = {}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef):
                self._functions[node.name] = node
        for node in self._tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._constants[node.targets[0].id] = node.value

    def messages(self) -> Iterator[_Text]:
        yield from self._in(self._tree, {})

    def _in(self, node: ast.AST, local: dict[str, list[ast.expr]]) -> Iterator[_Text]:
        if isinstance(node, ast.FunctionDef):
            local = local | _assigned(node)
            if _GIVES.search(node.name) or _name(node.returns or node) == "_Words":
                for returned in _returned(node):
                    yield from self._texts(returned, local)
        for given in _given(node):
            yield from self._texts(given, local)
        for child in ast.iter_child_nodes(node):
            yield from self._in(child, local)

    def _texts(
        self,
        node: ast.AST,
        local: dict[str, list[ast.expr]],
        is_part: bool = False,
        depth: int = 0,
    ) -> Iterator[_Text]:
        """The texts that an expression is put together from."""
        if depth > _DEEPEST:
            return
        text, inner = _text(node), is_part
        if text is not None and len(_LETTERS.findall(_FILLED.sub(" ", text))) >= _WORDS:
            yield text, getattr(node, "lineno", 0), is_part
            inner = True
        for child, known in self._below(node, local):
            yield from self._texts(child, known, inner, depth + 1)

    def _below(
        self, node: ast.AST, local: dict[str, list[ast.expr]]
    ) -> Iterator[tuple[ast.AST, dict[str, list[ast.expr]]]]:
        """The expressions that give an expression its text, each with the names it may use."""
        if isinstance(node, ast.Name):
            known = [*local.get(node.id, []), self._constants.get(node.id)]
            yield from ((each, local) for each in known if each is not None)
        elif isinstance(node, ast.Call):
            function = self._functions.get(_name(node.func))
            if isinstance(function, ast.FunctionDef):
                yield from ((each, _assigned(function)) for each in _returned(function))
            of = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            more = (*of, *node.args, *(k.value for k in node.keywords))
            yield from ((each, local) for each in more)
        elif isinstance(node, ast.JoinedStr):
            inside = (v.value for v in node.values if isinstance(v, ast.FormattedValue))
            yield from ((each, local) for each in inside)
        elif not isinstance(node, ast.Constant):
            yield from ((each, local) for each in ast.iter_child_nodes(node))


def _name(node: ast.AST) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


def _given(node: ast.AST) -> Iterator[ast.AST]:
    """What a statement or a call makes a message of."""
    if isinstance(node, ast.Call):
        if _TAKES.search(_name(node.func)) or _is_last_word(node):
            yield from (*node.args, *(k.value for k in node.keywords))
    elif isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
        for child in ast.walk(node):
            if isinstance(child, ast.Assign) and _name(child.targets[0]) == "fmt":
                yield child.value
            if isinstance(child, ast.Call) and _name(child.func) == "__init__":
                yield from child.args
    elif isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Subscript):
        yield from [node.value] if _name(target.value) in ("refused", "held", "_busy") else []


def _is_last_word(node: ast.Call) -> bool:
    """Whether a line is printed to standard error."""
    files = (k.value for k in node.keywords if k.arg == "file")
    return _name(node.func) == "print" and any(_name(f) == "stderr" for f in files)


def _assigned(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """What is assigned to each name in a function."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        pairs: list[tuple[ast.AST, ast.expr]] = []
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs += zip(target.elts, node.value.elts, strict=False)
            else:
                pairs.append((target, node.value))
        elif isinstance(node, ast.AugAssign | ast.NamedExpr):
            pairs.append((node.target, node.value))
        for target, value in pairs:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
    return found


def _returned(function: ast.FunctionDef) -> list[ast.AST]:
    """What a function returns or yields."""
    kinds = (ast.Return, ast.Yield)
    return [n.value for n in ast.walk(function) if isinstance(n, kinds) and n.value is not None]


def _text(node: ast.AST) -> str | None:
    """A text with its placeholders in braces; None for another expression."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = []
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                parts.append("{" + re.sub(r"[{}]", "", ast.unparse(value.value)) + "}")
            else:
                parts.append(str(getattr(value, "value", "")))
        return "".join(parts)
    return None
