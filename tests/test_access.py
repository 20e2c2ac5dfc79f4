"""Whether files can be written is asked without a trace."""

import os

import pytest

from regl_core.engine.access import writable
from regl_core.errors import Halt


def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path):
    writable(tmp_path / "figures" / "desk")
    assert os.listdir(tmp_path) == []


def test_what_lies_in_a_folder_stays(tmp_path):
    (tmp_path / "table2.csv").write_text("some")
    writable(tmp_path)
    assert os.listdir(tmp_path) == ["table2.csv"]


@pytest.mark.parametrize("place", [".", "figures/desk"])
def test_a_denied_access_names_the_folder(tmp_path, monkeypatch, place):
    def denied(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    with pytest.raises(Halt, match=f"no access to {tmp_path}: Permission denied; give this user"):
        writable(tmp_path / place)
