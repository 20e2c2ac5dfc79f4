"""What is kept: it comes back as it was, or not at all."""

import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file

from regl_core.engine import checkpoints as module
from regl_core.engine import valuefile
from regl_core.engine.checkpoints import Checkpoint
from regl_core.engine.resuming import piecewise, stepwise

VALUE = {
    "tensors": (torch.arange(6.0).view(2, 3).T, torch.tensor(True), torch.zeros(0, 4)),
    "types": [torch.tensor(2**40), torch.tensor([1 / 3], dtype=torch.bfloat16)],
    3: {"loss": 0.1, "worst": math.inf, "text": "β", "none": None, "yes": True},
}


def test_a_value_comes_back_bit_for_bit(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new" / "value.safetensors")
    assert checkpoint.load() is None
    checkpoint.write(VALUE)
    found = checkpoint.load()
    assert list(found) == ["tensors", "types", 3] and found[3] == VALUE[3]
    for name in ("tensors", "types"):
        assert isinstance(found[name], tuple) and len(found[name]) == len(VALUE[name])
        for mine, theirs in zip(found[name], VALUE[name], strict=True):
            assert mine.dtype == theirs.dtype and torch.equal(mine, theirs)


def test_it_is_saved_now_and_then_and_written_at_once(tmp_path):
    file = tmp_path / "value.safetensors"
    seldom, always = Checkpoint(file), Checkpoint(file, every=0.0)
    assert always.due and not seldom.due
    seldom.save(1)
    assert not file.exists()
    seldom.write(2)
    assert always.load() == 2
    always.save(3)
    assert seldom.load() == 3


class Clock:
    """Stands still while nothing is saved, which takes `saving` seconds."""

    now = saving = 0.0

    def monotonic(self) -> float:
        return self.now

    def save_file(self, tensors, path, metadata) -> None:
        self.now += self.saving
        save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize(("saving", "wait"), [(0.0, 30), (3.0, 30), (6.0, 60), (60.0, 600)])
def test_a_kill_costs_half_a_minute_or_ten_times_what_a_save_takes(
    saving, wait, tmp_path, monkeypatch
):
    """As README says, section Resume."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(valuefile, "save_file", clock.save_file)
    checkpoint = Checkpoint(tmp_path / "value.safetensors") / "within"
    clock.now += 29
    assert not checkpoint.due
    clock.now += 1
    assert checkpoint.due
    clock.saving = saving
    checkpoint.save(1)
    clock.now += wait - 1
    assert not checkpoint.due
    clock.now += 1
    assert checkpoint.due


def test_each_name_has_a_value_of_its_own(tmp_path):
    checkpoint = Checkpoint(tmp_path / "value.safetensors", every=0.0)
    for number, one in enumerate(
        [checkpoint, checkpoint / "a", checkpoint / "b", checkpoint / "a" / "b"]
    ):
        one.save(number)
    again = Checkpoint(tmp_path / "value.safetensors")
    found = [one.load() for one in [again, again / "a", again / "b", again / "a" / "b"]]
    assert found == [0, 1, 2, 3]


def harmed(file: Path, how: str) -> None:
    content = file.read_bytes()
    if how == "truncated":
        content = content[:-1]
    elif how == "empty":
        content = b""
    elif how == "another number":
        assert content.count(b"0.25") == 1
        content = content.replace(b"0.25", b"0.75")
    else:
        content = content[:-1] + bytes([content[-1] ^ 1])
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "empty", "another number", "a bit of a tensor"])
def test_damage_is_told_and_nothing_comes_back(how, tmp_path):
    file = tmp_path / "value.safetensors"
    checkpoint = Checkpoint(file)
    checkpoint.write({"loss": 0.25, "weights": torch.ones(3)})
    harmed(file, how)
    with pytest.warns(UserWarning, match=r"value\.safetensors is damaged"):
        assert checkpoint.load() is None


def test_a_kill_while_it_is_written_leaves_what_was_there(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "value.safetensors")
    checkpoint.write("first")

    def half(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(valuefile, "save_file", half)
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
    file, fractions = tmp_path / "steps.safetensors", []
    begun = Sum()
    assert (
        stepwise(begun.add, steps, [begun], Checkpoint(file, every=0.0)) == [0, 1, 3, 6, 10][:steps]
    )
    total = Sum()
    found = stepwise(total.add, 5, [total], Checkpoint(file), fractions.append)
    assert found == [0, 1, 3, 6, 10] and total.total == 10
    assert fractions == [number / 5 for number in range(steps + 1, 6)]


def test_pieces_that_are_there_are_not_made_again(tmp_path):
    made, fractions = [], []

    def square(number: int) -> int | None:
        made.append(number)
        return number**2 if number else None

    checkpoint = Checkpoint(tmp_path / "pieces.safetensors")
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
    value = [plain, *several, *last, plain.bfloat16().to(memory_format=torch.channels_last)]
    checkpoint = Checkpoint(tmp_path / "value.safetensors")
    checkpoint.write(value)
    for mine, theirs in zip(checkpoint.load(), value, strict=True):
        assert torch.equal(mine, theirs) and mine.dtype == theirs.dtype
        assert mine.stride() == theirs.stride()


def test_what_lies_in_memory_is_not_copied_to_be_written(tmp_path, monkeypatch):
    """Two hundred clients' models take tens of gigabytes; there may be no room for them twice."""
    own, seen = [torch.randn(4, 3), torch.arange(9)[2:5]], []
    own.append(torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last))

    def save_file(tensors, path, metadata):
        seen.extend(tensor.data_ptr() for tensor in tensors.values())
        safetensors.torch.save_file(tensors, path, metadata)

    monkeypatch.setattr(valuefile, "save_file", save_file)
    checkpoint = Checkpoint(tmp_path / "value.safetensors")
    checkpoint.write(own)
    assert seen == [tensor.data_ptr() for tensor in own]
    for mine, theirs in zip(checkpoint.load(), own, strict=True):
        assert torch.equal(mine, theirs) and mine.data_ptr() != theirs.data_ptr()


def test_tensors_that_share_memory_come_back_apart(tmp_path):
    whole = torch.arange(6.0).view(2, 3)
    value = [whole, whole, whole[0], whole[1], whole.T, whole.view(3, 2)]
    checkpoint = Checkpoint(tmp_path / "value.safetensors")
    checkpoint.write(value)
    found = checkpoint.load()
    for mine, theirs in zip(found, value, strict=True):
        assert torch.equal(mine, theirs)
    assert len({it.untyped_storage().data_ptr() for it in found}) == len(value)


@dataclass(frozen=True)
class Model:
    """Never changed once it is made."""

    weights: torch.Tensor


class Models(Checkpoint):
    kinds = (Model,)
    lasting = (Model,)


def files(folder: Path) -> dict[str, int]:
    """Of each file below when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def models(count: int) -> list[Model]:
    return [Model(torch.full((4,), float(number))) for number in range(count)]


def test_what_lasts_is_written_once(tmp_path):
    checkpoint, (first, second, third) = Models(tmp_path / "value.safetensors"), models(3)
    checkpoint.write({"round": 0, "clients": [first, first, second]})
    before = files(tmp_path)
    assert len(before) == 1 + 2
    checkpoint.write({"round": 1, "clients": [first, third, second]})
    after = files(tmp_path)
    new = after.keys() - before.keys()
    assert len(new) == 1
    assert {name for name in before if after[name] != before[name]} == {"value.safetensors"}
    found = checkpoint.load()
    assert found["round"] == 1
    for mine, theirs in zip(found["clients"], [first, third, second], strict=True):
        assert torch.equal(mine.weights, theirs.weights)


def test_what_lasts_no_longer_is_deleted(tmp_path):
    checkpoint, (first, second) = Models(tmp_path / "value.safetensors"), models(2)
    checkpoint.write([first, second])
    checkpoint.write([second])
    assert len(files(tmp_path)) == 1 + 1
    assert torch.equal(checkpoint.load()[0].weights, second.weights)
    checkpoint.write([])
    assert list(files(tmp_path)) == ["value.safetensors"] and checkpoint.load() == ()


def test_who_goes_on_writes_nothing_again_and_the_same_value_once(tmp_path):
    file, (first, second) = tmp_path / "value.safetensors", models(2)
    Models(file).write([first, second, first])
    before = files(tmp_path)
    again = Models(file)
    one, other, same = again.load()
    assert one is same and one is not other
    third = Model(torch.zeros(4))  # equal to another, and not it
    again.write([other, third])
    after = files(tmp_path)
    assert len(after) == 1 + 2 and len(before.keys() & after.keys()) == 1 + 1
    assert torch.equal(Models(file).load()[0].weights, second.weights)


def test_a_value_that_lies_where_another_lay_is_written(tmp_path):
    """Python gives the place of what is gone, and with it its `id`, to what comes next."""
    checkpoint = Models(tmp_path / "value.safetensors")
    for number in range(20):
        checkpoint.write([Model(torch.full((2,), float(number)))])
        assert checkpoint.load()[0].weights.tolist() == [number, number]


@pytest.mark.parametrize("how", ["truncated", "empty", "a bit of a tensor", "missing", "another's"])
def test_damage_to_what_lasts_is_told_and_nothing_comes_back(how, tmp_path):
    checkpoint = Models(tmp_path / "value.safetensors")
    checkpoint.write(models(2))
    first, second = sorted((tmp_path / "value.lasting").iterdir())
    if how == "missing":
        first.unlink()
    elif how == "another's":
        first.write_bytes(second.read_bytes())
    else:
        harmed(first, how)
    for one in (checkpoint, Models(tmp_path / "value.safetensors")):
        with pytest.warns(UserWarning, match=r"value\.safetensors is damaged"):
            assert one.load() is None
    Models(tmp_path / "value.safetensors").write(models(2))
    assert len(Models(tmp_path / "value.safetensors").load()) == 2


def test_a_kill_between_the_files_leaves_what_was_there(tmp_path, monkeypatch):
    file, (first, second, third) = tmp_path / "value.safetensors", models(3)
    Models(file).write([first, second])
    checkpoint = Models(file)
    _, second = checkpoint.load()

    def all_but_the_last(tensors, path, metadata):
        if Path(path).name.startswith("value"):
            raise KeyboardInterrupt
        save_file(tensors, path, metadata=metadata)

    with monkeypatch.context() as patch:
        patch.setattr(valuefile, "save_file", all_but_the_last)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write([second, third])
    again = Models(file)
    found = again.load()
    assert [one.weights[0].item() for one in found] == [0, 1]
    again.write([found[1], third])
    assert [one.weights[0].item() for one in Models(file).load()] == [1, 2]
    assert len(files(tmp_path)) == 1 + 2
