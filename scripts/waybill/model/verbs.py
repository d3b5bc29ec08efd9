"""The words for what happens to the files of a transfer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from waybill.model.transfer import Transfer


class Verb(NamedTuple):
    """``Upload``, ``Uploading``, ``uploaded``."""

    plain: str
    doing: str
    done: str


UPLOAD = Verb("Upload", "Uploading", "uploaded")
DOWNLOAD = Verb("Download", "Downloading", "downloaded")
MOVE = Verb("Move", "Moving", "moved")
VERIFY = Verb("Verify", "Verifying", "verified")


def verb_of(transfers: Iterable[Transfer]) -> Verb:
    """What moves the files of these transfers: MOVE when their directions differ."""
    directions = {transfer.direction for transfer in transfers}
    if len(directions) > 1:
        return MOVE
    return UPLOAD if directions == {"upload"} else DOWNLOAD
