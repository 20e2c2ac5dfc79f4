"""What stands in each table and figure, in the words of the paper's captions."""

from collections.abc import Iterable
from itertools import product

from regl_core.params import Settings

Cell = tuple[str, str, str]  # data set, setting, method

ONE = ("table1", "table5", "fig1", "fig4", "fig6", "fig7", "fig8")  # on one data set
SOME = ("table6", "table7", "fig5")  # on those of the ablations
SIX = ("FedAvg", "FedProx", "FedNova", "FedOpt", "MOON", "ReGL (FT)")
DRAWN = ("ReGL (TF)", "ReGL (FT)")


def cells(name: str, settings: Settings) -> set[Cell]:
    """The cells that the artefact `name` must have at `settings`, whatever its notebook asks for.

    Raises KeyError where `name` is no table or figure that is computed.
    """
    ablated = settings.ablations.datasets
    shown = ablated[:1] if name in ONE else ablated if name in SOME else settings.datasets
    return {(dataset, *pair) for dataset in shown for pair in _pairs(dataset, settings)[name]}


def _pairs(dataset: str, settings: Settings) -> dict[str, Iterable[tuple[str, str]]]:
    """Of every artefact the settings and methods that it compares on `dataset`."""
    its, vary = settings.datasets[dataset], settings.ablations
    betas = [f"beta={beta:g}" for beta in settings.betas]
    few, many = f"beta={min(settings.betas):g}", f"beta={max(settings.betas):g}"
    federated = [method for method in settings.methods if method != "Centralized"]
    pooled = [("all", "Centralized")] if "Centralized" in settings.methods else []
    volumes = {its.synthetic_per_class, *vary.synthetic_per_class}
    return {
        "table1": product(
            [f"global_share={100 * share:g}%" for share in vary.global_shares],
            ["FedAvg (generalization)", "FedAvg (personalization)"],
        ),
        "table2": [*pooled, *product(betas, federated)],
        "table3": [*pooled, *product(["single_label"], federated)],
        "table4": product(betas, settings.personal_methods),
        "table5": product([*(f"beta={beta:g}" for beta in vary.betas), "iid"], SIX),
        "table6": product(
            [f"{beta};local_epochs={count}" for beta in betas for count in vary.local_epochs],
            ["FedAvg", "FedNova", "MOON", "ReGL (FT)"],
        ),
        "table7": product(
            [f"{few};clients={count}" for count in {its.clients, *vary.clients}], SIX
        ),
        "fig1": product([few, "iid"], ["FedAvg", "ReGL (FT)"]),
        "fig3": product(betas, ["partition"]),
        "fig4": product([few], ["FedAvg", "ReGL (FT)"]),
        "fig5": [
            (f"{many};images=0", "FedAvg"),
            *product([f"{many};images={count}" for count in volumes], DRAWN),
        ],
        "fig6": product([few], DRAWN),
        "fig7": product([few], ["FedAvg", *DRAWN]),
        "fig8": product([many], DRAWN),
    }
