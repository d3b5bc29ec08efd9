"""``python -m waybill.report`` writes the pages of transfers. It reads their settings by name, as
JSON (``model.transfer.Transfer.for_jobs``), from standard input."""

from __future__ import annotations

import json
import signal
import sys

from waybill.model.errors import EXIT_FAILED, EXIT_OK, WaybillError, describe, one_line
from waybill.model.transfer import Transfer
from waybill.report.write import PREFIX, write


def main() -> int:
    """Write the pages; returns the exit code. A page that cannot be written is named in one line on
    standard error."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = EXIT_OK
    for name, settings in json.load(sys.stdin).items():
        transfer = Transfer.of_jobs(settings)
        try:
            write(transfer)
        except WaybillError as error:
            why = str(error)
        except OSError as error:
            why = describe(error, transfer.results)
        else:
            continue
        print(one_line(f"{PREFIX}{name}: no report page: {why}"), file=sys.stderr)
        code = EXIT_FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
