"""``python -m waybill.cli.hca``."""

import sys

from waybill.cli.hca.command import main

sys.exit(main())
