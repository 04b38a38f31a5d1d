"""Run the `tinyagent` command: `python -m tinyagent.cli`."""

import sys

from tinyagent.cli.main import main

sys.exit(main())
