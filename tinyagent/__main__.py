"""Run the `tinyagent` command: `python -m tinyagent`."""

import sys

from tinyagent.cli.main import main

sys.exit(main())
