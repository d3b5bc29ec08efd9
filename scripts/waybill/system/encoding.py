"""Names of files are UTF-8, as keys are, whatever the locale says.

Python takes them for text of the locale. With that of another one, such as ISO-8859-1, every name
with an umlaut would become another key. C and POSIX are UTF-8 to Python.
"""

from __future__ import annotations

import codecs
import os
import sys


def mistaken() -> str:
    """Why names would be mistaken by this process, and what to set; ``""`` when they are not."""
    encoding = sys.getfilesystemencoding()
    if codecs.lookup(encoding).name == "utf-8":
        return ""
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((f"{name}={os.environ[name]}" for name in names if os.environ.get(name)), "")
    return (
        f"the locale{f' ({locale})' if locale else ''} is {encoding}, not UTF-8, so names of files"
        " would become other keys; set PYTHONUTF8=1 and run again"
    )


def ensure() -> None:
    """Begin a command anew, as the same process, where it would mistake names."""
    if mistaken():
        os.environ["PYTHONUTF8"] = "1"  # for what it starts
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
