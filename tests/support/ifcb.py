"""Bins as an Imaging FlowCytobot leaves them, with names and rows of both generations."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

NEW = "D20130526T095207_IFCB013"
OLD = "IFCB5_2012_028_081515"

IMAGES = ((72, 34), (0, 0), (64, 34), (0, 0))

_HDR_NEW = """\
softwareVersion: Imaging FlowCytobot Acquisition Software version 2.0, build 380; May 2010
sampleTime: {time}
imagerID: {imager}
runTime: 1231.024861
inhibitTime: 11.622980
"""
_HDR_OLD = '"Imaging FlowCytobot Acquisition Software version 2.0; May 2010"\n' + '"line"\n' * 5


def folder(name: str) -> str:
    """Where an instrument puts the bin ``name``."""
    if name.startswith("D"):
        return f"{name[:5]}/{name[:7]}/{name[:9]}"
    return name.rpartition("_")[0]


def bin_files(
    name: str, images: Sequence[tuple[int, int]] = IMAGES, *, version: int = 1
) -> dict[str, bytes]:
    """The contents of the three files of a bin, by file name. ``images`` are width and height, one
    for each trigger; (0, 0) for one without. ``version`` gives other bytes of the same sizes."""
    new = name.startswith("D")
    start = first = 0 if new else 1
    rows, roi = [], b"\0" * first
    for trigger, (width, height) in enumerate(images, start=1):
        rows.append(_row(new, trigger, width, height, start))
        roi += _noise(f"{name} {trigger} {version}", width * height)
        start += width * height
    time = f"{name[1:5]}-{name[5:7]}-{name[7:9]}T{name[10:12]}:{name[12:14]}:{name[14:16]}Z"
    hdr = _HDR_NEW.format(time=time, imager=name[-3:]) if new else _HDR_OLD
    return {
        f"{name}.adc": "".join(rows).encode(),
        f"{name}.hdr": hdr.encode(),
        f"{name}.roi": roi + b"\0" * first,
    }


def placed(name: str, images: Sequence[tuple[int, int]] = IMAGES, **how: int) -> dict[str, bytes]:
    """The files of a bin by path, in the folder where an instrument puts them."""
    return {f"{folder(name)}/{file}": body for file, body in bin_files(name, images, **how).items()}


def _row(new: bool, trigger: int, width: int, height: int, start: int) -> str:
    if not new:
        measured = f"{trigger}," + ",".join([".3105469", "-.61004638671875"] * 4)
        return f"{measured},202,673,{width},{height},{start},-.27557373046875,\n"
    measured = f"{trigger},{trigger * 9.5:.6f}," + ",".join(["0.01065"] * 8 + ["-999.00000"])
    times = f"{trigger * 9.5:.6f},{trigger * 9.5 + 0.047:.6f}"
    return f"{measured},{times},361,72,{width},{height},{start},-999.0,0,0,0,{trigger}.1,0.1\n"


def _noise(seed: str, size: int) -> bytes:
    block = hashlib.sha256(seed.encode()).digest()
    return (block * (size // 32 + 1))[:size]
