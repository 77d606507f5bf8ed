"""``python -m whitecrow.cli`` is ``whitecrow``."""

import sys

from whitecrow.cli.app import main

sys.exit(main())
