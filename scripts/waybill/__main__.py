"""``python -m waybill``."""

import sys

from waybill.cli.main import main

sys.exit(main())
