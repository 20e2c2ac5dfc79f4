"""Images decoded once: kept in blocks as they were decoded, mapped, resumed, mended, shared."""

import errno
import multiprocessing
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_datasets import NAMES, loader, settings

from regl_core import data, datasets
from regl_core.datasets import decoding
from regl_core.datasets.decoding import decoded
from regl_core.errors import Halt, ReglError
from regl_core.images import Images
from tools.replica import datasets as replica

SIZE = 3 * 32 * 32  # bytes of an image
BLANK = Image.new("RGB", (40, 40))


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    return replica.photos(tmp_path_factory.mktemp("p") / "photos", ["cat", "dog", "eel"], images=12)


@pytest.fixture
def photos(originals, tmp_path, monkeypatch):
    """A loader of 3 × 12 photos, in blocks of 5."""
    monkeypatch.setattr(decoding, "BLOCK", 5)
    return loader("folder:photos", Path(shutil.copytree(originals, tmp_path / "photos")))


def kept(photos) -> list[Path]:
    """The folder of each block that is there, in the order in which they were made."""
    return sorted(photos.store.folders(), key=lambda it: it.stat().st_mtime_ns)


def pixels(of: data.Dataset) -> list[bytes]:
    return [split.images[:].numpy().tobytes() for split in (of.train, of.test)]


def attempts(before: Callable[[Path], None] = lambda path: None, after=lambda path: None):
    """Stands in for `attempted`; before and after each file something happens."""
    tried = []

    def attempted(path: Path, side: int) -> np.ndarray:
        tried.append(path.name)
        before(path)
        found = decoded(path, side)
        after(path)
        return found

    return tried, attempted


def test_images_are_those_of_the_files_and_decoded_once(photos, monkeypatch):
    found, listing = photos.load(), photos.listed()
    for split, part in zip((found.train, found.test), listing.parts, strict=True):
        assert isinstance(split.images, Images) and split.images.dtype == torch.uint8
        expected = [decoded(photos.root / listing.files[row], 32) for row in part.rows]
        assert np.array_equal(split.images[:], expected)
        assert split.labels.tolist() == part.labels.tolist()
    monkeypatch.setattr(decoding, "attempted", lambda *_: pytest.fail("decoded again"))
    again = photos.load()
    assert again.digest == found.digest and pixels(again) == pixels(found)


def test_parts_and_cuts_are_views_of_the_same_files(photos):
    found = photos.load()
    part = found.train.subset(torch.tensor([4, 2]))
    for one, other in zip(part.images.parts, found.test.images.parts, strict=True):
        assert one.data_ptr() == other.data_ptr()
    assert torch.equal(part.images[:], found.train.images[torch.tensor([4, 2])])
    for changes in ({"validation_share": 0.25}, {"train_per_class": 3}, {"split_seed": 5}):
        loader(photos.name, photos.root, **changes).load()
    sizes = [(it / decoding.PIXELS).stat().st_size for it in kept(photos)]
    assert len(sizes) == 8 and sum(sizes) == 36 * SIZE


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_is_the_same_in_another_folder(name, data_sets, tmp_path):
    there = tmp_path / data_sets[name].name
    shutil.copytree(data_sets[name], there, copy_function=shutil.copy)  # other times
    one, other = loader(name, data_sets[name]), loader(name, there)
    assert one.load().digest == other.load().digest
    assert not {it.key for it in one.blocks()} & {it.key for it in other.blocks()}


def test_the_digest_sees_images_labels_names_and_cuts(photos):
    before = photos.load().digest
    digests = {before}
    cuts = [{"split_seed": 1}, {"train_per_class": 5}, {"validation_share": 0.2}]
    for changes in (*cuts, {"image_side": 24}):
        digests.add(loader(photos.name, photos.root, **changes).load().digest)
    (photos.root / "classes.txt").write_text("cat,Katze\ndog,dog\neel,eel\n")
    digests.add(photos.load().digest)
    (photos.root / "classes.txt").unlink()
    assert photos.load().digest == before
    BLANK.save(photos.root / "eel/3.png")
    digests.add(photos.load().digest)
    os.rename(photos.root / "eel/4.png", photos.root / "dog/4b.png")
    digests.add(photos.load().digest)
    assert len(digests) == 8


def test_files_that_are_the_same_when_small_are_not_one_data_set(photos):
    """What is made from pictures at a larger size differs, so the key of it must."""
    row = photos.listed().train.rows[0]
    fine = (128 + (-1) ** np.indices((64, 64)).sum(0)).astype(np.uint8)  # vanishes at 32 pixels
    found = []
    for image in (fine, np.full_like(fine, 128)):
        Image.fromarray(image).save(photos.root / photos.listed().files[row])
        its = loader(photos.name, photos.root).load()
        found.append((pixels(its), its.train.pictures(torch.tensor([0]), 64), its.digest))
    (small, large, digest), (same, other, another) = found
    assert small == same and not torch.equal(large, other)
    assert digest != another


@pytest.mark.parametrize("how", ["other bytes", "other time", "gone"])
def test_a_file_that_changes_after_it_was_packed_is_told(photos, how):
    found = photos.load()
    file = photos.root / photos.listed().files[photos.listed().train.rows[1]]
    assert found.train.pictures(torch.tensor([1]), 64).shape == (1, 3, 64, 64)
    changes = {"other bytes": BLANK.save, "other time": lambda it: os.utime(it, (0, 0))}
    changes.get(how, Path.unlink)(file)
    with pytest.raises(ReglError, match=re.escape(str(file))):
        found.train.pictures(torch.tensor([1]), 64)
    assert found.train.pictures(torch.tensor([0]), 64).shape == (1, 3, 64, 64)


def test_a_file_that_changes_while_it_is_packed_is_told(photos, monkeypatch):
    _, attempted = attempts(after=lambda it: BLANK.save(it) if it.name == "9.png" else None)
    monkeypatch.setattr(decoding, "attempted", attempted)
    with pytest.raises(Halt, match=r"/9\.png has changed while this program ran"):
        photos.load()


def test_pictures_come_from_the_files_where_those_are_larger(photos):
    found, listing = photos.load(), photos.listed()
    part = found.train.subset(torch.tensor([5, 3, 1]))
    large = part.pictures(torch.tensor([1]), 64)
    assert large.shape == (1, 3, 64, 64) and large.dtype == torch.uint8
    file = photos.root / listing.files[listing.train.rows[3]]
    assert np.array_equal(large[0].numpy(), decoded(file, 64))
    enlarged = data.resized(part.images[torch.tensor([1])], 64)
    assert (large.float() - enlarged.float()).abs().mean() > 1
    assert torch.equal(part.pictures(torch.tensor([1]), 32), part.images[torch.tensor([1])])
    small = data.resized(part.images[torch.tensor([0, 2])], 16)
    assert torch.equal(part.pictures(torch.tensor([0, 2]), 16), small)
    assert part.pictures(torch.empty(0, dtype=torch.int64), 64).shape == (0, 3, 64, 64)


def test_pictures_without_files_are_enlarged():
    digits = datasets.load("digits", settings(None, train_per_class=3, image_side=16))
    index = torch.tensor([2, 0])
    expected = data.resized(digits.train.images[index], 48)
    assert torch.equal(digits.train.pictures(index, 48), expected)


def test_undecodable_files_are_named_all_at_once_and_nothing_is_left(photos):
    whole = (photos.root / "cat/1.png").read_bytes()
    (photos.root / "cat/1.png").write_bytes(whole[: len(whole) // 2])
    (photos.root / "eel/11.png").write_bytes(b"no image")
    (photos.root / "dog/0.png").write_bytes(b"")
    with pytest.raises(ReglError) as caught:
        photos.load()
    first, *named = str(caught.value).splitlines()
    assert "3 image files cannot be decoded" in first and len(named) == 3
    assert all(it in str(caught.value) for it in ("cat/1.png", "eel/11.png", "dog/0.png"))
    assert len(kept(photos)) == 5  # what is whole need not be decoded again
    (photos.root / "cat/1.png").write_bytes(whole)
    for file in ("eel/11.png", "dog/0.png"):
        (photos.root / file).unlink()
    assert len(photos.load().train) + len(photos.load().test) == 34


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EIO, r"/9\.png.*; see to it and run again"),
        (errno.ESTALE, r"/9\.png.*; see to it and run again"),
        (errno.EMFILE, r"/9\.png.*; see to it and run again"),
        (errno.ENOSPC, "the disk is full, nothing more fits below"),
    ],
)
def test_a_failing_disk_is_told_and_costs_nothing_that_was_decoded(
    photos, monkeypatch, code, words
):
    def failing(path: Path) -> None:
        if path.match("eel/9.png"):
            raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "attempted", attempts(failing)[1])
        with pytest.raises(Halt, match=words):
            photos.load()
    before = kept(photos)
    assert len(before) < 8
    photos.load()
    assert kept(photos)[: len(before)] == before


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[SIZE + 9] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("spoil", [flip, Path.unlink, lambda file: os.truncate(file, 9)])
def test_damage_is_mended_with_one_warning_and_costs_its_block_alone(photos, monkeypatch, spoil):
    before = photos.load()
    known = pixels(before)
    spoil(kept(photos)[3] / decoding.PIXELS)
    tried, attempted = attempts()
    monkeypatch.setattr(decoding, "attempted", attempted)
    with pytest.warns(UserWarning, match=r"is damaged .images\.u8 .* computed anew") as told:
        after = photos.load()
    assert len(told) == 1 and len(tried) in (5, 1)
    assert after.digest == before.digest and pixels(after) == known
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photos.load()


def load(photos, seconds: float, log: Path) -> None:
    """In a process of its own: every image takes `seconds` and is told in `log`."""

    def told(path: Path) -> None:
        time.sleep(seconds)
        with log.open("a") as file:
            file.write(f"{path.name}\n")

    decoding.attempted = attempts(told)[1]
    log.with_name(f"digest-{os.getpid()}").write_text(photos.load().digest)


def started(*given) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=load, args=given)
    process.start()
    return process


def test_what_was_decoded_before_a_kill_is_kept_and_two_processes_decode_the_rest_once(photos):
    log = photos.packed.parent / "decoded"
    process = started(photos, 0.1, log)
    deadline = time.monotonic() + 120
    while not kept(photos):
        assert time.monotonic() < deadline and process.is_alive()
        time.sleep(0.02)
    process.kill()
    process.join()
    before = kept(photos)
    assert 0 < len(before) < 8
    log.unlink()
    both = [started(photos, 0.02, log) for _ in range(2)]
    for process in both:
        process.join()
        assert process.exitcode == 0
    left = sum(len(it.files) for it in photos.blocks() if it.key not in {it.name for it in before})
    assert len(log.read_text().splitlines()) == left
    assert kept(photos)[: len(before)] == before
    digests = {file.read_text() for file in log.parent.glob("digest-*")}
    shutil.rmtree(photos.packed)
    assert digests == {photos.load().digest}
