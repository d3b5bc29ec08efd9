"""``python -m waybill.cli.glacier``."""

import sys

from waybill.cli.glacier.command import main

sys.exit(main())
