"""What is missing of the models or does not fit is said before anything is loaded, all at once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_models import IDS, cache, naming

from regl_core import foundation
from regl_core.errors import ReglError
from regl_core.hub import Sources, components

__all__ = ["cache"]
UNET = "unet/diffusion_pytorch_model"


@pytest.fixture
def whole(model_folders) -> dict[str, Path]:
    return model_folders()


@pytest.fixture
def models(whole, tmp_path) -> dict[str, Path]:
    """A copy to be harmed."""
    return {key: Path(shutil.copytree(folder, tmp_path / key)) for key, folder in whole.items()}


def problems(names: dict[str, Path], visual_token: bool = True, **changes: object) -> list[str]:
    return foundation.problems(naming(names, **changes).foundation, visual_token)


def test_nothing_is_said_of_models_that_are_whole(whole):
    assert problems(whole) == []


def renamed(end: str) -> Callable[[Path], None]:
    return lambda file: file.rename(file.with_suffix(end)) and None


def cut(file: Path) -> None:
    """As a download that was ended, or a large file that git did not fetch."""
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (
            renamed(".bin"),
            "missing: not diffusion_pytorch_model.bin; rename it, or convert a pickle, which can",
        ),
        (
            renamed(".fp16.safetensors"),
            "model.fp16.safetensors; rename it",
        ),
        (Path.unlink, "diffusion_pytorch_model.safetensors is missing in"),
        (cut, "diffusion_pytorch_model.safetensors is damaged"),
    ],
)
def test_weights_that_cannot_be_read_are_named(models, harm, words):
    harm(models["name"] / f"{UNET}.safetensors")
    (found,) = problems(models)
    assert found.startswith("foundation.name: ") and words in found and "copy the whole" in found
    settings = naming(models).foundation
    for attempt in (foundation.load, lambda its: Sources(its).digest()):
        with pytest.raises(ReglError, match="diffusion_pytorch_model"):
            attempt(settings)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "[" * 100_000, "{}", '{"weight_map": []}', '{"weight_map": "a"}'),
        '{"weight_map": {}}',
        *(
            json.dumps({"weight_map": {"a": name}})
            for name in (
                *("weights_1.safetensors", "../x.safetensors", "/etc/passwd", 5, None, [], ""),
                *("model-../../x-of-1.safetensors", "\ud800"),
            )
        ),
    ],
    ids=lambda text: text[:60],
)
@pytest.mark.parametrize("whole_too", [False, True], ids=["alone", "beside the whole"])
def test_an_index_of_weights_is_sound_and_names_what_the_key_knows(models, text, whole_too):
    """Where all weights are in one file too, diffusers still loads what the index names."""
    key, stem = ("name", Path(UNET)) if whole_too else ("captioner", Path("model"))
    folder = (models[key] / stem).parent
    shutil.copy(next(folder.glob("*.safetensors")), folder / "weights_1.safetensors")
    (folder / f"{stem.name}.safetensors.index.json").write_text(text)
    (found,) = problems(models)
    assert found.startswith(f"foundation.{key}: ") and len(found.splitlines()) == 1
    assert "index.json is damaged" in found
    with pytest.raises(ReglError, match=r"index\.json"):
        Sources(naming(models).foundation).digest()


@pytest.mark.parametrize(
    ("key", "file", "words"),
    [
        ("name", "model_index.json", "model_index.json is missing"),
        ("name", "scheduler/scheduler_config.json", "scheduler/scheduler_config.json is missing"),
        ("name", "tokenizer/vocab.json", "tokenizer/tokenizer.json or tokenizer/vocab.json is"),
        ("image_encoder", "preprocessor_config.json", "preprocessor_config.json or processor_"),
        ("captioner", "tokenizer.json", "tokenizer.json or vocab.json or vocab.txt is missing"),
        ("captioner", "model-00002-of-00003.safetensors", "00002-of-00003.safetensors is missing"),
        ("name", "unet/config.json", "unet/config.json is damaged"),
    ],
)
def test_a_missing_or_damaged_file_is_named(models, key, file, words):
    (models[key] / file).unlink()
    if "damaged" in words:
        (models[key] / file).write_text('{"cut":')
    (found,) = problems(models)
    assert found.startswith(f"foundation.{key}: ") and words in found


@pytest.mark.parametrize("key", ["name", "image_encoder", "captioner"])
def test_an_adapter_beside_the_weights_is_refused(models, key):
    """transformers would load it, and its weights are in no key."""
    folder = models[key] / "text_encoder" if key == "name" else models[key]
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (found,) = problems(models)
    assert found.startswith(f"foundation.{key}: ") and "adapter_config.json" in found
    assert "merge it into them, or remove it" in found


@pytest.mark.parametrize("key", ["name", "image_encoder", "captioner"])
def test_a_models_own_code_is_refused(models, key):
    folder = models[key] / "text_encoder" if key == "name" else models[key]
    (folder / "modeling_own.py").write_text("raise SystemExit('run')")
    rewrite(folder / "config.json", auto_map={"AutoModel": "modeling_own.Own"})
    found = problems(models)
    assert len(found) == 2 and all("never run" in it for it in found)
    assert "config.json" in found[0] and "modeling_own.py" in found[1]


def test_what_lies_in_a_linked_folder_is_checked_and_has_a_part_in_the_digest(models, tmp_path):
    """As a model whose parts are shared by several: the libraries follow the link."""
    before = Sources(naming(models).foundation).digest()
    vae = models["name"] / "vae"
    vae.rename(tmp_path / "elsewhere")
    vae.symlink_to(tmp_path / "elsewhere")
    assert problems(models) == []
    assert Sources(naming(models).foundation).digest() == before
    file = tmp_path / "elsewhere/diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    name = next(iter(tensors))
    save_file(tensors | {name: tensors[name] + 1}, file)
    assert Sources(naming(models).foundation).digest() != before
    file.unlink()
    (found,) = problems(models)
    assert "vae/diffusion_pytorch_model.safetensors is missing" in found


def test_image_features_of_another_width_are_refused_where_they_are_used(model_folders):
    mixed = {**model_folders(), "image_encoder": model_folders("2.1")["image_encoder"]}
    (found,) = problems(mixed)
    assert "have 48 numbers, expected 32" in found and "lora.visual_token" in found
    assert problems(mixed, visual_token=False) == []


def rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("key", "changes", "words"),
    [
        ("name", {"_class_name": "StableDiffusionXLPipeline"}, "XLPipeline, expected Stable"),
        ("image_encoder", {"model_type": "siglip"}, "of the type siglip, expected clip or"),
        ("captioner", {"model_type": "git"}, "of the type git, expected blip or blip-2"),
        ("captioner", {"image_token_index": None}, "of an early revision"),
    ],
)
def test_models_of_other_kinds_are_refused(models, key, changes, words):
    rewrite(models[key] / ("model_index.json" if key == "name" else "config.json"), **changes)
    (found,) = problems(models)
    assert found.startswith(f"foundation.{key}: ") and words in found


def test_models_that_are_not_named_not_there_or_not_cached(cache):
    names = {"name": IDS["name"], "image_encoder": None, "captioner": "/no/such/folder"}
    first, second, third = problems(names, revision="v2")
    assert "owner/drawing at revision 'v2'" in first and "make models" in first
    assert second.startswith("foundation.image_encoder: null, expected the image-encoder")
    assert "'/no/such/folder' (captioner) is neither a folder nor a hub id" in third
    with pytest.raises(ReglError) as error:
        foundation.load(naming(names, revision="v2").foundation)
    assert str(error.value).splitlines() == [first, second, third]
    assert not cache.exists()


def test_all_is_said_at_once(models, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (models["name"] / f"{UNET}.safetensors").unlink()
    (models["image_encoder"] / "preprocessor_config.json").unlink()
    rewrite(models["captioner"] / "config.json", model_type="git")
    found = problems(models, device="cuda")
    assert [text.split(":")[0] for text in found] == [
        "foundation.name",
        "foundation.image_encoder",
        "foundation.captioner",
        "foundation.device",
    ]


def test_a_damaged_shipped_model_is_one_of_the_problems(tmp_path, monkeypatch):
    shutil.copytree(components.SHIPPED / "tiny", tmp_path / "tiny")
    (tmp_path / "tiny" / "captioner" / "model.safetensors").unlink()
    monkeypatch.setattr(components, "SHIPPED", tmp_path)
    (found,) = problems({})
    assert "captioner/model.safetensors is missing; restore it from git" in found
