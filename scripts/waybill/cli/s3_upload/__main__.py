"""``python -m waybill.cli.s3_upload``."""

import sys

from waybill.cli.s3_upload.command import main

sys.exit(main())
