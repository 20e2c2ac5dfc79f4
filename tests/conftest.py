"""Settings of all tests, and what several files of tests build once."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the Makefile has it, before torch is imported

from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says nothing on a busy machine; a failure must be seen again.
settings.register_profile("regl", deadline=None, derandomize=True)
settings.load_profile("regl")


@pytest.fixture(scope="session")
def data_sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A replica of each data set, by name; nobody alters it."""
    from toy_datasets import replicas

    return replicas(tmp_path_factory.mktemp("data_sets"))


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory):
    """Gives, for a version of Stable Diffusion, small models in folders; nobody alters them."""
    from toy_models import written

    return cache(lambda like="1.5": written(tmp_path_factory.mktemp("models"), like))
