"""Memory that runs out: smaller batches go on to the same results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from toy_models import naming, pictures

from regl_core import conditions, generation, tuning
from regl_core.engine import Checkpoint
from regl_core.errors import ReglError
from regl_core.foundation import Foundation
from regl_core.system import Fitting
from tools.replica import models

SMOKE = naming({})


class Memory:
    """Holds so many items at once."""

    def __init__(self, size: int) -> None:
        self.size, self.asked = size, []

    def use(self, size: int) -> None:
        """Raises OutOfMemoryError where `size` items are too many."""
        self.asked.append(size)
        if size > self.size:
            raise torch.OutOfMemoryError(f"{size} do not fit")


@given(count=st.integers(1, 40), size=st.integers(1, 12), holds=st.integers(1, 12))
def test_all_is_made_in_order_whatever_fits(count, size, holds):
    memory, items = Memory(holds), list(range(count))

    def make(part: slice) -> list[int]:
        found = items[part]
        memory.use(len(found))
        return [10 * item for item in found]

    made = conditions.batchwise(make, count, size, Fitting("making an item"))
    assert [item for part in made for item in part] == [10 * item for item in items]
    assert all(len(part) <= min(size, holds) for part in made)
    failed = [asked for asked in memory.asked if asked > holds]
    assert len(failed) == len(set(failed))  # no size is tried again once it has failed


def test_what_fits_whole_is_made_whole():
    made = conditions.batchwise(lambda part: part, 10, 4, Fitting("making an item"))
    assert made == [slice(0, 4), slice(4, 8), slice(8, 10)]


def test_batches_are_kept_under_the_same_names_whatever_fits(tmp_path):
    """What is kept with much memory is taken up with little, and the other way round."""

    def make(memory: Memory) -> Callable[[slice], torch.Tensor]:
        def some(part: slice) -> torch.Tensor:
            memory.use(part.stop - part.start)
            return torch.arange(part.start, part.stop)

        return some

    def done(memory: Memory, folder: str) -> list[torch.Tensor]:
        checkpoint = Checkpoint(tmp_path / folder, "x")
        return conditions.batchwise(make(memory), 10, 4, Fitting("making an item"), checkpoint)

    names = {}
    for folder, first, second in (("a", 9, 1), ("b", 1, 9)):
        once = done(Memory(first), folder)
        names[folder] = sorted(path.name for path in (tmp_path / folder / "checkpoint").iterdir())
        unused = Memory(second)
        again = done(unused, folder)
        assert not unused.asked
        assert torch.equal(torch.cat(once), torch.arange(10))
        assert [part.tolist() for part in once] == [part.tolist() for part in again]
    assert names["a"] == names["b"] == ["x-0.pt", "x-4.pt", "x-8.pt"]


FULL = [
    "GET was unable to find an engine to execute this computation",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "CUDA error: out of memory",
]


@pytest.mark.parametrize("said", FULL)
def test_libraries_say_in_their_own_errors_that_memory_has_run_out(said):
    def make(size: int) -> int:
        if size > 3:
            raise RuntimeError(said)
        return size

    assert Fitting("drawing an image").tried(make, 10) == 3


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("more"), *map(RuntimeError, FULL)])
def test_an_item_that_does_not_fit_is_one_clear_error(error):
    def make(size: int) -> int:
        raise error

    with pytest.raises(ReglError, match=r"one at a time, does not fit.*foundation\.dtype"):
        Fitting("drawing an image").tried(make, 4)


@pytest.mark.parametrize("said", ["shape mismatch", "CUDA error: an illegal memory access"])
@pytest.mark.parametrize("kind", [RuntimeError, ZeroDivisionError])
def test_an_error_that_is_not_of_memory_is_tried_once(said, kind):
    sizes = []

    def make(size: int) -> int:
        sizes.append(size)
        raise kind(said)

    with pytest.raises(kind, match=said):
        Fitting("drawing an image").tried(make, 4)
    assert sizes == [4]


@pytest.fixture(scope="module")
def small() -> Foundation:
    return models.in_memory()


@contextmanager
def limited(owner: object, name: str, size: int) -> Iterator[Memory]:
    """Within the block the function `name` of `owner` takes at most `size` items at once."""
    memory, whole = Memory(size), getattr(owner, name)

    def within(*arguments: torch.Tensor, **named: torch.Tensor) -> object:
        first = next(it for it in (*arguments, *named.values()) if isinstance(it, torch.Tensor))
        memory.use(len(first))
        return whole(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, within)
        yield memory


def test_features_and_captions_are_the_same(small):
    images = pictures(5)
    features, captions = conditions.features(small, images), conditions.captions(small, images, ())
    with limited(small.image_encoder, "forward", 2) as memory:
        assert torch.allclose(conditions.features(small, images), features, atol=1e-6)
    assert memory.asked == [5, 3, 2, 2, 1]
    with limited(small.captioner, "generate", 3) as memory:
        assert conditions.captions(small, images, ()) == captions
    assert memory.asked == [5, 3, 2]


def test_images_are_the_same(small):
    prompts, seeds = [f"A photo of {k}" for k in range(5)], [(0, "test", k) for k in range(5)]
    tokens = conditions.features(small, pictures(5))

    def drawn() -> torch.Tensor:
        return generation.sample(small, prompts, tokens, seeds, SMOKE.synthesis).int()

    whole = drawn()
    with limited(small.pipeline.vae, "decode", 2) as memory:
        assert (drawn() - whole).abs().max() <= 1
    assert memory.asked == [5, 3, 2, 2, 1]


def lesson(small: Foundation, count: int) -> tuning.Lesson:
    images = pictures(count)
    prompts = [f"A photo of {k}" for k in range(count)]
    return tuning.Lesson(images, prompts, conditions.features(small, images))


def test_latents_and_states_are_the_same(small):
    whole = tuning.encode(small, lesson(small, 5))
    with (
        limited(small.pipeline.vae, "encode", 2),
        limited(small.pipeline.text_encoder, "forward", 3),
    ):
        parts = tuning.encode(small, lesson(small, 5))
    assert torch.allclose(parts.latents, whole.latents, atol=1e-5)
    assert torch.allclose(parts.states, whole.states, atol=1e-5)


def test_tuning_in_parts_is_tuning_on_the_whole_batch(small, tmp_path, monkeypatch):
    """The same gradients, step by step, and so the same adapter but for rounding.

    By plain SGD: Adam divides by their size, and would blow up the rounding of those that are zero.
    """
    how = SMOKE.lora.model_copy(update={"batch_size": 5, "steps": 3, "prior_share": 0.0})
    monkeypatch.setattr(torch.optim, "AdamW", lambda these, **_: torch.optim.SGD(these, lr=1.0))

    def tuned(folder: str) -> tuple[list[float], dict[str, torch.Tensor]]:
        seed = (0, "lora", 0)
        losses = tuning.tune(small, lesson(small, 4), None, how, tmp_path / folder, seed)
        return losses, load_file(next((tmp_path / folder).iterdir()))

    losses, adapter = tuned("whole")
    with limited(small.pipeline.unet, "forward", 2) as memory:
        in_parts, same = tuned("parts")
    assert memory.asked == [5, 3, *3 * [2, 2, 1]]
    assert in_parts == pytest.approx(losses, rel=1e-5)
    moved = {name: it for name, it in adapter.items() if "lora_B" in name}  # which start at zero
    assert max(it.abs().max() for it in moved.values()) > 1e-3
    for name, tensor in adapter.items():
        assert torch.allclose(same[name], tensor, rtol=1e-3, atol=1e-6), name


def test_a_step_that_failed_half_way_leaves_no_gradient(small, tmp_path, monkeypatch):
    """Memory runs out in the second part of the backward pass, when the first has been added."""
    how = SMOKE.lora.model_copy(update={"batch_size": 4, "steps": 1, "prior_share": 0.0})
    seed, backward, calls = (0, "lora", 0), torch.Tensor.backward, []

    def failing(loss: torch.Tensor) -> None:
        calls.append(loss)
        if len(calls) == 2:
            raise torch.OutOfMemoryError
        backward(loss)

    (whole,) = tuning.tune(small, lesson(small, 4), None, how, tmp_path / "whole", seed)
    with limited(small.pipeline.unet, "forward", 2):
        monkeypatch.setattr(torch.Tensor, "backward", failing)
        (in_parts,) = tuning.tune(small, lesson(small, 4), None, how, tmp_path / "parts", seed)
    assert len(calls) == 2 + 4 and in_parts == pytest.approx(whole, rel=1e-5)
    one, other = (load_file(next(Path(tmp_path / it).iterdir())) for it in ("whole", "parts"))
    for name, tensor in one.items():
        assert torch.allclose(other[name], tensor, atol=2e-5), name
