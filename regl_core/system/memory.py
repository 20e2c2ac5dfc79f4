"""Memory that runs out: as many items at once as a device holds, or an error with advice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from ..errors import ReglError

Made = TypeVar("Made")

# cuDNN takes an engine that needs less when memory runs out, and at last says that it has none;
# cuBLAS and cuDNN say ALLOC_FAILED. These are plain errors, as is what CUDA says outside of torch's
# own allocator.
EXHAUSTED = ("unable to find an engine", "ALLOC_FAILED", "CUDA error: out of memory")


def exhausted(error: RuntimeError) -> bool:
    """Whether memory has run out, whichever library says so."""
    import torch

    told = any(text in str(error) for text in EXHAUSTED)
    return told or isinstance(error, torch.OutOfMemoryError)


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

    def __init__(self, what: str) -> None:
        """`what` is done with an item: "drawing an image", say."""
        self._what, self._most = what, 0

    def tried(self, work: Callable[[int], Made], count: int) -> Made:
        """``work(size)``, where size is `count` or what of it fits at once.

        After an attempt that ran out of memory `work` is called anew, with half of the size.
        Raises ReglError where not even one item fits.
        """
        import torch

        alone = (
            f"out of memory: {self._what}, one at a time, does not fit; end other programs that "
            "use this memory, set foundation.dtype to bfloat16, or name smaller models "
            "(foundation.name, foundation.captioner)"
        )
        while True:
            size = min(count, self._most or count)
            try:
                with advised(alone) if size == 1 else nullcontext():
                    return work(size)
            except RuntimeError as error:
                if not exhausted(error):
                    raise
            # Out of the handler: the traceback holds on to all that the attempt had allocated.
            self._most = (size + 1) // 2
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
