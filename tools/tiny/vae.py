"""The image autoencoder: 16×16 RGB ↔ 4×4 latents of 8 channels, as Stable Diffusion's VAE."""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from regl_core.seeds import torch_generator

from .loop import seeded, train
from .type import SIDE, World

CHANNELS, FACTOR = 8, 4


def pixels(images: torch.Tensor) -> torch.Tensor:
    """uint8 images to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def train_vae(world: World, steps: int, folder: Path) -> AutoencoderKL:
    """Reconstruction (mean squared and absolute error) with a faint KL term."""
    images = world.images.view(-1, 3, SIDE, SIDE)

    def build() -> AutoencoderKL:
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(16, 32, 64),
            layers_per_block=1,
            latent_channels=CHANNELS,
            norm_num_groups=8,
            sample_size=SIDE,
            mid_block_add_attention=False,
        )

    def loss(vae: AutoencoderKL, step: int) -> torch.Tensor:
        generator = torch_generator("vae", step)
        batch = pixels(images[torch.randint(len(images), (64,), generator=generator)])
        posterior = vae.encode(batch).latent_dist
        drawn = vae.decode(posterior.sample(generator)).sample
        kl = posterior.kl().mean() / (CHANNELS * (SIDE // FACTOR) ** 2)
        return F.mse_loss(drawn, batch) + 0.2 * F.l1_loss(drawn, batch) + 1e-4 * kl

    vae = train("vae", seeded(build, "vae"), loss, steps=steps, rate=2e-3, folder=folder)
    with torch.no_grad():  # the diffusion works on latents of unit variance
        spread = vae.encode(pixels(images[:4096])).latent_dist.mode().std().item()
    vae.register_to_config(scaling_factor=round(1 / spread, 5))
    return vae


@torch.no_grad()
def encode(vae: AutoencoderKL, images: torch.Tensor) -> torch.Tensor:
    """Latents of uint8 images, scaled to unit variance: (n, CHANNELS, SIDE/FACTOR, SIDE/FACTOR)."""
    latents = [vae.encode(pixels(part)).latent_dist.mode() for part in images.split(1024)]
    return torch.cat(latents) * vae.config.scaling_factor
