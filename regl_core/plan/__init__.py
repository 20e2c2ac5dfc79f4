"""What notebooks cost before any of it is computed, and whether it can be computed here.

Work is counted from the fields of stages (`counts`) and multiplied by seconds that were measured
or published (`rates`). A `DryRun` builds stages without data sets and models and refuses what
cannot be computed; `told` says time, disk, downloads and what is missing; `check` validates
settings; `seconds` estimates a stage for a progress bar, and `time` many of them, in words.
"""

from .budget import time, told
from .dry_run import ABSENT, DryRun, absent
from .rates import known, seconds
from .validity import check

__all__ = ["ABSENT", "DryRun", "absent", "check", "known", "seconds", "time", "told"]
