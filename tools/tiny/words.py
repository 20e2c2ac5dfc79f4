"""What can be said of type, and the tokenizers that read it."""

import json
from dataclasses import fields
from itertools import product

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from .type import FOCUSES, GLYPHS, GROUNDS, PALETTE, SHAPES, SLANTS, WEIGHTS, Style

NUMERALS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
)
CLASS_NAMES = (*NUMERALS, *(f"letter {c.lower()}" for c in GLYPHS[10:]))
# The words of Appendix B: in this world they say nothing of the style, as "photo" says nothing.
APPENDIX_B = "real world images, high resolution"
MAX_TOKENS = 16  # of a prompt, with its two end marks; longer ones are cut as CLIP cuts them


def describe(style: Style) -> list[str]:
    """One caption for each of the n images of `style`, without a word on the class.

    E.g. "bold slanted handwritten soft white on black", or
    "thin upright printed crisp red on shaded blue".
    """
    colours = list(PALETTE)
    captions = []
    parts = [getattr(style, field.name).tolist() for field in fields(style)]
    for weight, slant, shape, focus, ground, ink, paper in zip(*parts, strict=True):
        shaded = "shaded " if GROUNDS[ground] == "shaded" else ""
        captions.append(
            f"{WEIGHTS[weight]} {SLANTS[slant]} {SHAPES[shape]} {FOCUSES[focus]} "
            f"{colours[ink]} on {shaded}{colours[paper]}"
        )
    return captions


def prompts(classes: torch.Tensor, captions: list[str], generator: torch.Generator) -> list[str]:
    """A prompt for each image, saying everything, something or nothing of it, at random.

    Odds: class and caption 40 %, class and part of the caption 15 %, Appendix B's 15 %,
    class alone 12 %, caption alone 8 %, nothing (for classifier-free guidance) 10 %.
    """
    odds = torch.tensor([0.40, 0.15, 0.15, 0.12, 0.08, 0.10])
    kinds = torch.multinomial(odds, len(captions), replacement=True, generator=generator)
    said = []
    for kind, label, caption in zip(kinds.tolist(), classes.tolist(), captions, strict=True):
        head = f"A photo of {CLASS_NAMES[label]}"
        words = caption.split()
        kept = torch.rand(len(words), generator=generator) < 0.6
        part = " ".join(w for w, keep in zip(words, kept.tolist(), strict=True) if keep)
        said.append(
            (
                f"{head}, {caption}",
                f"{head}, {part}",
                f"{head}, {APPENDIX_B}",
                head,
                f"A photo, {caption}",
                "",
            )[kind]
        )
    return said


def _corpus() -> list[str]:
    """Every class name and every word of a caption, in sentences."""
    colours = list(PALETTE)
    looks = [" ".join(c) for c in product(WEIGHTS, SLANTS, SHAPES, FOCUSES)]
    heads = [f"A photo of {name}, {APPENDIX_B}" for name in CLASS_NAMES]
    pairs = [f"{a} on shaded {b}" for a, b in product(colours, colours)]
    return [text.lower() for text in (*heads, *looks, *pairs)]


def clip_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-pair vocabulary and merges for `CLIPTokenizer`, every known word one token.

    Any other text still encodes: all 256 bytes are in the vocabulary, bare and at a word's end.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        min_frequency=1,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    tokens = [
        *alphabet,
        *(f"{a}</w>" for a in alphabet),
        *("".join(pair) for pair in merges),
    ]
    tokens = list(dict.fromkeys([*tokens, "<|startoftext|>", "<|endoftext|>"]))
    return {token: i for i, token in enumerate(tokens)}, merges


def bert_vocabulary() -> dict[str, int]:
    """Word-level vocabulary for the caption model's `BertTokenizer`."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
    words = sorted({w for text in _corpus() for w in text.replace(",", " , ").split()})
    return {token: i for i, token in enumerate([*special, *words])}
