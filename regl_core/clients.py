"""What a client owns, and where it lies: in the memory of the GPU, or outside it."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import ReglError
from .images import Images

SHARE = 0.4  # of the free memory of a GPU, for what would else lie in the computer's
SMALL = 2**30  # bytes; what lies in files and is no larger is read into the computer's memory


@dataclass(frozen=True)
class ClientData:
    """Images and labels that stay with their owner.

    Attributes
    ----------
    images
        uint8 (n, channels, side, side), 0 to 255, or floating point, as a network reads them.
        They can lie in files, mapped into memory (`Images`).
    labels
        int64 (n,), on the device of the images.
    """

    images: Tensor | Images
    labels: Tensor

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise ReglError(
                f"{len(self.images)} images have {len(self.labels)} labels; give one label each"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> int:
        """Size of the images."""
        return self.images.shape.numel() * self.images.dtype.itemsize

    def subset(self, index: Tensor) -> "ClientData":
        """Those at `index`, int64 or bool; images that lie in files stay there."""
        if isinstance(self.images, Images):
            return ClientData(self.images.view(index), self.labels[index])
        return ClientData(self.images[index], self.labels[index])

    def to(self, device: torch.device) -> "ClientData":
        """The same data on `device`, all of it in its memory."""
        whole = self.images[:] if isinstance(self.images, Images) else self.images
        return ClientData(whole.to(device), self.labels.to(device))

    def batches(
        self, order: Iterable[Tensor], device: torch.device
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Images, as a network reads them, and labels on `device`, for each index of `order`.

        What does not lie on a GPU that needs it is fetched one batch ahead of its use.
        """
        if device.type == "cpu" or self.labels.device == device:
            for index in order:
                yield pixels(self.images.index_select(0, index)), self.labels.index_select(0, index)
            return

        def fetched(index: Tensor) -> tuple[Tensor, Tensor]:
            pair = self.images.index_select(0, index), self.labels.index_select(0, index)
            images, labels = (one.pin_memory().to(device, non_blocking=True) for one in pair)
            return images, labels

        with ThreadPoolExecutor(1) as ahead:
            coming = None
            for index in order:
                last, coming = coming, ahead.submit(fetched, index)
                if last is not None:
                    images, labels = last.result()
                    yield pixels(images), labels
            if coming is not None:
                images, labels = coming.result()
                yield pixels(images), labels

    def in_turn(self, size: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """As `batches`, all of it in its order, `size` images at a time."""
        if isinstance(self.images, Tensor) and self.images.device == device:
            parts = self.images.split(size), self.labels.split(size)
            return ((pixels(images), labels) for images, labels in zip(*parts, strict=True))
        return self.batches(torch.arange(len(self), device=self.labels.device).split(size), device)


def pixels(images: Tensor) -> Tensor:
    """Images as a network reads them: uint8 ones as float32 from -1 (black) to 1.

    The scale is fixed: a mean over the data set would tell each client something of the images of
    the others. What is floating point is as it should be.
    """
    return images.to(torch.float32) / 127.5 - 1 if images.dtype == torch.uint8 else images


def placed(several: Sequence[ClientData], device: torch.device) -> list[ClientData]:
    """The same data where training on `device` reads it fastest.

    All of it on `device` if it fits into the memory set aside for it. Otherwise it stays where it
    is, perhaps in files, and `ClientData.batches` fetches what it needs.
    """
    fits = sum(data.bytes for data in several) <= room(device)
    return [data.to(device) if fits else data for data in several]


def room(device: torch.device) -> float:
    """Bytes that may lie on `device` besides what training itself takes there."""
    if device.type != "cuda":
        return SMALL
    # What torch keeps for later counts as taken; how much it is depends on what came before.
    torch.cuda.empty_cache()
    return SHARE * torch.cuda.mem_get_info(device)[0]


def shelf(device: torch.device, model: int, clients: int) -> torch.device:
    """Where what the clients keep and send lies between their turns.

    Four models of `model` bytes for each client are the most that a method needs: SCAFFOLD's
    control variate, old and new, and its two uploads.
    """
    return device if 4 * model * clients <= room(device) else torch.device("cpu")
