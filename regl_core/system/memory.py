"""Memory that runs out: as many items at once as a device holds, or an error with advice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..errors import ReglError

if TYPE_CHECKING:
    import torch

Made = TypeVar("Made")

# cuDNN takes an engine that needs less when memory runs out, and at last says that it has none;
# cuBLAS and cuDNN say ALLOC_FAILED. Both are plain errors, as is what CUDA says outside of torch's
# own allocator.
NO_ENGINE = "unable to find an engine"
EXHAUSTED = (NO_ENGINE, "ALLOC_FAILED", "CUDA error: out of memory")


def exhausted(error: Exception) -> bool:
    """Whether memory has run out, whichever library says so.

    That cuDNN has no engine can also mean that the GPU does not know the number format.
    """
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in EXHAUSTED)


@contextmanager
def advised(advice: str) -> Iterator[None]:
    """Within the block memory that runs out is a ReglError: `advice`, and what the library says."""
    try:
        yield
    except RuntimeError as error:
        if not exhausted(error):
            raise
        raise ReglError(f"{advice} ({str(error).splitlines()[0]})") from error


class Fitting:
    """How many items are worked on at once: as many as asked for, until memory runs out.

    Then half as many, and so on; what one batch has found out the next ones start from. It is for
    work in which no item sees another, so that it gives the same but for rounding.
    """

    def __init__(self, what: str, device: "torch.device") -> None:
        """`what` is done with an item, on `device`: "drawing an image", say."""
        self._what, self._device = what, device
        self._most: int | None = None

    def tried(self, work: Callable[[int], Made], count: int) -> Made:
        """``work(size)``, where size is `count` or what of it fits at once.

        After an attempt that ran out of memory `work` is called anew, with half of the size.

        Raises
        ------
        ReglError
            Not even one item fits.
        RuntimeError
            cuDNN has no engine even for one item, which need not be for want of memory.
        """
        import torch

        while True:
            size = count if self._most is None else min(count, self._most)
            try:
                return work(size)
            except RuntimeError as error:
                if not exhausted(error) or (size == 1 and NO_ENGINE in str(error)):
                    raise
                if size == 1:
                    raise ReglError(self._too_large()) from None
            # Out of the handler: the traceback holds on to all that the attempt had allocated.
            self._most = (size + 1) // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def parts(self, make: Callable[[slice], Made], start: int, stop: int) -> list[Made]:
        """What `make` makes of the items from `start` to `stop`, part by part, in order."""
        made: list[Made] = []
        while start < stop:

            def some(size: int, start: int = start) -> tuple[int, Made]:
                return start + size, make(slice(start, start + size))

            start, found = self.tried(some, stop - start)
            made.append(found)
        return made

    def _too_large(self) -> str:
        import torch

        where = "this machine"
        if self._device.type == "cuda":
            free, total = (number / 1e9 for number in torch.cuda.mem_get_info(self._device))
            name = torch.cuda.get_device_name(self._device)
            where = f"{name}, which has {total:.0f} GB ({free:.1f} GB free)"
        return (
            f"out of memory: {self._what}, one at a time, does not fit on {where}; end other "
            "programs that use its memory, set foundation.dtype to bfloat16, or name smaller "
            "models (foundation.name, foundation.captioner)"
        )
