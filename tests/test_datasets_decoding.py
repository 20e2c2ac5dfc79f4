"""Any image file becomes RGB of one size: scaled by its shorter side, cut, upright."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from regl_core.datasets.decoding import attempted, decoded

RAMP = np.tile(np.linspace(0, 255, 90).astype(np.uint8), (60, 1))  # dark left, bright right
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 90)], axis=-1)


def saved(folder, image: Image.Image, name: str = "a.png", **options):
    image.save(folder / name, **options)
    return folder / name


def test_the_shorter_side_is_scaled_and_the_middle_kept(tmp_path):
    found = decoded(saved(tmp_path, Image.fromarray(COLOURS)), 30)
    assert found.shape == (3, 30, 30) and found.dtype == np.uint8 and found.flags.c_contiguous
    # 90 × 60 at half the size is 45 × 30, of which 7.5 columns go on either side.
    columns = found[0].mean(0)
    expected = np.interp(np.arange(30) * 2 + 15.5, np.arange(90), RAMP[0])
    assert np.abs(columns - expected).max() < 2
    assert np.abs(columns + found[1].mean(0) - 255).max() < 2 and (found[2] == 90).all()


def test_an_image_of_that_size_stays_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = decoded(saved(tmp_path, Image.fromarray(pixels)), 32)
    assert np.array_equal(found, pixels.transpose(2, 0, 1))


def test_scaling_down_averages(tmp_path):
    board = np.kron(np.indices((32, 32)).sum(0) % 2, np.ones((2, 2))).astype(np.uint8) * 255
    found = decoded(saved(tmp_path, Image.fromarray(board)), 8)
    assert np.abs(found.astype(int) - 128).max() < 20


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_grey_becomes_rgb(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(RAMP.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(RAMP).convert(mode, dither=Image.Dither.NONE)
    found = decoded(saved(tmp_path, image), 60)
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()
    expected = (RAMP > 127) * 255 if mode == "1" else RAMP
    assert np.abs(found[0].astype(int) - expected[:, 15:75]).max() <= 1


def test_cmyk_jpeg_has_the_colours_of_its_rgb(tmp_path):
    image = Image.fromarray(COLOURS)
    found = decoded(saved(tmp_path, image.convert("CMYK"), "a.jpg", quality=95), 60)
    plain = decoded(saved(tmp_path, image, "b.jpg", quality=95), 60)
    assert np.abs(found.astype(int) - plain).mean() < 4


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_a_palette_is_resolved(tmp_path, name):
    image = Image.fromarray(COLOURS).quantize(64)
    assert image.mode == "P"
    found = decoded(saved(tmp_path, image, name), 60).astype(int)
    assert np.abs(found - COLOURS.transpose(2, 0, 1)[:, :, 15:75]).mean() < 6


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path, kind):
    image = Image.new("RGBA", (32, 32), (200, 10, 10, 255))
    image.paste((0, 0, 0, 0), (0, 0, 32, 16))  # black below, as many programs write it
    image = image.convert(kind)
    found = decoded(saved(tmp_path, image), 32)
    assert (found[:, :15] == 255).all() and (found[:, 17:] < 255).any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_data_say(tmp_path, orientation):
    corner = np.zeros((40, 40, 3), dtype=np.uint8)
    corner[:20, :20] = 255, 0, 0  # red above on the left, as it should be seen
    corner[:20, 20:] = 0, 255, 0
    turn = {  # how a camera held otherwise has stored it
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a),
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: np.rot90(a, 3),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(turn(corner)))
    found = decoded(saved(tmp_path, image, "a.jpg", exif=exif, quality=95), 40).astype(int)
    assert np.abs(found - corner.transpose(2, 0, 1)).mean() < 6


def exif_block(*tags: tuple[int, int, int, bytes]) -> bytes:
    """A little-endian EXIF block of these tags: number, type, count and four bytes each."""
    rows = b"".join(struct.pack("<HHI4s", *tag) for tag in tags)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + rows + bytes(4)


ASCII, SHORT, SLONG = 2, 3, 9
UPSIDE_DOWN = (0x0112, SHORT, 1, b"\3\0\0\0")


@pytest.mark.parametrize(
    "tag",
    [
        (0x0100, ASCII, 4, b"wid\0"),
        (0x011A, ASCII, 4, b"dpi\0"),
        (0x0103, SLONG, 1, b"\xff\xff\xff\xff"),
    ],
    ids=["width as text", "resolution as text", "negative compression"],
)
def test_exif_data_that_are_wrong_elsewhere_harm_no_image(tmp_path, tag):
    image, block = Image.fromarray(COLOURS), exif_block(*sorted([tag, UPSIDE_DOWN]))
    plain = decoded(saved(tmp_path, image, "a.jpg"), 60)
    found = attempted(tmp_path, saved(tmp_path, image, "b.jpg", exif=block).name, 60)
    assert np.array_equal(found, plain[:, ::-1, ::-1])


@pytest.mark.parametrize(
    "block",
    [b"Exif\0\0", b"Exif\0\0rubbish, no TIFF", exif_block(UPSIDE_DOWN)[:20]],
    ids=["empty", "no TIFF", "cut"],
)
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_an_image_whose_exif_data_cannot_be_read_stays_as_it_is(tmp_path, block, kind):
    image = Image.fromarray(COLOURS)
    plain = decoded(saved(tmp_path, image, f"a.{kind}"), 60)
    found = attempted(tmp_path, saved(tmp_path, image, f"b.{kind}", exif=block).name, 60)
    assert np.array_equal(found, plain)


@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
def test_other_formats_are_turned_too(tmp_path, kind):
    image, exif = Image.fromarray(COLOURS), Image.Exif()
    exif[0x0112] = 6
    name = saved(tmp_path, image, f"b.{kind}", exif=exif, lossless=True).name
    turned = np.rot90(COLOURS, -1)[15:75].transpose(2, 0, 1)
    assert np.array_equal(attempted(tmp_path, name, 60), turned)


def whole(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).save(buffer, name)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "tiff", "bmp"])
def test_a_truncated_image_is_told(tmp_path, kind):
    (tmp_path / "a").write_bytes(whole(kind))
    assert isinstance(attempted(tmp_path, "a", 16), np.ndarray)
    (tmp_path / "a").write_bytes(whole(kind)[: len(whole(kind)) // 2])
    told = attempted(tmp_path, "a", 16)
    assert isinstance(told, str) and told.startswith(f"{tmp_path / 'a'}: ")


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff", bytes(1000)])
def test_what_is_no_image_is_told(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    assert isinstance(attempted(tmp_path, "a.jpg", 16), str)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    (tmp_path / "b.jpg").mkdir()
    assert "No such file" in attempted(tmp_path, "a.jpg", 16)
    assert "directory" in attempted(tmp_path, "b.jpg", 16)
