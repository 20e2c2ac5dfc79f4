"""Settings of all tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the Makefile has it, before torch is imported

from hypothesis import settings

# How long an example takes says nothing on a busy machine; a failure must be seen again.
settings.register_profile("regl", deadline=None, derandomize=True)
settings.load_profile("regl")
