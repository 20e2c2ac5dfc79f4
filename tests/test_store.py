"""The store: entries whole or absent, whatever is killed, damaged or computed twice at once."""

import errno
import multiprocessing
import os
import shutil
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_stages import Broken, Draw, Logged, Resumed, Threads

from regl_core.engine import Store, entry
from regl_core.engine import store as store_module
from regl_core.errors import ReglError

FILES = ["drawn.bin", "inner/empty.txt", entry.ENTRY]


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file but entry.json."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != entry.ENTRY]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_ensure_computes_a_stage_and_what_it_needs(tmp_path):
    store, stage = Store(tmp_path), Draw(1, (Draw(2), Draw(3)))
    assert not store.has(stage)
    folder = store.ensure(stage)
    assert folder == tmp_path / "Draw" / stage.key[:2] / stage.key
    assert all(store.has(need) for need in stage.needs())
    found = entry.read(folder)
    assert found["fields"] == {"seed": 1, "after": [{"Draw": n.key} for n in stage.after]}
    assert set(found["files"]) == {"drawn.bin", "inner/empty.txt"}
    assert found["seconds"] > 0 and found["kind"] == "Draw"
    assert found["libraries"]["torch"]
    assert not list(tmp_path.glob("tmp/*"))


def test_nothing_is_computed_twice(tmp_path):
    store, stage = Store(tmp_path), Logged(str(tmp_path / "log"), "a")
    store.ensure(stage)
    Store(tmp_path).ensure(stage)
    assert (tmp_path / "log").read_text() == "a\n"
    assert store.path(stage) == store.ensure(stage)


def test_path_of_an_absent_stage_is_an_error(tmp_path):
    with pytest.raises(ReglError, match=r"Draw\(seed=1\).*run_stages"):
        Store(tmp_path).path(Draw(1))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The root of a store that holds Draw(1)."""
    root = tmp_path_factory.mktemp("whole")
    Store(root).ensure(Draw(1))
    return root


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(FILES),
    how=st.sampled_from(["flip", "truncate", "delete", "grow", "foreign"]),
    where=st.floats(0, 1, exclude_max=True),  # at 0 nothing is left of a truncated file
    bit=st.integers(0, 7),
)
def test_damage_is_found_and_mended(whole, name, how, where, bit):
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "store")
        shutil.copytree(whole, root)
        folder = root / "Draw" / Draw(1).key[:2] / Draw(1).key
        before = contents(folder)
        path = folder / name
        data = bytearray(path.read_bytes())
        if how == "foreign":
            path.with_name("foreign.txt").touch()
        elif how == "delete":
            path.unlink()
        else:
            if how == "grow" or not data:
                data += b"\n"
            elif how == "flip":
                data[int(where * len(data))] ^= 1 << bit
            else:
                del data[int(where * len(data)) :]
            path.write_bytes(data)
        with pytest.warns(UserWarning, match="damaged") as warned:
            assert not Store(root).has(Draw(1))
        assert len(warned) == 1 and "\n" not in str(warned[0].message)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert contents(Store(root).ensure(Draw(1))) == before


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def circle(path: Path) -> None:
    """The folder of the entry is a link to itself."""
    shutil.rmtree(path.parent)
    path.parent.symlink_to(path.parent.name)


FORMS = ["[5]", "[]", "5", "null", '"text"', "{}", "[" * 200_000, "9" * 5000]
FORMS.append('{"a":' * 990 + "1" + "}" * 990)  # which can be read, but not written again
MALFORMED = [
    *((entry.ENTRY, partial(Path.write_text, data=form)) for form in FORMS),
    *((name, way) for name in FILES for way in (loop, pipe)),
    (entry.ENTRY, circle),
]


@pytest.mark.parametrize(("name", "spoil"), MALFORMED)
def test_what_is_no_entry_at_all_is_damage_and_mended(whole, name, spoil, tmp_path):
    root = tmp_path / "store"
    shutil.copytree(whole, root)
    folder = root / "Draw" / Draw(1).key[:2] / Draw(1).key
    before = contents(folder)
    spoil(folder / name)
    with pytest.warns(UserWarning, match="damaged") as warned:
        assert not Store(root).has(Draw(1))
    assert len(warned) == 1 and "\n" not in str(warned[0].message)
    assert contents(Store(root).ensure(Draw(1))) == before


@pytest.mark.parametrize("lacks", ["key", "files"])
def test_an_entry_of_another_form_with_its_checksum_right_is_damage(whole, lacks, tmp_path):
    """Such as an older version of this program may have written."""
    root = tmp_path / "store"
    shutil.copytree(whole, root)
    folder = root / "Draw" / Draw(1).key[:2] / Draw(1).key
    found = entry.read(folder)
    del found[lacks], found["checksum"]
    (folder / entry.ENTRY).write_text(entry._rendered(found))
    with pytest.warns(UserWarning, match="damaged"):
        assert not Store(root).has(Draw(1))


def test_a_disk_that_cannot_be_read_is_no_damage(whole, monkeypatch):
    def broken(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(OSError, match="Input/output"):
        Store(whole).has(Draw(1))


def test_an_entry_under_another_key_is_damage(whole, tmp_path):
    source = whole / "Draw" / Draw(1).key[:2] / Draw(1).key
    shutil.copytree(source, tmp_path / "Draw" / Draw(2).key[:2] / Draw(2).key)
    with pytest.warns(UserWarning, match="another stage"):
        assert not Store(tmp_path).has(Draw(2))


def test_a_damaged_input_is_computed_anew_first(tmp_path):
    first = contents(Store(tmp_path).ensure(Draw(1, (Draw(2),))))
    shutil.rmtree(Store(tmp_path)._folder(Draw(1, (Draw(2),))))
    (Store(tmp_path).path(Draw(2)) / "drawn.bin").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"drawn\.bin has changed"):
        assert contents(Store(tmp_path).ensure(Draw(1, (Draw(2),)))) == first


def test_it_is_computed_with_one_thread_and_the_process_keeps_its_own(tmp_path):
    """With more, torch sums in another order: one key would name two results."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        folder = Store(tmp_path).ensure(Threads())
        with pytest.raises(ValueError):
            Store(tmp_path).ensure(Broken("defect"))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert contents(folder) == {"torch.txt": b"1", "openmp.txt": b"1"}


def test_a_file_is_read_through_once(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.ensure(Draw(1))
    store.has(Draw(1))
    monkeypatch.setattr(entry, "_sha256", lambda path: pytest.fail("read again"))
    assert store.has(Draw(1))


@pytest.mark.parametrize(
    ("how", "words"),
    [("full", "disk is full"), ("denied", "no access to /some/folder"), ("advice", "beta")],
)
def test_failures_say_what_to_do_and_leave_nothing(tmp_path, how, words):
    with pytest.raises(ReglError, match=words):
        Store(tmp_path).ensure(Broken(how))
    assert not list(tmp_path.glob("tmp/*")) and not list(tmp_path.glob("Broken/**/*.txt"))


def test_a_defect_stays_itself(tmp_path):
    with pytest.raises(ValueError, match="five"):
        Store(tmp_path).ensure(Broken("defect"))
    assert not list(tmp_path.glob("tmp/*"))


def test_a_checkpoint_outlives_a_kill_and_is_no_result(tmp_path):
    stage, store = Resumed(str(tmp_path / "log")), Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.ensure(stage)
    store.sweep()
    assert set(contents(store.ensure(stage))) == {"count.txt"}
    assert (tmp_path / "log").read_text().split() == [str(step) for step in range(10)]
    assert not list(tmp_path.glob("tmp/*"))


@pytest.mark.parametrize("deadly", [True, False], ids=["kill", "full disk"])
@pytest.mark.parametrize("moment", ["write", "sync", "rename"])
def test_what_goes_wrong_while_the_result_is_written_costs_no_more_than_before(
    tmp_path, monkeypatch, moment, deadly
):
    """The checkpoint is deleted once the result stands, not before."""
    stage, store = Resumed(str(tmp_path / "log")), Store(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        store.ensure(stage)
    renamed = os.rename

    def fail(*paths: Path) -> None:
        if moment == "rename" and "Resumed" not in Path(paths[1]).parts:
            return renamed(*paths)
        raise KeyboardInterrupt if deadly else OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "rename", fail) if moment == "rename" else (entry, moment, fail)))
        if deadly:
            patch.setattr(store_module, "_delete", lambda path: None)
        with pytest.raises(KeyboardInterrupt if deadly else ReglError):
            store.ensure(stage)
    assert not store.has(stage)
    (tmp_path / "log").unlink()
    store.sweep()
    assert [store.key_of(folder) for folder in store.unfinished()] == [stage.key]
    assert set(contents(store.ensure(stage))) == {"count.txt"}
    assert not (tmp_path / "log").exists()  # ten steps were there already
    assert not list(store.root.glob("tmp/*"))


def test_a_kill_after_the_result_stands_leaves_a_checkpoint_that_goes(tmp_path, monkeypatch):
    stage, store = Resumed(str(tmp_path / "log")), Store(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        store.ensure(stage)
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_delete", lambda path: None)
        store.ensure(stage)
    assert store.has(stage) and len(list(store.unfinished())) == 1
    store.sweep()
    assert store.has(stage) and not list(store.root.glob("tmp/*"))


def test_a_checkpoint_of_another_stage_is_not_gone_on_with(tmp_path):
    one, other = (Resumed(str(tmp_path / name)) for name in ("one", "other"))
    store = Store(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        store.ensure(one)
    (folder,) = store.unfinished()
    shutil.copytree(folder, folder.with_name(f"{other.key}.saved"))
    with pytest.warns(UserWarning, match="is of another stage"), pytest.raises(KeyboardInterrupt):
        store.ensure(other)
    assert (tmp_path / "other").read_text().split() == ["0", "1", "2", "3", "4"]
    store.ensure(one)
    assert (tmp_path / "one").read_text().split() == [str(step) for step in range(10)]


@pytest.mark.parametrize("whole", [True, False])
def test_a_result_that_another_machine_has_made_meanwhile_is_taken(tmp_path, monkeypatch, whole):
    """A file system shared by machines can show it as missing for some seconds."""
    stage, store = Draw(1), Store(tmp_path)
    before = contents(store.ensure(stage))
    if not whole:
        (store.path(stage) / "drawn.bin").write_bytes(b"")
    seen, listed = [], os.listdir

    def stale(folder: Path) -> list[str]:
        """Empty, once: that is when it is decided to compute."""
        seen.append(folder)
        return listed(folder) if len(seen) > 1 else []

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", stale)
        patch.setattr(os.path, "lexists", lambda path: False)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert contents(Store(tmp_path).ensure(stage)) == before
    assert [("damaged" in str(it.message)) for it in told] == ([] if whole else [True])
    assert store.has(stage) and not list(tmp_path.glob("tmp/*"))


def _ensure(root: Path, stage: Logged) -> None:
    Store(root).ensure(stage)


def test_two_processes_compute_once(tmp_path):
    stage = Logged(str(tmp_path / "log"), "a", seconds=1.0)
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_ensure, args=(tmp_path, stage)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert (tmp_path / "log").read_text() == "a\n"
    assert Store(tmp_path).has(stage)


def test_a_killed_process_leaves_garbage_that_goes(tmp_path):
    hang, stage = tmp_path / "log.hang", Logged(str(tmp_path / "log"), "a")
    hang.touch()
    process = multiprocessing.get_context("spawn").Process(target=_ensure, args=(tmp_path, stage))
    process.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.02)
    store = Store(tmp_path)
    store.sweep()
    assert list(tmp_path.glob("tmp/*"))  # in use
    process.kill()
    process.join()
    assert not store.has(stage)
    store.sweep()
    assert not list(tmp_path.glob("tmp/*"))
    hang.unlink()
    assert contents(store.ensure(stage)) == {"begun.txt": b"a", "name.txt": b"a"}


def test_a_file_can_be_read_while_it_is_made(tmp_path):
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    stage, seen = Logged(str(log), "a", seconds=0.1), []
    assert store.glimpse(stage, "begun.txt") is None
    store.ensure(stage, lambda fraction: seen.append(store.glimpse(stage, "begun.txt")))
    assert set(seen) == {"a"}
    assert store.glimpse(stage, "begun.txt") == "a"
