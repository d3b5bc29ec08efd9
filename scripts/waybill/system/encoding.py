"""Makes sure that names of files are read as UTF-8, like keys, in every locale.

Python reads names in the encoding of the locale. With another encoding, such as ISO-8859-1, every
name with an umlaut would become another key. In the locales C and POSIX, Python uses UTF-8.
"""

from __future__ import annotations

import codecs
import locale
import os
import sys


def mistaken() -> str:
    """Why this process would misread names, and what to set; ``""`` when it reads them right."""
    return _problem(sys.getfilesystemencoding())


def mended() -> str:
    """As ``mistaken``, of a process that ``ensure`` had to start again; ``""`` for another."""
    again = sys.orig_argv[1:3] == ["-X", "utf8"]
    return _problem(locale.getencoding()) if again else ""


def _problem(encoding: str) -> str:
    if codecs.lookup(encoding).name == "utf-8":
        return ""
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    named = next((f"{name}={os.environ[name]}" for name in names if os.environ.get(name)), "")
    return (
        f"the locale{f' ({named})' if named else ''} is {encoding}, not UTF-8, so names of files"
        " would become other keys; set PYTHONUTF8=1 and run again"
    )


def ensure() -> None:
    """If this process would misread names, start its command again, as the same process."""
    if mistaken():
        os.environ["PYTHONUTF8"] = "1"  # for child processes
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
