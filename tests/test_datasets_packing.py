"""Images decoded once: kept as they were decoded, mapped, resumed, mended, shared."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_datasets import loader, replicas, settings

from regl_core import data, datasets
from regl_core.datasets import packing
from regl_core.datasets.decoding import decoded
from regl_core.errors import Halt, ReglError
from regl_core.images import Images
from regl_core.params import ROOT
from tools.replica import datasets as replica


@pytest.fixture
def photos(tmp_path):
    """A loader of 3 × 12 photos, in blocks of 5."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "BLOCK", 5)
        root = replica.photos(tmp_path / "photos", ["cat", "dog", "eel"], images=12)
        yield loader("folder:photos", root)


def noted(manifest: Path) -> dict[str, list[str]]:
    return json.loads(manifest.read_text())


def pixels(of: data.Dataset) -> list[bytes]:
    return [split.images[:].numpy().tobytes() for split in (of.train, of.test)]


def test_images_are_those_of_the_files(photos):
    found = photos.load()
    for split, part in zip((found.train, found.test), photos.listed().parts, strict=True):
        assert isinstance(split.images, Images)
        assert split.images.shape == (len(part), 3, 32, 32) and split.images.dtype == torch.uint8
        assert split.labels.tolist() == part.labels.tolist()
        for image, row in zip(split.images[:], part.rows.tolist(), strict=True):
            file = photos.root / photos.listed().files[row]
            assert np.array_equal(image.numpy(), decoded(file, 32))


def test_the_second_time_nothing_is_decoded(photos, monkeypatch):
    first = photos.load()
    monkeypatch.setattr(packing, "attempted", lambda *_: pytest.fail("decoded again"))
    again = photos.load()
    assert again.digest == first.digest and pixels(again) == pixels(first)


def test_parts_are_views_of_one_file(photos):
    found = photos.load()
    part = found.train.subset(torch.tensor([4, 2]))
    (pixels,) = part.images.parts
    assert pixels.data_ptr() == found.test.images.parts[0].data_ptr()
    assert torch.equal(part.images[:], found.train.images[torch.tensor([4, 2])])
    (folder,) = photos.packed.glob("*/images.u8")
    assert folder.stat().st_size == 36 * 3 * 32 * 32


@pytest.mark.parametrize("name", ["imagefruit", "cub", "cars", "eurosat", "folder:photos"])
def test_the_digest_is_the_same_in_another_folder(name, tmp_path):
    root = replicas(tmp_path / "one")[name]
    shutil.copytree(root, tmp_path / "two" / root.name, copy_function=shutil.copy)  # other times
    here, there = loader(name, root), loader(name, tmp_path / "two" / root.name)
    assert here.load().digest == there.load().digest
    assert here.pack().folder.name != there.pack().folder.name


def test_the_digest_sees_images_labels_names_and_cuts(photos):
    before = photos.load().digest
    digests = {before}
    for changes in ({"split_seed": 1}, {"train_per_class": 5}, {"validation_share": 0.2}):
        digests.add(loader(photos.name, photos.root, **changes).load().digest)
    digests.add(loader(photos.name, photos.root, image_side=24).load().digest)
    (photos.root / "classes.txt").write_text("cat,Katze\ndog,dog\neel,eel\n")
    digests.add(photos.load().digest)
    (photos.root / "classes.txt").unlink()
    assert photos.load().digest == before
    Image.new("RGB", (40, 40)).save(photos.root / "eel/3.png")
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


def test_a_file_with_the_same_pixels_in_other_bytes_is_another(photos):
    before = photos.load()
    file = photos.root / "dog/2.png"
    with Image.open(file) as image:
        image.save(file, compress_level=0)
    after = loader(photos.name, photos.root).load()
    assert pixels(after) == pixels(before) and after.digest != before.digest


@pytest.mark.parametrize("how", ["other bytes", "other time", "gone"])
def test_a_file_that_changes_after_it_was_packed_is_told(photos, how):
    found = photos.load()
    file = photos.root / photos.listed().files[photos.listed().train.rows[1]]
    assert found.train.pictures(torch.tensor([1]), 64).shape == (1, 3, 64, 64)
    if how == "other bytes":
        Image.new("RGB", (40, 40)).save(file)
    elif how == "other time":
        os.utime(file, (0, 0))
    else:
        file.unlink()
    with pytest.raises(ReglError, match=re.escape(str(file))):
        found.train.pictures(torch.tensor([1]), 64)
    assert found.train.pictures(torch.tensor([0]), 64).shape == (1, 3, 64, 64)


def test_a_file_that_changes_while_it_is_packed_is_told(photos, monkeypatch):
    def attempted(root, name, side):
        found = decoded(root / name, side)
        if name == "eel/9.png":
            Image.new("RGB", (40, 40)).save(root / name)
        return found

    monkeypatch.setattr(packing, "attempted", attempted)
    with pytest.raises(Halt, match=r"eel/9\.png has changed while this program ran"):
        photos.load()


def test_a_manifest_cannot_name_other_files(photos):
    before = photos.load()
    (manifest,) = photos.packed.glob("*/manifest.json")
    good = manifest.read_text()
    (_, files), *_ = noted(manifest).values()
    manifest.write_text(good.replace(files, files[::-1]))
    with pytest.warns(UserWarning, match=r"damaged in 1 of 8 blocks"):
        assert photos.load().digest == before.digest
    assert manifest.read_text() == good


def test_cuts_share_one_pack(photos):
    for changes in ({}, {"validation_share": 0.25}, {"train_per_class": 3}, {"split_seed": 5}):
        loader(photos.name, photos.root, **changes).load()
    assert len(list(photos.packed.glob("*/images.u8"))) == 1


def test_pictures_come_from_the_files_where_those_are_larger(photos):
    found = photos.load()
    part = found.train.subset(torch.tensor([5, 3, 1]))
    row = photos.listed().train.rows[3].item()
    file = photos.root / photos.listed().files[row]
    large = part.pictures(torch.tensor([1]), 64)
    assert large.shape == (1, 3, 64, 64) and large.dtype == torch.uint8
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
    text = str(caught.value)
    assert "3 image files cannot be decoded" in text
    assert all(name in text for name in ("cat/1.png", "eel/11.png", "dog/0.png"))
    assert len(text.splitlines()) == 4
    assert list(photos.packed.glob("*/*")) == []
    (photos.root / "cat/1.png").write_bytes(whole)
    for file in ("eel/11.png", "dog/0.png"):
        (photos.root / file).unlink()
    assert len(photos.load().train) + len(photos.load().test) == 34


def test_too_small_a_disk_is_told_before_anything_is_decoded(photos, monkeypatch):
    usage = shutil.disk_usage(photos.root)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(packing, "attempted", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ReglError, match=r"folder:photos: its decoded images need 0\.0 GB more"):
        photos.load()


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_failing_disk_is_told_and_costs_nothing_that_was_decoded(photos, monkeypatch, code):
    def attempted(root, name, side):
        if name == "eel/9.png":
            raise OSError(code, os.strerror(code), name)
        return decoded(root / name, side)

    with monkeypatch.context() as patch:
        patch.setattr(packing, "attempted", attempted)
        with pytest.raises(Halt, match=r"eel/9\.png.*; see to it and run again"):
            photos.load()
    (manifest,) = photos.packed.glob("*/manifest.json")
    kept = noted(manifest)
    assert "35" not in kept  # where it is, the last one
    photos.load()
    assert kept.items() <= noted(manifest).items()


def test_a_full_disk_is_told(photos, monkeypatch):
    def put(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(packing, "put", put)
    with pytest.raises(Halt, match="the disk is full, nothing more fits below"):
        photos.load()


def damaged(photos, place: int) -> None:
    (file,) = photos.packed.glob("*/images.u8")
    with file.open("r+b") as opened:
        opened.seek(place)
        old = opened.read(1)
        opened.seek(place)
        opened.write(bytes([old[0] ^ 1]))


def test_damage_is_mended_with_one_warning_and_costs_its_block_alone(photos, monkeypatch):
    before = photos.load()
    known = pixels(before)
    damaged(photos, 17 * 3 * 32 * 32 + 9)
    tried = []
    monkeypatch.setattr(
        packing,
        "attempted",
        lambda root, name, side: tried.append(name) or decoded(root / name, side),
    )
    with pytest.warns(UserWarning, match=r"damaged in 1 of 8 blocks") as told:
        after = photos.load()
    assert len(told) == 1 and len(tried) == 5
    assert after.digest == before.digest and pixels(after) == known
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photos.load()


@pytest.mark.parametrize("how", ["gone", "short", "empty"])
def test_a_lost_or_short_file_is_packed_anew(photos, how):
    known = pixels(photos.load())
    (file,) = photos.packed.glob("*/images.u8")
    if how == "gone":
        file.unlink()
    else:
        os.truncate(file, 0 if how == "empty" else 9 * 3 * 32 * 32)
    with pytest.warns(UserWarning, match="damaged in"):
        assert pixels(photos.load()) == known


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"0": 3}', '{"a": ["", ""]}', '{"0": ["", ""], "3": ["", ""]}']
)
def test_a_spoilt_manifest_is_written_anew(photos, text):
    before = photos.load()
    (manifest,) = photos.packed.glob("*/manifest.json")
    good = json.loads(manifest.read_text())
    manifest.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert photos.load().digest == before.digest
    assert json.loads(manifest.read_text()) == good


PROGRAM = """
import sys, time
from pathlib import Path
from toy_datasets import loader
from regl_core.datasets import packing
packing.BLOCK = 5
slow = packing.attempted
def attempted(root, name, side):
    time.sleep(float(sys.argv[2]))
    with open(Path(sys.argv[1]).parent / "decoded", "a") as file:
        file.write(name + "\\n")
    return slow(root, name, side)
packing.attempted = attempted
print(loader("folder:photos", Path(sys.argv[1])).load().digest)
"""


def started(photos, seconds: float) -> subprocess.Popen:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(photos.root), str(seconds)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_what_was_packed_before_a_kill_is_kept(photos):
    process = started(photos, 0.1)
    deadline = time.monotonic() + 120
    while not (found := [it for it in photos.packed.glob("*/manifest.json") if noted(it)]):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = noted(found[0])
    assert 0 < len(kept) < 8
    log = photos.packed.parent / "decoded"
    log.unlink()
    second = started(photos, 0)
    digest = second.communicate()[0].strip()
    assert len(log.read_text().splitlines()) == 36 - sum(5 if k != "35" else 1 for k in kept)
    shutil.rmtree(photos.packed)
    assert photos.load().digest == digest


def test_two_processes_pack_once(photos):
    both = [started(photos, 0.02) for _ in range(2)]
    digests = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert digests == {photos.load().digest}
    assert len((photos.packed.parent / "decoded").read_text().splitlines()) == 36
