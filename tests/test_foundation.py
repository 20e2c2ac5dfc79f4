"""The shipped models: their layout, their checksums, and what happens when a file is not right."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from regl_core import conditions, foundation, generation, hub, tuning
from regl_core.errors import ReglError
from regl_core.params import FoundationSettings, load

SETTINGS = load("smoke")
TINY = hub.SHIPPED / "tiny"
WEIGHTS = "stable-diffusion/unet/diffusion_pytorch_model.safetensors"
LIMIT = 12 * 10**6  # bytes; 1-4 M parameters per model at most


def named(**names: str) -> FoundationSettings:
    return SETTINGS.foundation.model_copy(update=names)


@pytest.fixture(scope="module")
def tiny() -> foundation.Foundation:
    return foundation.load(SETTINGS.foundation)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped foundation, in the place of the shipped one."""
    shutil.copytree(TINY, tmp_path / "tiny")
    monkeypatch.setattr(hub.components, "SHIPPED", tmp_path)
    return tmp_path / "tiny"


def test_shipped_models_are_small_and_of_the_real_classes(tiny: foundation.Foundation) -> None:
    files = [p for p in TINY.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= LIMIT
    assert not [p for p in files if p.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt")]
    pipeline = tiny.pipeline
    models = {
        "AutoencoderKL": pipeline.vae,
        "UNet2DConditionModel": pipeline.unet,
        "CLIPTextModel": pipeline.text_encoder,
        "CLIPVisionModelWithProjection": tiny.image_encoder,
        "BlipForConditionalGeneration": tiny.captioner,
    }
    assert [type(model).__name__ for model in models.values()] == [*models]
    assert type(pipeline).__name__ == "StableDiffusionPipeline"
    for model in models.values():
        assert sum(p.numel() for p in model.parameters()) <= 4e6
        assert not any(p.requires_grad for p in model.parameters())
        assert not model.training


def flipped(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def halved(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        *((harm, WEIGHTS) for harm in (flipped, halved, Path.unlink)),
        (Path.touch, "stable-diffusion/extra.bin"),
        (Path.unlink, hub.SUMS),
    ],
)
def test_a_damaged_foundation_is_refused_by_name(copy: Path, harm: Callable, name: str) -> None:
    harm(copy / name)
    for attempt in (foundation.load, lambda its: hub.Sources(its).digest()):
        with pytest.raises(ReglError, match=Path(name).name):
            attempt(SETTINGS.foundation)


@pytest.mark.parametrize("name", ["tinny", "./models/sd", "/no/such/folder"])
def test_a_name_that_is_nothing_is_refused(name: str) -> None:
    with pytest.raises(ReglError, match=name):
        foundation.load(named(name=name, image_encoder="a/b", captioner="a/b"))


def test_no_gpu_is_one_clear_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ReglError, match="GPU"):
        foundation.pick_device("cuda")
    assert foundation.pick_device("auto").type == "cpu"


def test_an_image_does_not_depend_on_its_batch(tiny: foundation.Foundation) -> None:
    prompts = ["A photo of three", "A photo of eight", "A photo of letter q"]
    seeds = [(0, "test", i) for i in range(3)]
    together = generation.sample(tiny, prompts, None, seeds, SETTINGS.synthesis)
    single = SETTINGS.synthesis.model_copy(update={"batch_size": 1})
    alone = generation.sample(tiny, prompts, None, seeds, single)
    assert together.shape == (3, 3, tiny.image_side, tiny.image_side)
    assert together.dtype == torch.uint8
    # Rounding to 8 bits can differ by one grey level where batches sum in another order.
    assert (together.int() - alone.int()).abs().max() <= 1
    assert not torch.equal(together[0], together[1])


def test_a_visual_token_changes_the_image_and_zero_is_allowed(tiny: foundation.Foundation) -> None:
    width = tiny.pipeline.unet.config.cross_attention_dim
    token = torch.nn.functional.normalize(torch.ones(1, width), dim=1)
    states, empty = conditions.prompt_embeddings(tiny, ["A photo of three"], token)
    plain, _ = conditions.prompt_embeddings(tiny, ["A photo of three"], None)
    assert states.shape == empty.shape == (1, plain.shape[1] + 1, width)
    assert torch.equal(states[:, :-1], plain)
    assert torch.allclose(states[0, -1].norm(), plain.norm(dim=2).mean())
    assert not empty[0, -1].any()


def _lesson(tiny: foundation.Foundation, n: int) -> tuning.Lesson:
    side = tiny.image_side
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 3, side, side), generator=generator, dtype=torch.uint8)
    return tuning.Lesson(images, ["A photo of three"] * n, None)


def test_tuning_leaves_the_model_as_it_was_and_repeats(
    tiny: foundation.Foundation, tmp_path: Path
) -> None:
    before = {k: v.clone() for k, v in tiny.pipeline.unet.state_dict().items()}
    lesson = _lesson(tiny, 5)
    first = tuning.tune(tiny, lesson, None, SETTINGS.lora, tmp_path / "a", (0, "lora", 0))
    second = tuning.tune(tiny, lesson, None, SETTINGS.lora, tmp_path / "b", (0, "lora", 0))
    other = tuning.tune(tiny, lesson, None, SETTINGS.lora, tmp_path / "c", (1, "lora", 0))
    after = tiny.pipeline.unet.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert first == second != other
    name = next((tmp_path / "a").iterdir()).name
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_prior_images_are_part_of_every_batch(tiny: foundation.Foundation, tmp_path: Path) -> None:
    lesson, other = _lesson(tiny, 5), _lesson(tiny, 2)
    alone = tuning.tune(tiny, lesson, None, SETTINGS.lora, tmp_path / "a", (0, "lora", 0))
    with_prior = tuning.tune(tiny, lesson, other, SETTINGS.lora, tmp_path / "b", (0, "lora", 0))
    assert alone != with_prior


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_target_is_the_noise_or_the_velocity(prediction: str) -> None:
    from diffusers import DDPMScheduler

    schedule = DDPMScheduler(prediction_type=prediction)
    latents, noise = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
    t = torch.tensor([0, 10, 500, 999])
    signal = schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
    velocity = signal.sqrt() * noise - (1 - signal).sqrt() * latents
    expected = noise if prediction == "epsilon" else velocity
    assert torch.allclose(tuning.target(schedule, latents, noise, t), expected, atol=1e-6)


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder", "image_encoder"])
def test_nothing_that_is_not_finite_becomes_an_image_a_feature_or_an_adapter(
    part: str, tmp_path: Path
) -> None:
    broken = foundation.load(SETTINGS.foundation)
    whole = broken.image_encoder if part == "image_encoder" else getattr(broken.pipeline, part)
    with torch.no_grad():
        for weight in whole.parameters():
            weight.fill_(torch.nan)
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    told = r"the foundation \S+tiny/stable-diffusion gave NaN or infinity in float32"
    with pytest.raises(ReglError, match=told):
        if part == "image_encoder":
            conditions.features(broken, images)
        else:
            lesson = tuning.Lesson(images, ["A photo of one"] * 2, None)
            tuning.tune(broken, lesson, None, SETTINGS.lora, tmp_path / "adapter", (0,))
    if part != "image_encoder":
        with pytest.raises(ReglError, match=told):
            generation.sample(broken, ["A photo of one"], None, [(0,)], SETTINGS.synthesis)


def test_an_adapter_that_exploded_generates_nothing(
    tiny: foundation.Foundation, tmp_path: Path
) -> None:
    lesson = tuning.Lesson(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), ["one"] * 2, None)
    wild = SETTINGS.lora.model_copy(update={"rate": 1e20, "steps": 1})
    tuning.tune(tiny, lesson, None, wild, tmp_path / "adapter", (0,))
    with (
        tuning.with_adapter(tiny, tmp_path / "adapter", 1.0),
        pytest.raises(ReglError, match=r"lower lora\.rate"),
    ):
        generation.sample(tiny, ["A photo of one"], None, [(0,)], SETTINGS.synthesis)
