"""How the tiny foundation is made: type, words, a loop that resumes, and the whole way in small."""

from pathlib import Path

import matplotlib
import pytest
import torch
from PIL import Image
from torch import nn

from regl_core import foundation, generation
from regl_core.evidence import FACES
from regl_core.hub import components
from regl_core.params import load
from regl_core.seeds import torch_generator
from tools.tiny import build, loop, type, unet
from tools.tiny.clip import make_tokenizer, tokens
from tools.tiny.type import (
    SIDE,
    random_style,
)
from tools.tiny.words import APPENDIX_B, CLASS_NAMES, bert_vocabulary, describe


def test_every_word_is_one_token_and_any_text_encodes() -> None:
    tokenizer = make_tokenizer()
    style = random_style(200, torch_generator("test"))
    for text in [*describe(style), APPENDIX_B, *CLASS_NAMES, "A photo of"]:
        assert len(tokenizer.tokenize(text)) == len(text.replace(",", " ,").split())
        assert tokenizer.unk_token_id not in tokenizer(text).input_ids[1:-1]
    assert tokenizer.unk_token_id not in tokenizer("Black footed Albatross, 42!").input_ids[1:-1]
    longest = f"A photo of {CLASS_NAMES[-1]}, {describe(style)[0]}"
    assert tokens(tokenizer, [longest, ""]).shape == (2, tokenizer.model_max_length)
    known = bert_vocabulary()
    assert all(word in known for text in describe(style) for word in text.split())


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("stop", [1, 4, 6])
def test_training_that_was_cut_short_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)

    def run(folder: Path, until: int) -> nn.Module:
        def loss(module: nn.Module, step: int) -> torch.Tensor:
            if step == until:
                raise _Stopped
            batch = torch.randn(8, 3, generator=torch_generator("test", step))
            return module(batch).square().mean()

        net = loop.seeded(lambda: nn.Linear(3, 2), "test")
        return loop.train("net", net, loss, steps=8, rate=1e-2, folder=folder)

    whole = run(tmp_path / "whole", until=-1)
    with pytest.raises(_Stopped):
        run(tmp_path / "cut", until=stop)
    resumed = run(tmp_path / "cut", until=-1)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name])


def test_the_whole_way_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps of every part, assembled, loaded like any other foundation, and drawn with."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    printed = [fonts / f"{name}.ttf" for name in type.PRINTED]  # in the place of handwriting, too
    monkeypatch.setattr(type, "face_files", lambda: printed * 2)
    monkeypatch.setattr(build, "SHEETS", 40)
    monkeypatch.setattr(unet, "BATCH", 8)
    monkeypatch.setattr(build, "STEPS", dict.fromkeys(build.STEPS, 2))
    for part in ("vae", "clip", "captioner", "unet"):
        build.make_part(part, tmp_path / "parts")
    monkeypatch.setattr(components, "SHIPPED", tmp_path)
    build.assemble(tmp_path / "parts", tmp_path / "tiny", {"steps": "2"})
    settings = load("smoke")
    models = foundation.load(settings.foundation)
    image = generation.sample(models, ["A photo of two"], None, [(0, "t")], settings.synthesis)
    assert image.shape == (1, 3, SIDE, SIDE)
    card = (tmp_path / "tiny" / "README.md").read_text()
    assert "| steps | 2 |" in card and "OFL-1.1: amatic-sc, annie-use-your-telescope" in card


def test_typefaces_are_many_and_open() -> None:
    """At least sixty, half of them handwriting; specimens are those of `FACES`."""
    hands = type.handwriting()
    assert len(hands) >= 60 and set(hands.values()) <= {"OFL-1.1", "Apache-2.0", "MIT"}
    with Image.open(FACES) as sheet:
        assert sheet.mode == "L" and sheet.size == (10 * SIDE, 50 * SIDE)
