"""Models on the meta device: known operations, sizes and the most that is alive at once."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from toy_models import IDS, cache, cached, naming

from regl_core.hub import SHIPPED
from regl_core.plan import architectures
from regl_core.plan.architectures import at_hand, feature_width, measured, rank_size, weights
from regl_core.plan.work import Unit, generative
from tools.replica import models as replica

__all__ = ["cache"]

SD, CLIP = "stable-diffusion-v1-5/stable-diffusion-v1-5", "openai/clip-vit-large-patch14"
BLIP2, NEWER = "Salesforce/blip2-opt-2.7b", "someone/stable-diffusion-2-1-base"
MIB = 2**20


def unit(what: str, model: str, side: int = 0, batch: int = 1, dtype: str = "bfloat16") -> Unit:
    return Unit(what, model, side, batch, dtype)


def test_a_resnet34_takes_its_known_operations():
    """3.66 billion multiplications and additions at 224 pixels (He et al. 2016: 3.6)."""
    forward = measured(unit("evaluated", "resnet34 64", 224, 2)).operations
    assert forward == pytest.approx(2 * 3.66e9, rel=2e-3)
    both = measured(unit("trained", "resnet34 64", 224, 2)).operations
    # Backward to weights and to inputs, these but for the first layer.
    assert both == pytest.approx(3 * forward, rel=0.03)
    # 64 pixels: 4 rather than 49 places before the last pooling.
    small = measured(unit("evaluated", "resnet34 64", 64)).operations
    assert small == pytest.approx(forward * 4 / 49, rel=0.01)


def test_stable_diffusion_takes_its_known_size_and_operations():
    """U-Net 859.5, autoencoder 83.7, text encoder 123.1 million parameters; 0.40 · 10¹² pairs."""
    assert weights(unit("denoised", SD)) == pytest.approx(2 * 1066.2e6, rel=2e-3)
    assert weights(unit("denoised", SD, dtype="float32")) == pytest.approx(4 * 1066.2e6, rel=2e-3)
    once = measured(unit("denoised", SD)).operations
    assert once == pytest.approx(2 * 0.402e12, rel=0.01)
    assert measured(unit("denoised", SD, batch=4)).operations == pytest.approx(once, rel=1e-6)
    # Forward, and backward to activations alone: no weight but the adapter's has a gradient.
    assert 2.0 < measured(unit("tuned", SD)).operations / once < 2.5
    decoded, encoded = (measured(unit(what, SD)).operations for what in ("decoded", "encoded"))
    assert decoded == pytest.approx(2.5e12, rel=0.02) and encoded < decoded


def test_the_other_models_have_their_known_sizes():
    """CLIP ViT-L/14's image encoder 304 million, BLIP-2 with OPT-2.7b 3.7 billion parameters."""
    assert weights(unit("embedded", CLIP)) == pytest.approx(2 * 304e6, rel=0.01)
    assert weights(unit("captioned", BLIP2)) == pytest.approx(2 * 3.74e9, rel=0.04)
    assert measured(unit("embedded", CLIP)).operations == pytest.approx(2 * 81e9, rel=0.02)
    assert feature_width(unit("feature", CLIP)) == 768
    assert feature_width(unit("feature", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K")) == 1024
    assert weights(unit("denoised", NEWER)) > weights(unit("denoised", SD))
    # Published adapters of rank 4 have 797,184 numbers.
    assert rank_size(unit("rank", SD)) == 797184 / 4


def test_models_at_hand_are_read_and_others_taken_for_published_ones(tmp_path):
    assert at_hand("tiny") == SHIPPED / "tiny" / "stable-diffusion"
    assert at_hand("tiny/captioner") == SHIPPED / "tiny" / "captioner"
    assert at_hand(SD) is None and at_hand(str(tmp_path / "none")) is None
    folder = replica.stable_diffusion(tmp_path / "sd", "1.5")
    assert at_hand(str(folder)) == folder
    assert weights(unit("denoised", str(folder))) < weights(unit("denoised", SD)) / 100
    clip = replica.clip(tmp_path / "clip", "2.1")
    encoder = unit("embedded", str(clip))
    config = json.loads((clip / "config.json").read_text())
    assert feature_width(encoder) == config["projection_dim"]
    assert measured(encoder).operations < 1e9
    captioner = replica.blip2(tmp_path / "blip2")
    assert weights(unit("captioned", str(captioner))) < MIB
    names = {what: architectures.stand_in(unit(what, SD)) for what in ("tuned", "captioned")}
    assert names["tuned"] == "Stable Diffusion 1.5" and names["captioned"].startswith("BLIP-2")
    assert architectures.stand_in(unit("decoded", NEWER)) == "Stable Diffusion 2.1"


def test_a_model_is_at_hand_at_the_revision_that_settings_name(cache, tmp_path):
    """Downloaded by its commit or a tag, it is no newest one to the cache."""
    commit, name = "1" * 40, IDS["name"]
    snapshot = cached(cache, name, replica.stable_diffusion(tmp_path / "sd", "1.5"), commit, "v1")
    assert at_hand(name) is None
    for revision in (commit, "v1"):
        assert at_hand(name, revision) == snapshot
        own = generative("denoised", naming(IDS, revision=revision).foundation)
        assert weights(own) < weights(unit("denoised", SD)) / 100
    assert at_hand(name, "v2") is None


def numbers(folder: Path) -> int:
    """In the weights below `folder`."""
    total = 0
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            total += sum(file.get_tensor(name).numel() for name in set(file.keys()))
    return total


@pytest.mark.parametrize(
    ("what", "model", "part"),
    [
        ("denoised", "tiny", "stable-diffusion"),
        ("embedded", "tiny/image-encoder", "image-encoder"),
        ("captioned", "tiny/captioner", "captioner"),
    ],
)
def test_the_shipped_models_have_the_size_of_their_files(what, model, part):
    held = weights(unit(what, model, dtype="float32"))
    # Numbers of positions are made, not stored; they take 8 bytes each.
    assert held == pytest.approx(4 * numbers(SHIPPED / "tiny" / part), rel=0.01)


def test_memory_grows_with_batch_side_and_precision():
    def bytes_of(**how) -> float:
        return measured(unit("trained", "resnet34 64", **how)).bytes

    small = bytes_of(side=128, batch=64)
    assert bytes_of(side=128, batch=128) == pytest.approx(2 * small, rel=0.15)
    assert bytes_of(side=256, batch=64) == pytest.approx(4 * small, rel=0.2)
    assert bytes_of(side=128, batch=64, dtype="float32") == pytest.approx(2 * small, rel=0.05)
    assert measured(unit("evaluated", "resnet34 64", 128, 64)).bytes < small / 2


def test_the_peak_is_what_is_alive_at_once():
    with architectures._Live() as live:
        first = torch.empty(MIB, dtype=torch.uint8, device="meta")
        second = first.repeat(2)
        view = second[:10]
        del second  # the view holds all of it
        third = torch.empty(3 * MIB, dtype=torch.uint8, device="meta")
        assert live.peak == 6 * MIB
        del view, third
        fourth = torch.empty(4 * MIB, dtype=torch.uint8, device="meta")
        assert live.peak == 6 * MIB
        fifth = torch.empty(MIB, dtype=torch.uint8, device="meta")
    assert live.peak == 6 * MIB and live.calls >= 5
    assert len(first) + len(fourth) + len(fifth) == 6 * MIB


def test_attention_holds_no_matrix_of_all_pairs():
    def peak(tokens: int) -> float:
        q = torch.empty(1, 8, tokens, 40, dtype=torch.bfloat16, device="meta")
        with architectures._OneAttention(), architectures._Live() as live:
            torch.nn.functional.scaled_dot_product_attention(q, q, q)
        return live.peak

    assert peak(4096) < 3 * peak(2048)
