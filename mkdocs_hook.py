"""Shows the files that pages of docs/ link to and that stand elsewhere in the repository, for
`mkdocs`. They are below ``repository/`` in the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent
DOCS, ELSEWHERE = "docs/", "repository/"

_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add what the pages link to, and what those pages link to."""
    waiting = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    seen = set(waiting)
    while waiting:
        for name in sorted(set(_linked(waiting.pop())) - seen):
            seen.add(name)
            if not name.startswith(DOCS) and (ROOT / name).is_file():
                source = str(ROOT / name)
                files.append(File.generated(config, ELSEWHERE + name, abs_src_path=source))
                waiting.append(name)
    return files


def on_page_markdown(markdown: str, page: Any, **_others: Any) -> str:
    """Turn the links of a page, which lead through the repository, into links of the site."""
    place = page.file.src_uri
    name = place.removeprefix(ELSEWHERE) if place.startswith(ELSEWHERE) else DOCS + place

    def link(found: re.Match[str]) -> str:
        target = found[2] if ":" in found[2] else _relative(place, _target(name, found[2]))
        return found[1] + target + found[3]

    return _outside_of_blocks(markdown, link)


def _linked(name: str) -> Iterator[str]:
    """The files of the repository that a page of it links to."""
    if name.endswith(".md"):
        text = _FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))
        yield from (
            _target(name, found[2]) for found in _LINK.finditer(text) if ":" not in found[2]
        )


def _target(name: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), link))


def _relative(place: str, target: str) -> str:
    there = target.removeprefix(DOCS) if target.startswith(DOCS) else ELSEWHERE + target
    return posixpath.relpath(there, posixpath.dirname(place) or ".")


def _outside_of_blocks(markdown: str, link: Any) -> str:
    parts, at = [], 0
    for block in _FENCE.finditer(markdown):
        parts += [_LINK.sub(link, markdown[at : block.start()]), block[0]]
        at = block.end()
    return "".join([*parts, _LINK.sub(link, markdown[at:])])
