"""Runs end to end through Stable Diffusion 1.5 and 2.1, CLIP and BLIP-2, small and untrained."""

import json

import pytest
import torch
from safetensors.torch import load_file
from toy_models import IDS, cache, cached, naming

from regl_core import foundation
from regl_core.engine import Store
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.runs import PersonalRun, Run, run_all
from regl_core.stages import LoraImages, load_images

__all__ = ["cache"]
WIDTH = {"1.5": 32, "2.1": 48}


# As little of everything as shows all of it.
LITTLE = {
    "datasets.digits.train_per_class": 3,
    "datasets.digits.synthetic_per_class": 1,
    "synthesis.per_stage": 1,
    "training.rounds": 1,
    "training.local_epochs": 1,
}


@pytest.mark.parametrize(("like", "by_id"), [("1.5", False), ("2.1", True)])
def test_the_whole_way(like, by_id, tmp_path, cache, model_folders):
    names = model_folders(like)
    if by_id:
        for key, folder in names.items():
            cached(cache, IDS[key], folder, "c0ffee")
        names = IDS
    settings = naming(names).altered(LITTLE)
    assert foundation.problems(settings.foundation) == []
    skewed = {"dataset": "digits", "partition": Dirichlet(beta=0.5, clients=2), "seed": 0}
    grid = [kind(method="ReGL (FT)", settings=settings, **skewed) for kind in (Run, PersonalRun)]
    store = Store(tmp_path / "store")
    if not by_id:  # an id must be found by other processes too, a folder is
        for run in grid:
            store.ensure(run.stage(Pipeline()))
    results = run_all(grid, store, workers=1)
    assert all(0 <= result.accuracy_pct <= 100 for result in results)

    stage = grid[0].stage(Pipeline())
    dataset = stage.source.load()
    for mine, (piece,) in zip(stage.parts, stage.synthetic, strict=True):
        assert isinstance(piece, LoraImages)
        folders = {
            kind: store.ensure(it)
            for kind, it in (
                ("drawn", piece),
                ("vanilla", piece.tuned.vanilla),
                ("tuned", piece.tuned),
                ("described", piece.tuned.captioned),
            )
        }
        texts = json.loads((folders["described"] / "captions.json").read_text())
        assert len(texts) == len(mine) and not any("<image>" in text for text in texts)
        features = load_file(folders["described"] / "features.safetensors")["features"]
        assert features.shape == (len(mine), WIDTH[like])
        assert torch.allclose(features.norm(dim=1), torch.ones(len(mine)))
        assert (folders["tuned"] / "adapter").is_dir()
        prompts = json.loads((folders["drawn"] / "prompts.json").read_text())
        assert prompts[0].startswith("A photo of zero")
        side = dataset.train.images.shape[-1]
        images = {kind: load_images(folders[kind]) for kind in ("drawn", "vanilla")}
        for drawn in images.values():
            assert drawn.shape == (10, settings.synthesis.per_stage, 3, side, side)
            assert drawn.dtype == torch.uint8
        assert not torch.equal(images["drawn"], images["vanilla"])
