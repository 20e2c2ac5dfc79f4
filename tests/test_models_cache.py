"""Models by id and revision: found in the local cache, told apart by commit, downloaded."""

import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError
from toy_models import IDS, Hub, cache, cached, naming, pictures

from regl_core import conditions, foundation
from regl_core.errors import Halt, ReglError
from regl_core.hub import Sources, fetch
from regl_core.pipeline import Pipeline
from regl_core.press import main
from regl_core.stages import Vanilla

__all__ = ["cache"]
NAMED = [f"foundation.{key}={name}" for key, name in IDS.items()]
COMMITS = ("1" * 40, "2" * 40)


@pytest.fixture
def models(model_folders) -> dict[str, Path]:
    return model_folders()


@pytest.fixture
def filled(cache, models) -> Path:
    for key, folder in models.items():
        cached(cache, IDS[key], folder, COMMITS[0])
    return cache


def digest(**changes: object) -> str:
    return Sources(naming(IDS, **changes).foundation).digest()


def test_an_id_is_the_commit_that_the_cache_names(filled, models):
    first, newest = digest(), {"revision": COMMITS[0]}
    assert digest(**newest) == first
    cached(filled, IDS["name"], models["name"], COMMITS[1])
    assert digest() != first
    assert digest(**newest) == first
    assert digest(revision=COMMITS[1]) == digest()
    cached(filled, IDS["name"], models["name"], COMMITS[0], ref="v1")
    assert digest(revision="v1") == first
    assert digest(revision="v1", dtype="bfloat16") != first


@pytest.mark.parametrize("key", ["image_encoder", "captioner"])
def test_every_model_has_a_revision_of_its_own(filled, models, key):
    first, own = digest(), f"{key}_revision"
    cached(filled, IDS[key], models[key], COMMITS[1])
    assert digest() != first
    assert digest(**{own: COMMITS[0]}) == first
    (wrong,) = foundation.problems(naming(IDS, **{own: "no-such"}).foundation)
    assert wrong.startswith(f"foundation.{key}: {IDS[key]} at revision 'no-such'")


def test_a_folder_is_its_bytes_and_not_its_place(models, tmp_path, monkeypatch):
    def of(folders: dict[str, Path]) -> str:
        return Sources(naming(folders).foundation).digest()

    first = of(models)
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
        assert of(models) == first
    copy = {key: Path(shutil.copytree(it, tmp_path / key)) for key, it in models.items()}
    assert of(copy) == first
    (copy["name"] / "README.md").write_text("Not read.")
    (copy["name"] / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"Not read.")
    assert of(copy) == first
    weights = copy["name"] / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert of(copy) != first


def test_keys_of_stages_follow_the_commit_and_nothing_else(filled, models):
    def stage(**changes: object) -> Vanilla:
        return Pipeline().vanilla("digits", ("one",), naming(IDS, **changes), 0, 0)

    first = stage()
    for changes in ({"device": "auto"}, {"revision": "main"}, {"revision": COMMITS[0]}):
        assert stage(**changes).key == first.key
    cached(filled, IDS["captioner"], models["captioner"], COMMITS[1])
    assert stage().key != first.key
    with pytest.raises(Halt, match="changed"):
        first.models.load()


def test_models_load_from_the_cache_without_a_network(filled, models, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    by_id = foundation.load(naming(IDS).foundation)
    by_path = foundation.load(naming(models).foundation)
    for name in ("image_encoder", "captioner"):
        states = [getattr(it, name).state_dict() for it in (by_id, by_path)]
        assert all(torch.equal(tensor, states[1][key]) for key, tensor in states[0].items())
    images = pictures(2)
    assert conditions.captions(by_id, images, ()) == conditions.captions(by_path, images, ())


@pytest.fixture
def hub(models, tmp_path, monkeypatch) -> Hub:
    """The models, each beside the same weights in other forms."""
    full = {}
    for key, folder in models.items():
        copy = Path(shutil.copytree(folder, tmp_path / "hub" / key))
        for weights in list(copy.rglob("*.safetensors")):
            for name in (f"{weights.stem}.fp16.safetensors", f"{weights.stem}.bin"):
                (weights.parent / name).write_bytes(b"?")
        for name in ("all.ckpt", "open_clip_model.safetensors", "tf_model.h5", "README.md"):
            (copy / name).write_bytes(b"?")
        (copy / "safety_checker").mkdir()
        (copy / "safety_checker" / "model.safetensors").write_bytes(b"?")
        full[IDS[key]] = copy
    made = Hub(full)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
    return made


def test_missing_models_are_downloaded_and_nothing_besides(hub, cache, models, capsys):
    cached(cache, IDS["captioner"], models["captioner"], COMMITS[0])
    settings = naming(IDS, revision="v1")
    fetch(settings)
    assert hub.told == [IDS["name"], IDS["image_encoder"]]
    for key in ("name", "image_encoder"):
        own = (path for path in models[key].rglob("*") if path.is_file())
        assert hub.sent[IDS[key]] == sorted(str(path.relative_to(models[key])) for path in own)
    said = capsys.readouterr().out
    assert f"downloading {IDS['name']}" in said
    assert f"{IDS['name']} at commit c0ffee" in said and f"at commit {COMMITS[0]}" in said
    assert foundation.problems(settings.foundation) == []
    assert foundation.load(settings.foundation).image_side == 64
    fetch(settings)
    assert len(hub.told) == 2


def test_what_is_incomplete_is_downloaded_again(hub, filled):
    snapshot = filled / "models--owner--drawing" / "snapshots" / COMMITS[0]
    (snapshot / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert foundation.problems(naming(IDS).foundation)
    fetch(naming(IDS))
    assert list(hub.sent) == [IDS["name"]]
    assert foundation.problems(naming(IDS).foundation) == []


@pytest.mark.parametrize(
    "error",
    [
        # What the hub's client raises takes a response that a test has not.
        *(it.__new__(it, "refused") for it in (GatedRepoError, RevisionNotFoundError)),
        ConnectionError("no route\nto host"),
    ],
)
def test_a_download_that_fails_says_why_and_ends_no_other(hub, cache, error, capsys):
    hub.failing[IDS["image_encoder"]] = error
    assert main(["models", "--profile", "smoke", "--set", *NAMED]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: foundation.image_encoder: owner/seeing (image-encoder) co")
    assert (
        f"({type(error).__name__}: {' '.join(str(error).split())})" in shown.err
        and "set HF_TOKEN" in shown.err
    )
    assert len(shown.err.splitlines()) == 1
    assert set(hub.sent) == {IDS["name"], IDS["captioner"]}


def test_too_small_a_disk_is_told_before_anything_is_downloaded(hub, cache, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**9))
    hub.size = 10**9
    with pytest.raises(ReglError, match="HF_HOME"):
        fetch(naming(IDS))
    assert not hub.sent and not cache.exists()


def test_folders_are_never_downloaded(hub, cache, models, tmp_path):
    broken = Path(shutil.copytree(models["name"], tmp_path / "broken"))
    (broken / "model_index.json").unlink()
    with pytest.raises(ReglError, match=r"model_index\.json is missing"):
        fetch(naming({**models, "name": broken}))
    assert not hub.told
