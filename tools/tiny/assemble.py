"""Puts the trained parts into the hub's folder layout, with a model card and checksums."""

import hashlib
import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import (
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPVisionModelWithProjection,
)

from regl_core.hub import SUMS

from .captioner import make_tokenizer as caption_tokenizer
from .clip import make_tokenizer
from .type import PRINTED, SIDE, handwriting
from .unet import SCHEDULE


def assemble(parts: Path, out: Path, facts: dict[str, str]) -> None:
    """Write the foundation to `out`, in half precision, from the parts trained in `parts`.

    `facts` (name: value) go into the model card's table.
    """
    grey = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(parts / "vae"),
        unet=UNet2DConditionModel.from_pretrained(parts / "unet"),
        text_encoder=CLIPTextModel.from_pretrained(parts / "clip"),
        tokenizer=make_tokenizer(),
        scheduler=DPMSolverMultistepScheduler(
            **{k: v for k, v in SCHEDULE.items() if k != "clip_sample"}
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(out / "stable-diffusion", safe_serialization=True)
    encoder = CLIPVisionModelWithProjection.from_pretrained(parts / "clip")
    encoder.half().save_pretrained(out / "image-encoder")
    CLIPImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, **grey
    ).save_pretrained(out / "image-encoder")
    captioner = BlipForConditionalGeneration.from_pretrained(parts / "captioner")
    captioner.half().save_pretrained(out / "captioner")
    BlipProcessor(
        BlipImageProcessor(size={"height": SIDE, "width": SIDE}, **grey),
        caption_tokenizer(),
    ).save_pretrained(out / "captioner")
    models = {
        "vae": pipeline.vae,
        "unet": pipeline.unet,
        "text encoder": pipeline.text_encoder,
        "image encoder": encoder,
        "captioner": captioner,
    }
    sizes = {name: sum(p.numel() for p in m.parameters()) for name, m in models.items()}
    (out / "README.md").write_text(_card(sizes, facts))
    write_sums(out)


def write_sums(folder: Path) -> None:
    """List the sha256 of every file of `folder`, in `folder`/SHA256SUMS."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder)}" for p in files
    ]
    (folder / SUMS).write_text("\n".join(lines) + "\n")


def _card(sizes: dict[str, int], facts: dict[str, str]) -> str:
    rows = "\n".join(f"| {name} | {count / 1e6:.2f} M |" for name, count in sizes.items())
    made = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    hands = handwriting()
    licences = "\n".join(
        f"- {licence}: {', '.join(name for name, its in hands.items() if its == licence)}"
        for licence in sorted(set(hands.values()))
    )
    return f"""# A tiny Stable Diffusion, CLIP and BLIP of type

Text to 16×16 RGB images of digits and capitals, trained from scratch on glyphs rendered in
{len(PRINTED) + len(hands)} typefaces: {len(PRINTED)} printed ones that come with matplotlib and
{len(hands)} that imitate handwriting. The classes are those of diffusers and transformers; the
folders `stable-diffusion`, `image-encoder` and `captioner` load with
`from_pretrained` as any model in the hub's layout.

| model | parameters |
|---|---|
{rows}

| made with | |
|---|---|
{made}

**Use.** The laptop profile of the ReGL companion: it stands in for Stable Diffusion 1.5, CLIP
ViT-L/14 and BLIP-2. It has never seen a digit that someone wrote: between its type, in all
colours, and scanned digits lies the domain gap that LoRA has to close.

**What it understands.** "A photo of three, bold slanted handwritten soft white on black": a class
(`zero` … `nine`, `letter a` … `letter z`), then weight (thin, medium, bold), slant (upright,
slanted), shape (printed, handwritten), focus (crisp, soft), ink colour, "on", optionally "shaded",
paper colour. Anything may be left out. A 96-wide CLIP image feature, scaled to the length of
a text state and appended to the prompt embeddings, sets class and style too.

**Data.** Rendered on the fly from a fixed seed; no image of a person, no scraped text, no
scan of handwriting. **Limits.** It draws nothing else, and small type at 16×16 pixels is at times
illegible. **Licence.** MIT, as the code. The typefaces are not part of it; their licences are open:

- matplotlib's own: {", ".join(PRINTED)}
{licences}

Rebuild with `make foundation`: the same bytes on the same machine.

```json
{json.dumps({"latent_schedule": SCHEDULE}, indent=2)}
```
"""
