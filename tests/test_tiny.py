"""How the tiny foundation is made: type, words, a loop that resumes, and the whole way in small."""

from pathlib import Path

import pytest
import torch
from torch import nn

from regl_core import foundation, generation
from regl_core.hub import components
from regl_core.params import load
from regl_core.seeds import torch_generator
from tools.tiny import build, loop
from tools.tiny.clip import make_tokenizer, tokens
from tools.tiny.type import (
    COPIES,
    GLYPHS,
    PALETTE,
    SIDE,
    Style,
    glyph_fields,
    make_world,
    random_style,
    render,
)
from tools.tiny.unet import StyleTokens
from tools.tiny.words import APPENDIX_B, CLASS_NAMES, bert_vocabulary, describe, prompts


def test_sheets_repeat_and_show_one_style_each() -> None:
    world = make_world(3, torch_generator("test"))
    again = make_world(3, torch_generator("test"))
    assert torch.equal(world.images, again.images)
    assert world.images.shape == (3, world.classes.shape[1], COPIES, 3, SIDE, SIDE)
    assert world.images.dtype == torch.uint8
    for row in world.classes.tolist():
        assert len(set(row)) == len(row)
        assert sum(k < 10 for k in row) == 4


def test_ink_and_paper_are_as_the_caption_says() -> None:
    """A bold, crisp, plain white O on black is black at the rim and white on the stroke."""
    n = 20
    names = list(PALETTE)
    zero = torch.zeros(n, dtype=torch.int64)
    white, black = names.index("white"), names.index("black")
    style = Style(zero + 2, zero, zero, zero, zero, zero + white, zero + black)
    assert describe(style)[0] == "bold upright neat crisp white on black"
    images = render(glyph_fields(), zero, style, torch_generator("test")).float()
    assert images[:, :, 0, 0].mean() < 40
    assert images.amax((1, 2, 3)).min() > 180
    opposite = Style(zero + 2, zero, zero, zero, zero, zero + black, zero + white)
    images = render(glyph_fields(), zero, opposite, torch_generator("test")).float()
    assert images[:, :, 0, 0].mean() > 215


def test_random_styles_are_legible() -> None:
    style = random_style(500, torch_generator("test"))
    colours = torch.tensor(list(PALETTE.values())) @ torch.tensor([0.3, 0.59, 0.11])
    assert (colours[style.ink] - colours[style.paper]).abs().min() > 0.3


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


def test_prompts_say_all_some_or_nothing_but_never_another_class() -> None:
    generator = torch_generator("test")
    style = random_style(400, generator)
    classes = torch.randint(len(GLYPHS), (400,), generator=generator)
    said = prompts(classes, describe(style), generator)
    for label, text in zip(classes.tolist(), said, strict=True):
        assert text in ("",) or text.startswith((f"A photo of {CLASS_NAMES[label]}", "A photo, "))
    assert 0.05 < said.count("") / len(said) < 0.16


def test_style_tokens_are_own_moved_or_absent() -> None:
    world = make_world(4, torch_generator("test"))
    # Feature = class direction + style direction, exactly additive: both kinds of token agree.
    width = 96
    style = torch.eye(width)[:4] * 0.5
    content = torch.eye(width)[10 : 10 + len(GLYPHS)]
    features = style[:, None, None] + content[world.classes][:, :, None]
    drawer = StyleTokens.__new__(StyleTokens)
    drawer.features = features.expand(-1, -1, COPIES, -1)
    drawer.classes, drawer.typical = world.classes, content
    sheet, slot = torch.arange(4).repeat(50), torch.zeros(200, dtype=torch.int64)
    drawn = drawer.draw(sheet, slot, torch_generator("test"))
    expected = nn.functional.normalize(features[sheet, slot, 0], dim=1)
    absent = ~drawn.any(dim=1)
    assert 0.05 < absent.float().mean() < 0.3
    assert torch.allclose(drawn[~absent], expected[~absent], atol=1e-5)


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
    monkeypatch.setattr(build, "SHEETS", 200)
    monkeypatch.setattr(build, "STEPS", dict.fromkeys(build.STEPS, 2))
    for part in ("vae", "clip", "captioner", "unet"):
        build.make_part(part, tmp_path / "parts")
    monkeypatch.setattr(components, "SHIPPED", tmp_path)
    build.assemble(tmp_path / "parts", tmp_path / "tiny", {"steps": "2"})
    settings = load("smoke")
    models = foundation.load(settings.foundation)
    image = generation.sample(models, ["A photo of two"], None, [(0, "t")], settings.synthesis)
    assert image.shape == (1, 3, SIDE, SIDE)
    assert "| steps | 2 |" in (tmp_path / "tiny" / "README.md").read_text()
