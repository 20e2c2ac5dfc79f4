"""Makes the tiny foundation from nothing but fonts: `make foundation`.

Every part is a process of one thread, so the bytes that come out are the same on a given
machine. Each can be killed and goes on where it was.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import CLIPModel

from regl_core.evidence import FACES
from regl_core.hub import SHIPPED
from regl_core.seeds import torch_generator

from .assemble import assemble
from .captioner import make_tokenizer as caption_tokenizer
from .captioner import train_captioner
from .clip import make_tokenizer, train_clip
from .type import World, make_world, specimens
from .unet import train_unet
from .vae import train_vae

SHEETS = 10000
STEPS = {"vae": 1900, "clip": 2000, "captioner": 2500, "unet": 9000}
WAVES = (("vae", "clip"), ("captioner", "unet"))  # parts of a wave run side by side


def _world() -> World:
    return make_world(SHEETS, torch_generator("world"))


def make_part(part: str, folder: Path) -> None:
    """Train `part` and save it under `folder`/`part`; `unet` needs `vae` and `clip` there."""
    if part == "vae":
        model = train_vae(_world(), STEPS[part], folder)
    elif part == "clip":
        model = train_clip(_world(), make_tokenizer(), STEPS[part], folder)
    elif part == "captioner":
        model = train_captioner(_world(), caption_tokenizer(), STEPS[part], folder)
    else:
        vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
        clip = CLIPModel.from_pretrained(folder / "clip").eval()
        model = train_unet(_world(), vae, clip, make_tokenizer(), STEPS[part], folder)
    model.save_pretrained(folder / part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/foundation"))
    parser.add_argument("--part", choices=sorted(STEPS))
    parser.add_argument("--out", type=Path, default=SHIPPED / "tiny")
    args = parser.parse_args()
    if args.part:
        torch.set_num_threads(1)  # two parts side by side; a fixed number, for the same bytes
        make_part(args.part, args.folder)
        return
    for wave in WAVES:
        todo = [part for part in wave if not (args.folder / part).is_dir()]
        command = [
            sys.executable,
            "-m",
            __spec__.name,
            "--folder",
            str(args.folder),
            "--part",
        ]
        running = [subprocess.Popen([*command, part]) for part in todo]
        if any([process.wait() for process in running]):
            sys.exit(f"a part of {', '.join(wave)} failed; what is done is kept in {args.folder}")
    facts = {f"steps of the {part}": f"{count:,}" for part, count in STEPS.items()}
    assemble(args.folder, args.out, facts | {"sheets of type": f"{SHEETS:,}"})
    sheet = specimens(50, torch_generator("specimens"))[:, :, 0]  # grey
    rows = sheet.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
    Image.fromarray(rows.numpy()).save(args.out.parent / FACES.name)


if __name__ == "__main__":
    main()
