"""Notifications: tell people what a run did, through Slack, mail, a command or a web hook."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


def after_run(
    transfers: Mapping[str, Transfer], codes: Mapping[str, int], *, code: int, success: bool
) -> None:
    """Send the notifications about ``transfers`` at the end of a run, as each is configured.

    ``codes`` are the exit codes of the transfers, ``code`` is that of the run, and ``success`` is
    Snakemake's verdict. Never raises: every error is a line on standard error.
    """
    if all(transfer.notify is None for transfer in transfers.values()):
        return
    from datetime import UTC, datetime

    from waybill.model.secrets import masked
    from waybill.notify.tell import tell

    try:
        lines = tell(transfers, codes, code=code, success=success, now=datetime.now(UTC))
    except KeyboardInterrupt:
        lines = ["notifications given up: interrupted"]
    except Exception as error:  # noqa: BLE001  the run has ended, and how is not changed here
        lines = [f"notifications failed: unexpected error, {type(error).__name__}"]
    for line in lines:
        print(f"waybill: {masked(line)}", file=sys.stderr)
