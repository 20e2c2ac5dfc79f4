"""What Stable Diffusion 1.5 and 2.1, CLIP and BLIP-2 are used for, on small untrained ones."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from safetensors.torch import load_file
from toy_models import naming, pictures

from regl_core import conditions, foundation, generation, tuning
from regl_core.data import resized
from regl_core.foundation import Foundation
from regl_core.privacy.adapter_attack import denoising_losses
from regl_core.seeds import torch_generator
from tools.replica import models

SMOKE = naming({})


def lesson(loaded: Foundation, count: int = 4) -> tuning.Lesson:
    images = pictures(count)
    prompts = [f"A photo of {k}" for k in range(count)]
    return tuning.Lesson(images, prompts, conditions.features(loaded, images))


@pytest.fixture(scope="module", params=["1.5", "2.1", "2.1-v"])
def loaded(request, model_folders) -> Foundation:
    return foundation.load(naming(model_folders(request.param)).foundation)


of_one = pytest.mark.parametrize("loaded", ["1.5"], indirect=True)  # where the version is nothing


def draw(loaded: Foundation, count: int = 3, **more: object) -> torch.Tensor:
    tokens = conditions.features(loaded, pictures(count))
    prompts, seeds = ["A photo of three"] * count, [(0, "test", k) for k in range(count)]
    settings = SMOKE.synthesis.model_copy(update={"scheduler": more.pop("scheduler", "ddim")})
    return generation.sample(loaded, prompts, tokens, seeds, settings, **more).int()


def test_the_models_are_those_that_are_published(loaded):
    kinds = [loaded.image_encoder, loaded.captioner, loaded.pipeline.unet]
    assert [type(it).__name__ for it in kinds] == [
        "CLIPVisionModelWithProjection",
        "Blip2ForConditionalGeneration",
        "UNet2DConditionModel",
    ]
    config = loaded.pipeline.unet.config
    assert config.use_linear_projection == isinstance(config.attention_head_dim, list)
    assert loaded.pipeline.text_encoder.config.hidden_size == config.cross_attention_dim
    assert loaded.image_encoder.config.projection_dim == config.cross_attention_dim
    assert loaded.pipeline.safety_checker is None and loaded.image_side == 64


def test_an_adapter_acts_and_goes(loaded, tmp_path):
    hard = SMOKE.lora.model_copy(update={"rate": 0.05, "steps": 5})
    plain = draw(loaded)
    tuning.tune(loaded, lesson(loaded), None, hard, tmp_path, (0, "lora"))
    assert torch.equal(draw(loaded), plain)
    images = {}
    for strength in (0.0, 0.8):
        with tuning.with_adapter(loaded, tmp_path, strength):
            images[strength] = draw(loaded)
    assert (images[0.0] - plain).abs().max() <= 1
    assert (images[0.8] - plain).abs().max() > 5
    assert torch.equal(draw(loaded), plain)


def test_tuning_predicts_what_the_model_predicts(loaded, tmp_path):
    """The first loss by hand, from the cumulative products of 1 - beta alone."""
    how = SMOKE.lora.model_copy(update={"steps": 1, "batch_size": 6})
    seed, own, pipeline = (0, "lora"), lesson(loaded, 1), loaded.pipeline
    losses = [tuning.tune(loaded, own, None, how, tmp_path / "a", seed)]
    draw(loaded, count=1)  # with another scheduler
    losses.append(tuning.tune(loaded, own, None, how, tmp_path / "b", seed))
    generator = torch_generator(*seed, "step", 0)
    torch.randint(1, (6,), generator=generator)  # which image
    with torch.no_grad():
        latent = pipeline.vae.encode(own.images.float() / 127.5 - 1).latent_dist.mode()
        clean = latent.repeat(6, 1, 1, 1) * pipeline.vae.config.scaling_factor
        noise = torch.randn(clean.shape, generator=generator)
        t = torch.randint(1000, (6,), generator=generator)
        config = pipeline.scheduler.config
        betas = torch.linspace(config.beta_start**0.5, config.beta_end**0.5, 1000) ** 2
        signal = (1 - betas).cumprod(0)[t].view(-1, 1, 1, 1)
        states, _ = conditions.prompt_embeddings(loaded, own.prompts * 6, own.tokens.repeat(6, 1))
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
        velocity = signal.sqrt() * noise - (1 - signal).sqrt() * clean
        aim = velocity if config.prediction_type == "v_prediction" else noise
        expected = F.mse_loss(pipeline.unet(noisy, t, states).sample, aim)
    assert losses[0] == losses[1] == pytest.approx([expected.item()], rel=1e-4)


def test_every_scheduler_draws_and_leaves_the_model_its_own(loaded):
    before = loaded.pipeline.scheduler
    drawn = {name: draw(loaded, scheduler=name) for name in generation.SCHEDULERS}
    assert loaded.pipeline.scheduler is before
    names = list(drawn)
    for name, images in drawn.items():
        assert images.float().std() > 1
        assert torch.equal(images, draw(loaded, scheduler=name))
    assert not torch.equal(drawn[names[0]], drawn[names[2]])
    with generation.scheduled(loaded.pipeline, "ddim"):
        own = loaded.pipeline.scheduler.config
    assert not own.clip_sample
    for key in ("prediction_type", "beta_start", "beta_schedule", "steps_offset"):
        assert own[key] == before.config[key]


def test_an_image_does_not_depend_on_its_batch_nor_its_token_on_others(loaded):
    prompts = ["A photo of three", "A photo of one, black on white, soft", "A photo of three"]
    tokens = conditions.features(loaded, pictures(3))
    together = conditions.prompt_embeddings(loaded, prompts, tokens)
    for k, prompt in enumerate(prompts):
        alone = conditions.prompt_embeddings(loaded, [prompt], tokens[k : k + 1])
        for one, all_of_them in zip(alone, together, strict=True):
            assert torch.allclose(one[0], all_of_them[k], atol=1e-5)


@of_one
def test_a_caption_is_the_new_text_alone(loaded, monkeypatch):
    """BLIP-2's ids begin with what it was given: tokens for the image, and the start."""
    tokenizer, config = loaded.caption_processor.tokenizer, loaded.captioner.config
    line = tokenizer("\n", add_special_tokens=False).input_ids
    assert line == [config.text_config.eos_token_id]
    said = ["A lemon on a table", "two figs"]
    generate = loaded.captioner.language_model.generate

    def saying(**inputs: object) -> torch.Tensor:
        inputs = {key: value for key, value in inputs.items() if key != "max_new_tokens"}
        ids = generate(**inputs, max_new_tokens=1)[:, :-1]
        given = config.num_query_tokens + 1
        assert ids.shape[1] == given
        assert (ids[:, :-1] == config.image_token_index).all()
        new = tokenizer([f"{text}\n" for text in said], padding=True, return_tensors="pt")
        return torch.cat([ids, new.input_ids], dim=1)

    monkeypatch.setattr(loaded.captioner.language_model, "generate", saying)
    found = conditions.captions(loaded, pictures(2), ("lemon",))
    assert found == ["A on a table", "two figs"]


def test_in_bfloat16_all_runs_and_adapters_are_of_float32(tmp_path, model_folders):
    names = model_folders()
    half = foundation.load(naming(names, dtype="bfloat16").foundation)
    for model in (half.pipeline.unet, half.pipeline.vae, half.image_encoder, half.captioner):
        assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    images = pictures(3)
    assert len(conditions.captions(half, images, ())) == 3
    features = conditions.features(half, images)
    whole = foundation.load(naming(names).foundation)
    assert features.dtype == torch.float32
    assert F.cosine_similarity(features, conditions.features(whole, images)).min() > 0.99

    how = SMOKE.lora.model_copy(update={"steps": 8, "rate": 1e-4})
    losses = tuning.tune(half, lesson(half), None, how, tmp_path / "half", (0, "lora"))
    exact = tuning.tune(whole, lesson(whole), None, how, tmp_path / "whole", (0, "lora"))
    assert losses == pytest.approx(exact, rel=0.05)
    adapters = [load_file(next((tmp_path / it).iterdir())) for it in ("half", "whole")]
    assert {tensor.dtype for tensor in adapters[0].values()} == {torch.float32}
    once = how.model_copy(update={"steps": 1})
    tuning.tune(half, lesson(half), None, once, tmp_path / "one", (0, "lora"))
    first = load_file(next((tmp_path / "one").iterdir()))
    # In bfloat16 weights of about 0.5 would not notice steps of 1e-4.
    moved = [(adapters[0][it] - first[it]).abs().mean() for it in first if "lora_A" in it]
    assert torch.stack(moved).median() > 2e-4
    with tuning.with_adapter(half, tmp_path / "half", 0.8):
        drawn = draw(half, side=32)
    assert drawn.shape == (3, 3, 32, 32) and drawn.float().std() > 1


@of_one
def test_lessons_are_read_a_few_images_at_a_time(loaded, monkeypatch):
    asked = []

    class Counted:
        def __len__(self) -> int:
            return 20

        def __getitem__(self, part: slice) -> torch.Tensor:
            asked.append(part)
            return pictures(20, side=32)[part]

    monkeypatch.setattr(tuning, "BATCH", 8)
    few = tuning.Lesson(Counted(), ["A photo of one"] * 20, None)
    encoded = tuning.encode(loaded, few)
    assert asked == [slice(0, 8), slice(8, 16), slice(16, 20)]
    at_once = tuning.Lesson(resized(pictures(20, side=32), 64), few.prompts, None)
    assert torch.allclose(encoded.latents, tuning.encode(loaded, at_once).latents, atol=1e-5)
    assert encoded.latents.shape == (20, 4, 8, 8) and len(encoded.states) == 20


@pytest.mark.parametrize("like", ["1.5", "2.1"])
def test_files_in_their_published_form_are_read(like, model_folders):
    """What older libraries wrote, under other names, comes back as it was made."""
    made = models.in_memory(like)
    read = foundation.load(naming(model_folders(like)).foundation)
    for name in ("unet", "vae", "text_encoder"):
        one, other = (getattr(it.pipeline, name).state_dict() for it in (made, read))
        assert one.keys() == other.keys()
        assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())
    one, other = (it.captioner.state_dict() for it in (made, read))
    assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())
    texts = ["A photo of three, on a Table!", ""]
    ids = [it.pipeline.tokenizer(texts, padding="max_length").input_ids for it in (made, read)]
    assert ids[0] == ids[1] and len(ids[0][0]) == 77
    shown = list(pictures(2, side=50))
    for processor in ("image_processor", "caption_processor"):
        pixels = [
            getattr(it, processor)(images=shown, return_tensors="pt")["pixel_values"]
            for it in (made, read)
        ]
        assert pixels[0].shape == (2, 3, 28, 28) and torch.equal(*pixels)
    said = [it.caption_processor.tokenizer("two figs <image>").input_ids for it in (made, read)]
    assert said[0] == said[1]


@pytest.mark.parametrize("doing", ["tuning", "attacking"])
def test_in_bfloat16_noise_levels_are_not_rounded(doing, tmp_path, monkeypatch):
    """√(1 − ᾱ) starts at 0.03, which in bfloat16, as 1 less a number near 1, would be 0."""
    half, seen = models.in_memory(dtype=torch.bfloat16), []
    side, add_noise = half.image_side, DDPMScheduler.add_noise
    lesson = tuning.Lesson(pictures(4, side), ["A photo of one"] * 4, None)

    def watched(schedule, latents, noise, t):
        noisy = add_noise(schedule, latents, noise, t)
        kept = schedule.alphas_cumprod.double()[t][:, None, None, None]
        exact = kept.sqrt() * latents.double() + (1 - kept).sqrt() * noise.double()
        seen.append((noisy.double() - exact).abs().max())
        return noisy

    monkeypatch.setattr(DDPMScheduler, "add_noise", watched)
    if doing == "tuning":
        how = SMOKE.lora.model_copy(update={"batch_size": 8, "steps": 2, "prior_share": 0.0})
        losses = torch.tensor(tuning.tune(half, lesson, None, how, tmp_path, (0, "lora")))
    else:
        losses = denoising_losses(half, lesson.images, lesson.prompts, 8, (0, "x"))
    assert losses.isfinite().all() and losses.dtype == torch.float32
    assert seen and max(seen) < 1e-5
