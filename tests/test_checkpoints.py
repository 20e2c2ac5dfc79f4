"""What is kept: it comes back as it was, or not at all."""

import hashlib
import io
import math
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from regl_core.engine import Checkpoint, checkpoints, piecewise, stepwise

VALUE = {
    "tensors": (torch.arange(6.0).view(2, 3).T, torch.tensor(True), torch.zeros(0, 4)),
    "types": [torch.tensor(2**40), torch.tensor([1 / 3], dtype=torch.bfloat16)],
    3: {"loss": 0.1, "worst": math.inf, "text": "β", "none": None, "yes": True},
}


@dataclass(frozen=True)
class Model:
    """Never changed once it is made."""

    weights: torch.Tensor


class Models(Checkpoint):
    kinds = (Model,)
    lasting = (Model,)


def models(count: int) -> list[Model]:
    return [Model(torch.full((4,), float(number))) for number in range(count)]


def numbers(found: list[Model]) -> list[float]:
    return [one.weights[0].item() for one in found]


def files(folder: Path) -> dict[str, int]:
    """Of each file below when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.pt")}


def test_a_value_comes_back_bit_for_bit(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new", "value")
    assert checkpoint.load() is None
    checkpoint.write(VALUE)
    found = checkpoint.load()
    assert list(found) == ["tensors", "types", 3] and found[3] == VALUE[3]
    for name in ("tensors", "types"):
        assert type(found[name]) is type(VALUE[name])
        for mine, theirs in zip(found[name], VALUE[name], strict=True):
            assert mine.dtype == theirs.dtype and torch.equal(mine, theirs)


def test_it_is_saved_now_and_then_and_written_at_once(tmp_path):
    seldom, always = Checkpoint(tmp_path, "value"), Checkpoint(tmp_path, "value", every=0.0)
    assert always.due and not seldom.due
    seldom.save(1)
    assert not files(tmp_path)
    seldom.write(2)
    assert always.load() == 2
    always.save(3)
    assert seldom.load() == 3


@pytest.mark.parametrize(("saving", "wait"), [(0.0, 30), (3.0, 30), (6.0, 60), (60.0, 600)])
def test_a_kill_costs_half_a_minute_or_ten_times_what_a_save_takes(
    saving, wait, tmp_path, monkeypatch
):
    """As docs/design.md says, Resume. The clock stands still while nothing is saved."""
    now = 0.0

    def put(*_: object, **__: object) -> None:
        nonlocal now
        now += saving

    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    monkeypatch.setattr(checkpoints, "put", put)
    checkpoint = Checkpoint(tmp_path, "value") / "within"
    now += 29
    assert not checkpoint.due
    now += 1
    assert checkpoint.due
    checkpoint.save(1)
    now += wait - 1
    assert not checkpoint.due
    now += 1
    assert checkpoint.due


def test_each_name_has_a_value_of_its_own(tmp_path):
    def every() -> list[Checkpoint]:
        one = Checkpoint(tmp_path, "value", every=0.0)
        return [one, one / "a", one / "b", one / "a" / "b"]

    for number, one in enumerate(every()):
        one.save(number)
    assert [one.load() for one in every()] == [0, 1, 2, 3]


def harmed(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    match how:
        case "truncated":
            del content[-1]
        case "empty":
            content.clear()
        case "longer":
            content += b"\0"
        case _:
            content[{"checksum": 3, "middle": len(content) // 2, "end": -1}[how]] ^= 1
    file.write_bytes(content)


WAYS = ["truncated", "empty", "longer", "checksum", "middle", "end"]


@pytest.mark.parametrize("how", WAYS)
def test_damage_is_told_and_nothing_comes_back(how, tmp_path):
    checkpoint = Checkpoint(tmp_path, "value")
    checkpoint.write({"loss": 0.25, "weights": torch.ones(300)})
    harmed(tmp_path / "checkpoint/value.pt", how)
    with pytest.warns(UserWarning, match=r"value\.pt is damaged .*; starting over") as told:
        assert checkpoint.load() is None
    assert len(told) == 1


class Harmful:
    """Unpickled as pickle does it, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", [Harmful, Model])
def test_what_is_not_named_is_not_made(kind, tmp_path):
    content = io.BytesIO()
    torch.save(kind(tmp_path / "made"), content)
    total = hashlib.sha256(content.getvalue()).hexdigest().encode()
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint/value.pt").write_bytes(total + content.getvalue())
    with pytest.warns(UserWarning, match="damaged"):
        assert Checkpoint(tmp_path, "value").load() is None
    assert not (tmp_path / "made").exists()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        Checkpoint(tmp_path, "value").write(lambda: None)


def test_a_kill_while_it_is_written_leaves_what_was_there(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, "value")
    checkpoint.write("first")
    whole = Path.write_bytes

    def half(path: Path, content: bytes) -> None:
        whole(path, content[: len(content) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        patch.setattr(Path, "unlink", lambda path, missing_ok: None)  # who is killed tidies nothing
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write("second")
    assert checkpoint.load() == "first"
    checkpoint.write("third")
    assert checkpoint.load() == "third"


class Sum:
    """Something with a state."""

    def __init__(self) -> None:
        self.total = 0

    def state_dict(self) -> dict:
        return {"total": self.total}

    def load_state_dict(self, state_dict) -> None:
        self.total = state_dict["total"]

    def add(self, number: int) -> int:
        self.total += number
        return self.total


@pytest.mark.parametrize("steps", range(6))
def test_steps_go_on_from_the_state_they_had(steps, tmp_path):
    begun, fractions, whole = Sum(), [], [0, 1, 3, 6, 10]
    saved = Checkpoint(tmp_path, "steps", every=0.0)
    assert stepwise(begun.add, steps, [begun], saved) == whole[:steps]
    total = Sum()
    assert stepwise(total.add, 5, [total], Checkpoint(tmp_path, "steps"), fractions.append) == whole
    assert total.total == 10
    assert fractions == [number / 5 for number in range(steps + 1, 6)]


def test_pieces_that_are_there_are_not_made_again(tmp_path):
    made, fractions = [], []

    def square(number: int) -> int | None:
        made.append(number)
        return number**2 if number else None

    checkpoint = Checkpoint(tmp_path, "pieces")
    assert piecewise(square, range(0, 4, 2), checkpoint) == [None, 4]
    found = piecewise(square, range(0, 8, 2), checkpoint, fractions.append)
    assert found == [None, 4, 16, 36]
    assert made == [0, 2, 0, 4, 6]  # what is None is quick to make
    assert fractions == [0.25, 0.5, 0.75, 1.0]
    assert piecewise(square, range(0, 8, 2)) == found and len(made) == 9


def test_a_tensor_comes_back_as_it_lay_in_memory(tmp_path):
    """Sums over it, and what works on many at once, depend on the order in memory."""
    plain = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    shapes = [(2, 3, 4, 5), (2, 3, 1, 1), (2, 1, 4, 5), (1, 1, 1, 1), (0, 3, 2, 2)]
    several = [torch.randn(shape) for shape in shapes]
    last = [one.to(memory_format=torch.channels_last) for one in (plain, *several)]
    # On a GPU a network moved at once has them so, whatever `contiguous` makes of a size of one.
    last += [torch.empty(shape, memory_format=torch.channels_last).zero_() for shape in shapes]
    shared = [plain[0], plain[1], plain.view(6, 20), plain.transpose(0, 1)]
    value = [plain, *several, *last, *shared, last[0].bfloat16()]
    checkpoint = Checkpoint(tmp_path, "value")
    checkpoint.write(value)
    for mine, theirs in zip(checkpoint.load(), value, strict=True):
        assert torch.equal(mine, theirs) and mine.dtype == theirs.dtype
        assert mine.stride() == theirs.stride()
        assert not len(mine) or mine.data_ptr() != theirs.data_ptr()


def test_what_lasts_is_written_once_and_one_at_a_time(tmp_path, monkeypatch):
    """Two hundred clients' models take tens of gigabytes; there may be no room for them twice."""
    sizes, put = [], checkpoints.put

    def measured(files: dict[str, bytes], folder: Path, **how: bool) -> None:
        sizes.extend(map(len, files.values()))
        put(files, folder, **how)

    monkeypatch.setattr(checkpoints, "put", measured)
    first, second, third = (Model(torch.full((4000,), float(number))) for number in range(3))
    checkpoint = Models(tmp_path, "value")
    checkpoint.write({"round": 0, "clients": [first, first, second]})
    assert len(sizes) == 1 + 2 and max(sizes) < 1.5 * first.weights.nbytes
    before = files(tmp_path)
    checkpoint.write({"round": 1, "clients": [first, third, second]})
    after = files(tmp_path)
    assert len(after.keys() - before.keys()) == 1
    assert {name for name in before if after[name] != before[name]} == {"value.pt"}
    found = checkpoint.load()
    assert found["round"] == 1 and numbers(found["clients"]) == [0, 2, 1]


def test_what_lasts_no_longer_is_deleted(tmp_path):
    checkpoint, (first, second) = Models(tmp_path, "value"), models(2)
    checkpoint.write([first, second])
    checkpoint.write([second])
    assert len(files(tmp_path)) == 1 + 1 and numbers(checkpoint.load()) == [1]
    checkpoint.write([])
    assert list(files(tmp_path)) == ["value.pt"] and checkpoint.load() == []


def test_who_goes_on_writes_nothing_again_and_the_same_value_once(tmp_path):
    first, second = models(2)
    Models(tmp_path, "value").write([first, second, first])
    before = files(tmp_path)
    again = Models(tmp_path, "value")
    one, other, same = again.load()
    assert one is same and one is not other
    third = Model(torch.full((4,), 2.0))
    again.write([other, third])
    after = files(tmp_path)
    assert len(after) == 1 + 2 and len(before.keys() & after.keys()) == 1 + 1
    assert numbers(Models(tmp_path, "value").load()) == [1, 2]


def test_a_value_that_lies_where_another_lay_is_written(tmp_path):
    """Python gives the place of what is gone, and with it its `id`, to what comes next."""
    checkpoint = Models(tmp_path, "value")
    for number in range(20):
        checkpoint.write([Model(torch.full((2,), float(number)))])
        assert numbers(checkpoint.load()) == [number]


@pytest.mark.parametrize("how", [*WAYS, "missing", "another's"])
def test_damage_to_what_lasts_is_told_and_nothing_comes_back(how, tmp_path):
    checkpoint = Models(tmp_path, "value")
    checkpoint.write(models(2))
    first, second = sorted((tmp_path / "checkpoint/value.lasting").iterdir())
    if how == "missing":
        first.unlink()
    elif how == "another's":
        first.write_bytes(second.read_bytes())
    else:
        harmed(first, how)
    for one in (checkpoint, Models(tmp_path, "value")):
        with pytest.warns(UserWarning, match=r"value\.pt is damaged"):
            assert one.load() is None
    Models(tmp_path, "value").write(models(2))
    assert len(Models(tmp_path, "value").load()) == 2


def test_a_kill_between_the_files_leaves_what_was_there(tmp_path, monkeypatch):
    first, second, third = models(3)
    Models(tmp_path, "value").write([first, second])
    checkpoint, put = Models(tmp_path, "value"), checkpoints.put
    _, second = checkpoint.load()

    def all_but_the_last(files: dict[str, bytes], *how: object, **named: object) -> None:
        if "value.pt" in files:
            raise KeyboardInterrupt
        put(files, *how, **named)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "put", all_but_the_last)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write([second, third])
    again = Models(tmp_path, "value")
    found = again.load()
    assert numbers(found) == [0, 1]
    again.write([found[1], third])
    assert numbers(Models(tmp_path, "value").load()) == [1, 2]
    assert len(files(tmp_path)) == 1 + 2
