"""Tables and pictures on disk: whole, repeatable, and saying what made them."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from regl_core.params import load
from regl_core.report.provenance import save_figure, trace, write_csv

SMOKE = load("smoke")


@pytest.fixture
def figure():
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([1, 2], label="β")
    axes.imshow([[0, 1]])
    axes.legend()
    plt.close(figure)
    return figure


def test_csv_has_its_columns_then_its_provenance(tmp_path):
    frame = pd.DataFrame({"method": ["FedAvg", "a,b"], "seed": [0, 1], "accuracy_pct": [1.005, 20]})
    write_csv(frame, "fig5", SMOKE, tmp_path)
    made = trace("fig5", SMOKE)
    tail = f'{made.commit},{made.settings},"{made.libraries}"'
    assert (tmp_path / "fig5.csv").read_bytes().decode().split("\n") == [
        "method,seed,accuracy_pct,commit,settings,libraries",
        f"FedAvg,0,{1.005:.2f},{tail}",
        f'"a,b",1,20.00,{tail}',
        "",
    ]
    back = pd.read_csv(tmp_path / "fig5.csv")
    assert set(back["libraries"]) == {made.libraries}


def test_a_csv_has_the_digits_asked_for(tmp_path):
    frame = pd.DataFrame({"value": [0.0015, 60.0]})
    write_csv(frame, "choice", SMOKE, tmp_path, float_format=None)
    lines = (tmp_path / "choice.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["value", "0.0015", "60.0"]
    write_csv(frame, "choice", SMOKE, tmp_path, float_format="%.3f")
    assert "\n0.002," in (tmp_path / "choice.csv").read_text()


def test_a_picture_holds_its_provenance(tmp_path, figure):
    changed = load("smoke", {"training.rounds": 3})
    save_figure(figure, "fig1", changed, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fig1.pdf", "fig1.png"]
    made = trace("fig1", changed)
    with Image.open(tmp_path / "fig1.png") as image:
        assert image.text == {
            "Artefact": "fig1",
            "Commit": made.commit,
            "Settings": made.settings,
            "Libraries": made.libraries,
        }
        assert image.size == (300, 150)
    pdf = (tmp_path / "fig1.pdf").read_bytes()
    assert f"/Subject ({made.line})".encode() in pdf.replace(b"\\", b"")
    assert f"settings={made.settings}; libraries={made.libraries})".encode() in pdf
    assert b"Date" not in pdf


def test_the_same_picture_is_the_same_bytes(tmp_path, figure):
    for folder in ("one", "two"):
        save_figure(figure, "fig1", SMOKE, tmp_path / folder)
    for name in ("fig1.png", "fig1.pdf"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    save_figure(figure, "fig1", load("smoke", {"seeds": [7]}), tmp_path / "two")
    assert (tmp_path / "one/fig1.png").read_bytes() != (tmp_path / "two/fig1.png").read_bytes()


def test_a_picture_that_cannot_be_drawn_leaves_the_old_one(tmp_path, figure, monkeypatch):
    save_figure(figure, "fig1", SMOKE, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    draw = figure.savefig

    def full(file, *arguments, **options):
        if options["format"] == "pdf":
            raise OSError("no space left on device")
        draw(file, *arguments, **options)

    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        save_figure(figure, "fig1", load("desk"), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
