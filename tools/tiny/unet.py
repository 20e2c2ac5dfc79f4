"""The denoiser: latents conditioned on text and, where there is one, on a style token.

The conditions it must know are those of ReGL (Sec. 4.1): text alone; text and the mean
image feature of a class in the client's style; and, for a class the client lacks, the
feature of that class in any style, shifted by how the client's style moves the features of
*other* classes. All of them occur in training, so none is foreign to the model.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPModel, CLIPTokenizer

from regl_core.seeds import torch_generator

from .clip import WIDTH, image_features, tokens
from .loop import seeded, train
from .type import GLYPHS, SIDE, World
from .vae import CHANNELS, FACTOR, encode
from .words import describe, prompts

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "steps_offset": 1,
}
BATCH = 64


def make_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=SIDE // FACTOR,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(128,),
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def timesteps(n: int, generator: torch.Generator) -> torch.Tensor:
    """Three quarters near the middle of the schedule, where content is decided; else uniform."""
    middle = (550 + 200 * torch.randn(n, generator=generator)).clamp(0, 999).long()
    anywhere = torch.randint(1000, (n,), generator=generator)
    return torch.where(torch.rand(n, generator=generator) < 0.75, middle, anywhere)


class StyleTokens:
    """Draws the style token of an image: (n, WIDTH), of unit length, or zeros.

    Features of all images are computed once; `draw` mixes them as a client would.
    """

    def __init__(self, world: World, clip: CLIPModel) -> None:
        shape = world.images.shape[:3]
        features = image_features(clip, world.images.view(-1, 3, SIDE, SIDE))
        self.features = features.view(*shape, WIDTH)  # (sheets, classes, copies, WIDTH)
        labels = world.classes[:, :, None].expand(shape).flatten()
        of_class = torch.zeros(len(GLYPHS), WIDTH).index_add(0, labels, features)
        self.typical = of_class / labels.bincount(minlength=len(GLYPHS))[:, None]
        self.classes = world.classes

    def draw(self, sheet: torch.Tensor, slot: torch.Tensor, generator) -> torch.Tensor:
        n, row = len(sheet), torch.arange(len(sheet))
        seen = self.features[sheet]  # (n, classes, copies, WIDTH)
        weights = torch.rand(n, seen.shape[2], generator=generator).pow(2)[:, :, None]
        own = (seen[row, slot] * weights).sum(1) / weights.sum(1)
        # The style's shift, measured on a random few of the sheet's *other* classes.
        labels = self.classes[sheet]
        shifts = seen.mean(2) - self.typical[labels]
        others = torch.rand(n, seen.shape[1], generator=generator)
        others[row, slot] = -1
        kept = torch.randint(1, 5, (n, 1), generator=generator)
        mask = (others.argsort(1, descending=True).argsort(1) < kept).float()[:, :, None]
        shift = (shifts * mask).sum(1) / mask.sum(1)
        moved = self.typical[labels[row, slot]] + shift
        kind = torch.rand(n, 1, generator=generator)
        token = torch.where(kind < 0.45, own, moved)
        return torch.where(kind > 0.85, 0.0, F.normalize(token, dim=1))


def train_unet(
    world: World,
    vae: AutoencoderKL,
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    steps: int,
    folder: Path,
) -> UNet2DConditionModel:
    """v-prediction on the frozen autoencoder's latents and the frozen encoders' conditions."""
    sheets, per_sheet, copies = world.images.shape[:3]
    latents = encode(vae, world.images.view(-1, 3, SIDE, SIDE))
    latents = latents.view(*world.images.shape[:3], *latents.shape[1:])
    style = StyleTokens(world, clip)
    schedule = DDPMScheduler(**SCHEDULE)

    def loss(unet: UNet2DConditionModel, step: int) -> torch.Tensor:
        generator = torch_generator("unet", step)
        sheet = torch.randint(sheets, (BATCH,), generator=generator)
        slot = torch.randint(per_sheet, (BATCH,), generator=generator)
        copy = torch.randint(copies, (BATCH,), generator=generator)
        texts = prompts(world.classes[sheet, slot], describe(world.style[sheet]), generator)
        with torch.no_grad():
            states = clip.text_model(tokens(tokenizer, texts)).last_hidden_state
            if step % 2:  # every other batch has a style token, as long as a text token
                token = style.draw(sheet, slot, generator)[:, None]
                length = states.norm(dim=2).mean()
                states = torch.cat([states, token * length], dim=1)
        clean = latents[sheet, slot, copy]
        noise = torch.randn(clean.shape, generator=generator)
        t = timesteps(BATCH, generator)
        noisy = schedule.add_noise(clean, noise, t).contiguous(memory_format=torch.channels_last)
        output = unet(noisy, t, states).sample
        return F.mse_loss(output, schedule.get_velocity(clean, noise, t))

    unet = seeded(make_unet, "unet").to(memory_format=torch.channels_last)  # faster on a CPU
    unet = train("unet", unet, loss, steps=steps, rate=2e-3, folder=folder, average=0.9995)
    return unet.to(memory_format=torch.contiguous_format)
