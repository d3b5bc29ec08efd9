"""Where the files that are not Python live: the Snakefile, the rules and the schemas."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def project_root() -> Path:
    """The folder that holds ``Snakefile`` and ``workflow``.

    In a clone that is the top of the repository; in an installed wheel it is the package itself.
    Raises FileNotFoundError when neither holds them: the installation is damaged.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package, package.parent.parent):
        if (folder / "workflow" / "schemas").is_dir():
            return folder
    raise FileNotFoundError(f"no workflow folder in {package} or {package.parent.parent}")
