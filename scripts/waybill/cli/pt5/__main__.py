"""``python -m waybill.cli.pt5``."""

import sys

from waybill.cli.pt5.command import main

sys.exit(main())
