"""Puts what is not Python into the wheel, for `hatchling`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = {
    "workflow": "workflow",
    # As the links beside the Snakefile: Snakemake looks there for the profile `default`.
    "workflow/profiles": "profiles",
    "config": "config",
    "docs": "docs",
}


class WorkflowHook(BuildHookInterface):
    """Lays the workflow out inside the package as it is in the repository. `pip install -e` uses
    the repository itself."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to those of the package; ``version`` is ``standard`` or ``editable``."""
        if version == "editable":
            return
        scripts = [path.name for path in Path(self.root, "scripts").glob("*.py")]
        names = ["Snakefile", "environment.yml", *(f"scripts/{name}" for name in scripts)]
        places = {name: name for name in names} | FOLDERS
        build_data["force_include"].update({k: f"waybill/{v}" for k, v in places.items()})
