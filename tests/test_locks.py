"""Locks: held, waited for, and refused where there are none."""

import errno
import fcntl

import pytest
from filelock import Timeout
from toy_datasets import loader
from toy_stages import Draw

from regl_core.engine.locks import locked
from regl_core.engine.store import Store
from regl_core.errors import Halt
from tools.replica import datasets as replica


def test_one_holds_it_at_a_time(tmp_path):
    path = tmp_path / "new" / "a.lock"
    with locked(path), pytest.raises(Timeout), locked(path, timeout=0):
        pytest.fail("held twice")
    with locked(path, timeout=0):
        pass


@pytest.fixture(params=[errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def without_locks(monkeypatch, request):
    def flock(descriptor: int, how: int) -> None:
        raise OSError(request.param, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("without_locks")
def test_a_disk_without_locks_is_told_and_nothing_marks_a_lock(tmp_path):
    with pytest.raises(Halt, match=r"no locks \(flock\).*Lustre: with the option flock"):
        Store(tmp_path).ensure(Draw(1))
    assert not list(tmp_path.glob("tmp/*")) and not list(tmp_path.glob("Draw/*"))
    photos = loader("folder:photos", replica.photos(tmp_path / "photos", ["cat", "dog"]))
    with pytest.raises(Halt, match=r"no locks \(flock\)"):
        photos.load()
    assert not list(photos.packed.glob("*/"))
