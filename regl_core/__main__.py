"""The command line: `python -m regl_core run table2 table3 --profile desk`."""

import sys

from .press import main

if __name__ == "__main__":
    sys.exit(main())
