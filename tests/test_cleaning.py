"""`make clean-store`: what is shown, what is deleted, and what stays."""

from toy_stages import Draw, Holder

from regl_core.datasets import find
from regl_core.engine import Store
from regl_core.params import load
from regl_core.press import cleaning
from regl_core.press.grids import Grid
from tools.replica import datasets as replica


def test_unused_entries_are_shown_first_and_deleted_when_told(tmp_path, monkeypatch, capsys):
    store, questions = Store(tmp_path), []
    used, unused = Draw(1, (Draw(2),)), Holder("old")
    monkeypatch.setattr(cleaning, "grids", lambda *_: {"fig5": Grid([], [used])})
    for stage in (used, unused):
        store.ensure(stage)

    def clean(answer: str) -> str:
        def ask(question: str) -> str:
            questions.append(question)
            if not answer:
                raise EOFError
            return answer

        cleaning.clean("smoke", {}, store, ask)
        return capsys.readouterr().out

    for answer in ("", "nothing", "y"):
        told = clean(answer)
        assert told.endswith("0 deleted\n") and all(map(store.has, [used, unused]))
    unasked, asked = told.split("\n\n")[:2]
    assert unasked.startswith("profile paper: not at hand, so what was made with it counts")
    assert "\nno notebook asks for: 1 entries" in unasked and "Holder" in unasked
    assert asked.startswith("notebooks ask for: 2 entries") and "Draw" in asked
    assert "delete the 1 unused ones, all, or nothing?" in questions[0]
    assert clean("unused").endswith("1 deleted\n")
    assert store.has(used) and store.has(Draw(2)) and not store.has(unused)
    assert clean("all").endswith("2 deleted\n") and not list(store.folders())


def test_what_is_being_computed_stays(tmp_path):
    store, stage = Store(tmp_path), Draw(1)
    folder = store.ensure(stage)
    with store._lock(stage.key):
        assert not Store(tmp_path).remove(folder)
    assert Store(tmp_path).remove(folder) and not store.has(stage)


def cleaned(profile, changes, store, answer, capsys) -> str:
    cleaning.clean(profile, changes, store, lambda question: answer)
    return capsys.readouterr().out


def test_what_an_unfinished_entry_saved_goes_when_nobody_asks_for_it(tmp_path, monkeypatch, capsys):
    store, used, unused = Store(tmp_path), Draw(1), Draw(2)
    monkeypatch.setattr(cleaning, "grids", lambda *_: {"fig5": Grid([], [used])})
    for stage in (used, unused):
        checkpoint = tmp_path / f"tmp/{stage.key}.saved"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.txt").write_text("3")
    told = cleaned("smoke", {}, store, "unused", capsys)
    assert "no notebook asks for: 1 entries" in told and "unfinished" in told
    assert [store.key_of(it) for it in store.unfinished()] == [used.key]
    with store._lock(used.key):
        told = cleaned("smoke", {}, store, "all", capsys)
        assert told.endswith("0 deleted, 1 are being computed and stay\n")
    assert cleaned("smoke", {}, store, "all", capsys).endswith("1 deleted\n")
    assert not list(store.unfinished())


def test_what_is_gone_by_the_time_it_is_shown_is_left_out(tmp_path):
    """A stage may finish, or another process delete something, meanwhile."""
    store = Store(tmp_path)
    gone = cleaning.Held(store, "unfinished", tmp_path / "gone", True)
    here = cleaning.Held(store, "Draw", store.ensure(Draw(1)), True)
    told = cleaning._shown("notebooks ask for", [gone, here])
    assert "Draw" in told and "unfinished" not in told.split("\n", 1)[1]
    assert store.remove(gone.folder)


def test_decoded_images_of_another_size_or_of_no_data_set_are_unused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cleaning, "grids", lambda *_: {})
    photos = replica.photos(tmp_path / "photos", ["cat", "dog"], images=6)
    store, name = Store(tmp_path / "store"), f"folder:{photos}"
    below = store.root / "packed"

    def changes(side: int) -> dict[str, object]:
        return {"datasets": [name], "folder.image_side": side}

    for side in (16, 32):
        find(name, load("paper", changes(side)).datasets[name], below).load()
    told = cleaned("paper", changes(16), store, "unused", capsys)
    assert told.endswith("1 deleted\n") and told.count("Decoded") == 2
    (kept,) = Store(below).folders()
    assert (kept / "images.u8").stat().st_size == 12 * 3 * 16**2
