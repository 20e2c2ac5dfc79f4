"""The models without their weights: what one pass takes in operations and memory.

They are built on torch's meta device, where tensors have a shape and no content, from the settings
files of the models named, or, where these are not at hand, from the published ones.
"""

import copy
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .work import PART, Unit

if TYPE_CHECKING:
    from ..foundation import Foundation

META = torch.device("meta")
TEXT = 78  # tokens of a condition: the prompt's and one for the visual feature
SPOKEN = 20  # tokens of a caption (`conditions.captions`)
RANK = 8  # of an adapter; its share of the work is small at any
CLASSES = 100  # of a classifier, whose last layer is a small part of it


@dataclass(frozen=True)
class Pass:
    """What a unit of work takes.

    operations : floating-point operations of one, a multiplication and an addition being two.
    calls : how often the device is called for a whole batch.
    bytes : the most that tensors take at once for a whole batch, the model's weights left out.
    """

    operations: float
    calls: int
    bytes: float


NOTHING = Pass(0, 0, 0)
Prepared = tuple[Callable[[], Any], Pass]  # a pass to be run, and what it takes besides


@cache
def measured(unit: Unit) -> Pass:
    """Operations and memory of `unit`, which names a model. Takes a second, loads no weights."""
    run, besides = PASSES[unit.what](unit)
    with _OneAttention(), FlopCounterMode(display=False) as counter, _Live() as live:
        run()
    operations = counter.get_total_flops() + besides.operations
    return Pass(operations / unit.batch, live.calls + besides.calls, live.peak + besides.bytes)


@cache
def weights(unit: Unit) -> int:
    """Bytes of the model that does `unit`; for the text-to-image model with its text encoder."""
    return sum(it.nbytes for net in _models(unit) for it in [*net.parameters(), *net.buffers()])


@cache
def feature_width(unit: Unit) -> int:
    """Length of an image feature."""
    return _encoder(unit.model, unit.revision, unit.dtype).config.projection_dim


@cache
def rank_size(unit: Unit) -> int:
    """Numbers in an adapter of rank 1."""
    from ..tuning import TARGETS

    layers = _pipeline(unit.model, unit.revision, unit.dtype)[0].named_modules()
    own = [it for name, it in layers if name.endswith(TARGETS) and isinstance(it, nn.Linear)]
    return sum(it.in_features + it.out_features for it in own)


@cache
def lesson_size(unit: Unit) -> int:
    """Bytes of an image's latents and condition."""
    unet = _pipeline(unit.model, unit.revision, unit.dtype)[0].config
    states = TEXT * unet.cross_attention_dim * getattr(torch, unit.dtype).itemsize
    return 4 * unet.in_channels * unet.sample_size**2 + states


def at_hand(model: str, revision: str = "") -> Path | None:
    """The folder of a generative model as settings name it: shipped, given, or in the cache.

    revision : of an id on the hub; empty: the one that the cache takes for the newest.
    """
    from ..hub import FILES, SHIPPED, is_id, snapshot

    shipped, folder = SHIPPED / model, Path(model).expanduser()
    for path in (shipped / "stable-diffusion", shipped, folder):
        if path.is_dir():
            return path
    if not is_id(model):
        return None
    found = (snapshot(model, revision or None, files.entry) for files in FILES.values())
    return next((path for path in found if path), None)


def stand_in(unit: Unit) -> str:
    """Whose architecture is taken for a generative model that is not at hand."""
    if PART.get(unit.what) == "captioner":
        return "BLIP-2 with OPT of 2.7 billion parameters"
    newer = _like(unit.model) != "1.5"
    if PART.get(unit.what) == "image-encoder":
        return "OpenCLIP ViT-H/14" if newer else "CLIP ViT-L/14"
    return "Stable Diffusion 2.1" if newer else "Stable Diffusion 1.5"


def _like(model: str) -> str:
    newer = any(part in model.lower() for part in ("2-1", "2.1", "h-14"))
    return "2.1" if newer else "1.5"


@cache
def _published(like: str, dtype: str) -> "Foundation":
    from tools.replica.models import in_memory

    return in_memory(like, true_size=True, device=META, dtype=getattr(torch, dtype))


@cache
def _pipeline(model: str, revision: str, dtype: str) -> tuple[nn.Module, nn.Module, nn.Module]:
    """U-Net, autoencoder and text encoder."""
    folder = at_hand(model, revision)
    if folder is None:
        whole = _published(_like(model), dtype).pipeline
        return whole.unet, whole.vae, whole.text_encoder
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import AutoConfig, CLIPTextModel

    with META:
        parts = (
            *(
                kind.from_config(kind.load_config(folder / name))
                for kind, name in ((UNet2DConditionModel, "unet"), (AutoencoderKL, "vae"))
            ),
            CLIPTextModel(AutoConfig.from_pretrained(folder / "text_encoder")),
        )
    return tuple(_frozen(part, dtype) for part in parts)


@cache
def _encoder(model: str, revision: str, dtype: str) -> nn.Module:
    folder = at_hand(model, revision)
    if folder is None:
        return _published(_like(model), dtype).image_encoder
    from transformers import AutoConfig, CLIPVisionModelWithProjection

    config = AutoConfig.from_pretrained(folder)
    if hasattr(config, "vision_config"):  # those of a whole CLIP
        config.vision_config.projection_dim = config.projection_dim
        config = config.vision_config
    with META:
        return _frozen(CLIPVisionModelWithProjection(config), dtype)


@cache
def _captioner(model: str, revision: str, dtype: str) -> nn.Module:
    folder = at_hand(model, revision)
    if folder is None:
        return _published("1.5", dtype).captioner
    from transformers import AutoConfig, AutoModelForImageTextToText

    with META:
        config = AutoConfig.from_pretrained(folder)
        return _frozen(AutoModelForImageTextToText.from_config(config), dtype)


def _classifier(unit: Unit) -> nn.Module:
    return _network(unit.model, unit.side, unit.dtype)


@cache
def _network(model: str, side: int, dtype: str) -> nn.Module:
    from ..models import build

    name, width = model.split()
    with META:
        return build(name, CLASSES, int(width), side, seed=0).to(getattr(torch, dtype))


def _frozen(net: nn.Module, dtype: str) -> nn.Module:
    from diffusers.utils import logging

    logging.set_verbosity_error()  # it warns of a number format that nothing is computed in
    return net.to(getattr(torch, dtype)).requires_grad_(False).eval()


def _models(unit: Unit) -> tuple[nn.Module, ...]:
    if unit.side:
        return (_classifier(unit),)
    if unit.what in ("embedded", "feature"):
        return (_encoder(unit.model, unit.revision, unit.dtype),)
    if unit.what == "captioned":
        return (_captioner(unit.model, unit.revision, unit.dtype),)
    return _pipeline(unit.model, unit.revision, unit.dtype)


def _empty(unit: Unit, *shape: int) -> Tensor:
    dtype = getattr(torch, unit.dtype)
    return torch.empty(unit.batch, *shape, device=META, dtype=dtype)


def _denoised(unit: Unit) -> Prepared:
    unet = _pipeline(unit.model, unit.revision, unit.dtype)[0]
    return torch.no_grad()(lambda: unet(*_noisy(unit, unet))), NOTHING


def _noisy(unit: Unit, unet: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, time steps and conditions."""
    side, width = unet.config.sample_size, unet.config.cross_attention_dim
    times = torch.zeros(unit.batch, dtype=torch.int64, device=META)
    return _empty(unit, unet.config.in_channels, side, side), times, _empty(unit, TEXT, width)


def _tuned(unit: Unit) -> Prepared:
    from peft import LoraConfig

    from ..tuning import ADAPTER, TARGETS

    unet = copy.deepcopy(_pipeline(unit.model, unit.revision, unit.dtype)[0])
    unet.add_adapter(LoraConfig(r=RANK, target_modules=list(TARGETS)), adapter_name=ADAPTER)

    def run() -> None:
        unet(*_noisy(unit, unet)).sample.float().square().mean().backward()

    return run, NOTHING


def _decoded(unit: Unit) -> Prepared:
    unet, vae, _ = _pipeline(unit.model, unit.revision, unit.dtype)
    shape = vae.config.latent_channels, unet.config.sample_size, unet.config.sample_size
    return torch.no_grad()(lambda: vae.decode(_empty(unit, *shape))), NOTHING


def _encoded(unit: Unit) -> Prepared:
    unet, vae, _ = _pipeline(unit.model, unit.revision, unit.dtype)
    side = unet.config.sample_size * 2 ** (len(vae.config.block_out_channels) - 1)
    shape = vae.config.in_channels, side, side
    return torch.no_grad()(lambda: vae.encode(_empty(unit, *shape))), NOTHING


def _embedded(unit: Unit) -> Prepared:
    encoder = _encoder(unit.model, unit.revision, unit.dtype)
    side = encoder.config.image_size
    return torch.no_grad()(lambda: encoder(_empty(unit, 3, side, side))), NOTHING


def _captioned(unit: Unit) -> Prepared:
    """The image is encoded once; every token passes the rest, two operations for a weight."""
    captioner = _captioner(unit.model, unit.revision, unit.dtype)
    side = captioner.config.vision_config.image_size
    tokens = SPOKEN + getattr(captioner.config, "num_query_tokens", 0)
    language = captioner.config.get_text_config()
    spoken = _numbers(captioner) - _numbers(captioner.vision_model)
    remembered = 2 * language.num_hidden_layers * language.hidden_size * tokens
    size = getattr(torch, unit.dtype).itemsize
    calls = SPOKEN * sum(not list(layer.children()) for layer in captioner.modules())
    besides = Pass(2 * spoken * tokens * unit.batch, calls, size * remembered * unit.batch)
    return torch.no_grad()(lambda: captioner.vision_model(_empty(unit, 3, side, side))), besides


def _numbers(net: nn.Module) -> int:
    return sum(it.numel() for it in net.parameters())


def _trained(unit: Unit) -> Prepared:
    net = copy.deepcopy(_classifier(unit)).train()
    return lambda: net(_empty(unit, 3, unit.side, unit.side)).sum().backward(), NOTHING


def _evaluated(unit: Unit) -> Prepared:
    net = copy.deepcopy(_classifier(unit)).eval()
    return torch.no_grad()(lambda: net(_empty(unit, 3, unit.side, unit.side))), NOTHING


PASSES: dict[str, Callable[[Unit], Prepared]] = {
    "denoised": _denoised,
    "tuned": _tuned,
    "decoded": _decoded,
    "encoded": _encoded,
    "embedded": _embedded,
    "captioned": _captioned,
    "trained": _trained,
    "evaluated": _evaluated,
}


class _Live(TorchDispatchMode):
    """The most bytes that tensors made within the block took at once, `peak`, and its `calls`."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self.calls = self._now = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None) -> Any:
        made = function(*args, **(kwargs or {}))
        self.calls += 1
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._sizes:
            return
        self._sizes[storage._cdata] = storage.nbytes()
        self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._remove, storage._cdata)

    def _remove(self, address: int) -> None:
        self._now -= self._sizes.pop(address)


class _OneAttention(TorchFunctionMode):
    """Attention as GPUs compute it, without a matrix of all pairs of tokens."""

    def __torch_function__(self, function, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if function is F.scaled_dot_product_attention and kwargs.get("attn_mask") is None:
            named = [kwargs[name] for name in ("query", "key", "value")[len(args) :]]
            fused = torch.ops.aten._scaled_dot_product_flash_attention
            return fused(*args[:3], *named)[0]
        return function(*args, **kwargs)
