"""What ``RunInfo.xml``, ``RunParameters.xml`` and ``RunCompletionStatus.xml`` tell about a run.

``RunInfo.xml`` (Illumina, "Sequencing Output Files") is written when a run starts and names run and
instrument. ``RunParameters.xml`` differs from one control software to the next, and a NovaSeq 6000
does not copy it to every place, so a run may lack it. ``RunCompletionStatus.xml`` is written at the
end, with a ``RunStatus`` (NovaSeq: ``RunCompleted``) or a ``CompletionStatus`` (NextSeq, MiniSeq:
``CompletedAsPlanned``, ``UserEndedEarly``, ``ExceptionEndedEarly``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from waybill.presets.illumina.runs import RUN_INFO

# MiSeq and HiSeq have a small letter.
RUN_PARAMETERS = ("RunParameters.xml", "runParameters.xml")

RUN_COMPLETION_STATUS = "RunCompletionStatus.xml"

MAX_BYTES = 32 << 20  # a large RunInfo.xml, with all its tiles, has less than one MiB

_APPLICATION = ("applicationname", "application")
_VERSION = ("applicationversion", "systemsuiteversion", "mcsversion")
_STATUS = ("runstatus", "completionstatus")
_EARLY = re.compile(r"early|abort|stop|cancel|terminat|fail|error|exception", re.IGNORECASE)
_SERIAL = ("instrumentserialnumber", "instrumentname", "instrumentid", "scannerid")


class XmlError(ValueError):
    """A file that is there and cannot be used; the message names it and says why."""


class RunInfo(NamedTuple):
    """Id of the run and serial number of the instrument, ``""`` where the file has none."""

    run_id: str = ""
    serial: str = ""


class RunParameters(NamedTuple):
    """The control software, its version and the instrument, ``""`` where the file has none.

    ``application`` also holds the type of the instrument, if the file has it in its own element.
    """

    application: str = ""
    version: str = ""
    serial: str = ""


def read_run_info(run: Path) -> RunInfo:
    """What ``RunInfo.xml`` says. Raises XmlError when it cannot be used."""
    root = _parse(run / RUN_INFO)
    if root is None:
        return RunInfo()
    element = next((e for e in root.iter() if _tag(e) == "run"), None)
    found = element.get("Id", "").strip() if element is not None else ""
    return RunInfo(found, _first(_leaves(root), ("instrument",)))


def read_run_parameters(run: Path) -> RunParameters:
    """What ``RunParameters.xml`` says; nothing when it is not there. Raises XmlError when it
    cannot be used."""
    for name in RUN_PARAMETERS:
        root = _parse(run / name)
        if root is not None:
            leaves = _leaves(root)
            application = f"{_first(leaves, _APPLICATION)} {leaves.get('instrumenttype', '')}"
            return RunParameters(
                application.strip(), _first(leaves, _VERSION), _first(leaves, _SERIAL)
            )
    return RunParameters()


def ended_early(run: Path) -> str:
    """What ``RunCompletionStatus.xml`` calls a run that ended early; ``""`` for any other run, also
    when the file is not there or cannot be used: it is no condition of a finished run."""
    try:
        root = _parse(run / RUN_COMPLETION_STATUS)
    except XmlError:
        return ""
    status = "" if root is None else _first(_leaves(root), _STATUS)
    return status if _EARLY.search(status) else ""


def _parse(path: Path) -> ElementTree.Element | None:
    """The root of an XML file, or None when there is no such file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise XmlError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not data.strip():
        raise XmlError(f"{path}: is empty")
    if len(data) > MAX_BYTES:
        raise XmlError(f"{path}: has more than {MAX_BYTES >> 20} MiB, so it is not read")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # also unknown encodings
        raise XmlError(f"{path}: is damaged: {error}") from None


def _tag(element: ElementTree.Element) -> str:
    """The name of an element in small letters, without its namespace."""
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _leaves(root: ElementTree.Element) -> dict[str, str]:
    """The first text of every element that has one, by name."""
    found: dict[str, str] = {}
    for element in root.iter():
        text = (element.text or "").strip()
        if text:
            found.setdefault(_tag(element), text)
    return found


def _first(leaves: dict[str, str], names: tuple[str, ...]) -> str:
    return next((leaves[name] for name in names if name in leaves), "")
