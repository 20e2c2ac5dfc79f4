"""Any image file becomes RGB of one size: scaled by its shorter side, cut, upright."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from regl_core.datasets.decoding import attempted, decoded

RAMP = np.tile(np.linspace(0, 255, 90).astype(np.uint8), (60, 1))  # dark left, bright right
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 90)], axis=-1)
IMAGE = Image.fromarray(COLOURS)
MIDDLE = COLOURS[:, 15:75].transpose(2, 0, 1)  # what is kept of it at 60 pixels


@pytest.fixture
def found(tmp_path):
    """Gives an image, saved under a name, as it is decoded at a side."""

    def decode(image: Image.Image, side: int, name: str = "a.png", **options) -> np.ndarray:
        image.save(tmp_path / name, **options)
        return decoded(tmp_path / name, side)

    return decode


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one.astype(int) - other)


def test_the_shorter_side_is_scaled_and_the_middle_kept(found):
    image = found(IMAGE, 30)
    assert image.shape == (3, 30, 30) and image.dtype == np.uint8 and image.flags.c_contiguous
    # 90 × 60 at half the size is 45 × 30, of which 7.5 columns go on either side.
    columns = image[0].mean(0)
    expected = np.interp(np.arange(30) * 2 + 15.5, np.arange(90), RAMP[0])
    assert np.abs(columns - expected).max() < 2
    assert np.abs(columns + image[1].mean(0) - 255).max() < 2 and (image[2] == 90).all()


def test_an_image_of_that_size_stays_and_a_larger_one_is_averaged(found):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(found(Image.fromarray(pixels), 32), pixels.transpose(2, 0, 1))
    board = np.kron(np.indices((32, 32)).sum(0) % 2, np.ones((2, 2))).astype(np.uint8) * 255
    assert apart(found(Image.fromarray(board), 8), 128).max() < 20


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_grey_becomes_rgb(found, mode):
    if mode == "I;16":
        image = Image.fromarray(RAMP.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(RAMP).convert(mode, dither=Image.Dither.NONE)
    red, green, blue = found(image, 60)
    assert (red == green).all() and (red == blue).all()
    expected = (RAMP > 127) * 255 if mode == "1" else RAMP
    assert apart(red, expected[:, 15:75]).max() <= 1


def test_cmyk_and_palettes_are_resolved(found):
    plain = found(IMAGE, 60, "b.jpg", quality=95)
    assert apart(found(IMAGE.convert("CMYK"), 60, "a.jpg", quality=95), plain).mean() < 4
    few = IMAGE.quantize(64)
    assert few.mode == "P"
    assert all(apart(found(few, 60, name), MIDDLE).mean() < 6 for name in ("a.gif", "a.png"))


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(found, kind):
    image = Image.new("RGBA", (32, 32), (200, 10, 10, 255))
    image.paste((0, 0, 0, 0), (0, 0, 32, 16))  # black below, as many programs write it
    image = found(image.convert(kind), 32)
    assert (image[:, :15] == 255).all() and (image[:, 17:] < 255).any()


# How a camera held otherwise has stored an image of each orientation, rows and columns first.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a, 3),
}


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [*(("jpg", it) for it in STORED), *((it, 6) for it in ("png", "webp", "tiff"))],
)
def test_images_are_turned_as_their_exif_data_say(found, kind, orientation):
    corner = np.zeros((40, 40, 3), dtype=np.uint8)
    corner[:20, :20] = 255, 0, 0  # red above on the left, as it should be seen
    corner[:20, 20:] = 0, 255, 0
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](corner)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = {"quality": 95} if kind == "jpg" else {"lossless": True}
    image = found(image, 40, f"a.{kind}", exif=exif, **how)
    assert apart(image, corner.transpose(2, 0, 1)).mean() < (6 if kind == "jpg" else 1e-9)


def exif_block(*tags: tuple[int, int, int, bytes]) -> bytes:
    """A little-endian EXIF block of these tags: number, type, count and four bytes each."""
    rows = b"".join(struct.pack("<HHI4s", *tag) for tag in tags)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + rows + bytes(4)


ASCII, SHORT, SLONG = 2, 3, 9
UPSIDE_DOWN = (0x0112, SHORT, 1, b"\3\0\0\0")
ELSEWHERE = {
    "width as text": (0x0100, ASCII, 4, b"wid\0"),
    "resolution as text": (0x011A, ASCII, 4, b"dpi\0"),
    "negative compression": (0x0103, SLONG, 1, b"\xff\xff\xff\xff"),
}
UNREADABLE = {
    "empty": b"Exif\0\0",
    "no TIFF": b"Exif\0\0rubbish, no TIFF",
    "cut": exif_block(UPSIDE_DOWN)[:20],
}


@pytest.mark.parametrize("tag", ELSEWHERE.values(), ids=ELSEWHERE)
def test_exif_data_that_are_wrong_elsewhere_harm_no_image(found, tag):
    turned = found(IMAGE, 60, "b.jpg", exif=exif_block(*sorted([tag, UPSIDE_DOWN])))
    assert np.array_equal(turned, found(IMAGE, 60, "a.jpg")[:, ::-1, ::-1])


@pytest.mark.parametrize("block", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_an_image_whose_exif_data_cannot_be_read_stays_as_it_is(found, block, kind):
    plain = found(IMAGE, 60, f"a.{kind}")
    assert np.array_equal(found(IMAGE, 60, f"b.{kind}", exif=block), plain)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "tiff", "bmp"])
def test_a_truncated_image_is_told(tmp_path, kind):
    buffer = io.BytesIO()
    IMAGE.save(buffer, kind)
    (tmp_path / "a").write_bytes(buffer.getvalue())
    assert isinstance(attempted(tmp_path / "a", 16), np.ndarray)
    (tmp_path / "a").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    told = attempted(tmp_path / "a", 16)
    assert isinstance(told, str) and told.startswith(f"{tmp_path / 'a'}: ")


def test_what_is_no_image_or_no_file_is_told(tmp_path):
    for content in (b"", b"text", b"\xff\xd8\xff", bytes(1000)):
        (tmp_path / "a.jpg").write_bytes(content)
        assert isinstance(attempted(tmp_path / "a.jpg", 16), str)
    (tmp_path / "b.jpg").mkdir()
    assert "No such file" in attempted(tmp_path / "c.jpg", 16)
    assert "directory" in attempted(tmp_path / "b.jpg", 16)
