"""The world the tiny foundation knows: digits and capitals set in type, in many styles.

Two kinds of typefaces: printed ones, which come with matplotlib, and faces that imitate
handwriting, from npm's packages, pinned in `faces/package-lock.json` (see the Makefile).

A glyph is kept as a signed distance field, so that weight (the threshold), softness (the
slope at the edge) and deformation (where the field is sampled) are exact and cheap. Images
come in *sheets*: several classes in one style, several images of each, as a client's
images share one style. Rendering is one batched torch function of a generator.
"""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt

PRINTED = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralBolIta",
    "STIXGeneralItalic",
    "cmb10",
    "cmr10",
    "cmss10",
    "cmti10",
    "cmtt10",
)
HANDS = Path(__file__).parent / "faces"  # of its npm packages, each is one handwriting face
GLYPHS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIELD = 64  # side of a distance field, in pixels
SIDE = 16  # side of an image, in pixels

PALETTE = {  # name: RGB in [0, 1]
    "black": (0.00, 0.00, 0.00),
    "white": (1.00, 1.00, 1.00),
    "grey": (0.50, 0.50, 0.50),
    "red": (0.85, 0.10, 0.10),
    "orange": (0.95, 0.55, 0.10),
    "yellow": (0.95, 0.90, 0.15),
    "green": (0.10, 0.60, 0.20),
    "cyan": (0.15, 0.75, 0.80),
    "blue": (0.10, 0.20, 0.80),
    "purple": (0.50, 0.15, 0.60),
    "pink": (0.95, 0.55, 0.75),
    "brown": (0.45, 0.27, 0.12),
}
WEIGHTS = ("thin", "medium", "bold")
SLANTS = ("upright", "slanted")
SHAPES = ("printed", "handwritten")  # decides the typeface too
FOCUSES = ("crisp", "soft")
GROUNDS = ("plain", "shaded")


@dataclass(frozen=True)
class Style:
    """What a caption can say of n images: index tensors (n,), int64, into the tuples above."""

    weight: torch.Tensor
    slant: torch.Tensor
    shape: torch.Tensor
    focus: torch.Tensor
    ground: torch.Tensor
    ink: torch.Tensor
    paper: torch.Tensor

    def __getitem__(self, index) -> "Style":
        return Style(*(getattr(self, f.name)[index] for f in fields(self)))


def handwriting() -> dict[str, str]:
    """Name and licence of each face in HANDS, in alphabetical order."""
    packages = json.loads((HANDS / "package-lock.json").read_text())["packages"]
    return {
        Path(place).name: package["license"] for place, package in sorted(packages.items()) if place
    }


def face_files() -> list[Path]:
    """The printed faces, then those of handwriting. Raises FileNotFoundError before `npm ci`."""
    printed = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    hands = HANDS / "node_modules" / "@fontsource"
    files = [printed / f"{name}.ttf" for name in PRINTED]
    files += [hands / name / "files" / f"{name}-latin-400-normal.woff" for name in handwriting()]
    if missing := [file for file in files if not file.is_file()]:
        raise FileNotFoundError(f"{missing[0]}: the typefaces are installed by `make foundation`")
    return files


def glyph_fields() -> torch.Tensor:
    """Signed distances (faces, glyphs, FIELD, FIELD), float32, > 0 inside, in units of the side.

    Faces in the order of `face_files`. Every glyph is set to the height of the box, its width
    kept in proportion.
    """
    files = face_files()
    sheets = []
    for file in files:
        font = ImageFont.truetype(str(file), 160)
        for glyph in GLYPHS:
            left, top, right, bottom = font.getbbox(glyph)
            mask = Image.new("L", (right - left, bottom - top))
            ImageDraw.Draw(mask).text((-left, -top), glyph, font=font, fill=255)
            height = round(FIELD * 0.86)
            width = min(max(round(mask.width * height / mask.height), 4), height)
            box = Image.new("L", (FIELD, FIELD))
            box.paste(
                mask.resize((width, height)),
                ((FIELD - width) // 2, (FIELD - height) // 2),
            )
            inside = np.asarray(box) > 127
            distance = distance_transform_edt(inside) - distance_transform_edt(~inside)
            sheets.append(distance.astype(np.float32) / FIELD)
    return torch.from_numpy(np.stack(sheets)).view(len(files), len(GLYPHS), FIELD, FIELD)


def random_style(n: int, generator: torch.Generator) -> Style:
    """n independent styles; ink and paper always differ enough in lightness to be legible."""

    def pick(*odds: float) -> torch.Tensor:
        return torch.multinomial(torch.tensor(odds), n, replacement=True, generator=generator)

    colours = torch.tensor(list(PALETTE.values()))
    lightness = colours @ torch.tensor([0.3, 0.59, 0.11])
    legible = ((lightness[:, None] - lightness).abs() > 0.3).float().flatten()
    pair = torch.multinomial(legible, n, replacement=True, generator=generator)
    # White on black and black on white are as common as in print: one image in eight each.
    plain = torch.rand(n, generator=generator)
    white_on_black, black_on_white = plain < 0.125, plain > 0.875
    ink, paper = pair // len(PALETTE), pair % len(PALETTE)
    ink = torch.where(white_on_black, 1, torch.where(black_on_white, 0, ink))
    paper = torch.where(white_on_black, 0, torch.where(black_on_white, 1, paper))
    return Style(
        weight=pick(0.25, 0.4, 0.35),
        slant=pick(0.6, 0.4),
        shape=pick(0.3, 0.7),
        focus=pick(0.5, 0.5),
        ground=pick(0.6, 0.4),
        ink=ink,
        paper=paper,
    )


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def _sampling_grid(style: Style, generator: torch.Generator) -> torch.Tensor:
    """Where each output pixel looks in the distance field: (n, 2·SIDE, 2·SIDE, 2) in [-1, 1]."""
    n = len(style.weight)
    slanted, by_hand = (style.slant == 1).float(), (style.shape == 1).float()
    wobbly = by_hand * torch.rand(n, generator=generator)
    shear = slanted * _uniform(n, 0.2, 0.5, generator) + _uniform(n, -0.05, 0.05, generator)
    turn = _uniform(n, -1, 1, generator) * (0.04 + 0.14 * wobbly)
    width, height = _uniform(n, 0.8, 1.25, generator), _uniform(n, 0.85, 1.1, generator)
    cos, sin = turn.cos(), turn.sin()
    # Output to field: unshear, turn, unscale; y points down.
    affine = torch.stack(
        [
            cos / width,
            (shear * cos - sin) / width,
            sin / height,
            (shear * sin + cos) / height,
        ],
        1,
    ).view(n, 2, 2)
    shift = (torch.rand(n, 2, 1, generator=generator) - 0.5) * 0.14
    grid = F.affine_grid(
        torch.cat([affine, shift], 2), (n, 1, 2 * SIDE, 2 * SIDE), align_corners=False
    )
    bend = torch.randn(n, 2, 3, 3, generator=generator) * (0.02 + 0.08 * wobbly).view(n, 1, 1, 1)
    bend = F.interpolate(bend, size=2 * SIDE, mode="bicubic", align_corners=False)
    return grid + bend.permute(0, 2, 3, 1)


def _colours(index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The named colours with a little jitter, (n, 3, 1, 1) in [0, 1]."""
    named = torch.tensor(list(PALETTE.values()))[index]
    jitter = torch.randn(len(index), 3, generator=generator) * 0.05
    return (named + jitter).clamp(0, 1).view(-1, 3, 1, 1)


def _paper(style: Style, generator: torch.Generator) -> torch.Tensor:
    """Backgrounds (n, 3, SIDE, SIDE): plain, or shaded by a soft random light."""
    n = len(style.paper)
    light = torch.randn(n, 1, 3, 3, generator=generator) * 0.22
    light = F.interpolate(light, size=SIDE, mode="bicubic", align_corners=False)
    shaded = (style.ground == 1).float().view(n, 1, 1, 1)
    return (_colours(style.paper, generator) + shaded * light).clamp(0, 1)


def render(
    sheets: torch.Tensor,
    classes: torch.Tensor,
    style: Style,
    generator: torch.Generator,
) -> torch.Tensor:
    """Images (n, 3, SIDE, SIDE), uint8, of glyphs `classes` (n,) in the given styles.

    `sheets` is what `glyph_fields` returns; the typeface and everything the style leaves open
    (exact weight, turn, scale, shift, bend, tint) are drawn from `generator`.
    """
    n = len(classes)
    printed = torch.randint(len(PRINTED), (n,), generator=generator)
    by_hand = torch.randint(len(PRINTED), len(sheets), (n,), generator=generator)
    field = sheets[torch.where(style.shape == 1, by_hand, printed), classes][:, None]
    grid = _sampling_grid(style, generator)
    distance = F.grid_sample(field, grid, padding_mode="border", align_corners=False)
    # Threshold in units of the side: the stroke grows by `extra` on either edge.
    centre = torch.tensor([-0.015, 0.01, 0.04])[style.weight]
    extra = (centre + _uniform(n, -0.01, 0.015, generator)).view(n, 1, 1, 1)
    # A glyph thinner than the erosion would vanish: keep half of its thickest stroke.
    extra = torch.maximum(extra, -0.5 * field.amax((2, 3), keepdim=True))
    coverage = ((distance + extra) * 2 * SIDE + 0.5).clamp(0, 1)
    crisp = F.avg_pool2d(coverage, 2)
    soft = F.interpolate(F.avg_pool2d(coverage, 4), size=SIDE, mode="bilinear", align_corners=False)
    alpha = torch.where((style.focus == 1).view(n, 1, 1, 1), soft, crisp)
    image = alpha * _colours(style.ink, generator) + (1 - alpha) * _paper(style, generator)
    return (image * 255).round().to(torch.uint8)


def specimens(count: int, generator: torch.Generator) -> torch.Tensor:
    """`count` digits of each class in the style of scanned ones: soft, in white on black.

    uint8 (count, 10, 3, SIDE, SIDE); faces, weights and slants are as varied as in `make_world`.
    """
    n = 10 * count
    style = random_style(n, generator)
    names = list(PALETTE)
    fixed = {"focus": FOCUSES.index("soft"), "ground": GROUNDS.index("plain")}
    fixed |= {"ink": names.index("white"), "paper": names.index("black")}
    style = replace(style, **{name: torch.full((n,), it) for name, it in fixed.items()})
    images = render(glyph_fields(), torch.arange(n) % 10, style, generator)
    return images.view(count, 10, 3, SIDE, SIDE)


@dataclass(frozen=True)
class World:
    """Sheets of type: every sheet shows `CLASSES_PER_SHEET` classes in one style, `COPIES` times.

    images (sheets, classes, copies, 3, SIDE, SIDE) uint8; classes (sheets, classes) int64
    indices into GLYPHS; style, one per sheet.
    """

    images: torch.Tensor
    classes: torch.Tensor
    style: Style


DIGITS_PER_SHEET, CAPITALS_PER_SHEET, COPIES = 5, 2, 3
CLASSES_PER_SHEET = DIGITS_PER_SHEET + CAPITALS_PER_SHEET


def make_world(sheets: int, generator: torch.Generator) -> World:
    """`sheets` sheets of random classes in random styles."""
    glyphs = glyph_fields()

    def some(of: int, count: int) -> torch.Tensor:
        return torch.rand(sheets, of, generator=generator).argsort(1)[:, :count]

    classes = torch.cat([some(10, DIGITS_PER_SHEET), 10 + some(26, CAPITALS_PER_SHEET)], dim=1)
    style = random_style(sheets, generator)
    per_sheet = CLASSES_PER_SHEET * COPIES
    which = torch.arange(sheets).repeat_interleave(per_sheet)
    glyph = classes.repeat_interleave(COPIES, dim=1).flatten()
    images = torch.cat(
        [
            render(glyphs, glyph[part], style[which[part]], generator)
            for part in torch.arange(len(glyph)).split(4096)
        ]
    )
    return World(images.view(sheets, CLASSES_PER_SHEET, COPIES, 3, SIDE, SIDE), classes, style)
