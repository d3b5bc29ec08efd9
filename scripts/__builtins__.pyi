"""What Snakemake gives to a rule's script; read by the type checker alone."""

from typing import Any

snakemake: Any  # its wildcards are attributes, each rule's own
