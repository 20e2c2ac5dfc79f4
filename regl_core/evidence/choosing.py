"""How settings and hyper-parameters are chosen: one procedure for all, and never the test set.

First the settings that `choice.settings` lists, each for the method it names: the learning rate for
FedAvg, which then serves all methods. Then each method that has something to choose names values of
one hyper-parameter (`Method.candidates`), its default among them. Each value is tried on images
held out for choosing, with seeds that no table uses, at every β. The default is kept unless the
best mean leads it by more than the standard error of this lead over the seeds; a setting without
a default gets its best mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import methods
from ..errors import ReglError
from ..params import Settings, load
from ..partition import Dirichlet, Pooled
from ..report import spoken
from ..runs import PersonalResult, PersonalRun, Result, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = {"methods": Run, "personal_methods": PersonalRun}
TRIAL = ["group", "method", "parameter", "value"]


@dataclass(frozen=True)
class Trial:
    """A run that tries one value. group: of the settings, one of GROUPS, or "training", say."""

    run: Run
    group: str
    parameter: str
    value: float


def trials(profile: str, changes: Mapping[str, Any]) -> list[Trial]:
    """Every value of the settings and of every method, at every β, with every seed.

    Raises ReglError if no method of the profile has one to choose.
    """
    settings, known, found = load(profile, changes), methods.known(), []
    how = settings.choice
    held_out = settings.held_out(settings.datasets, how.validation_share)
    asked = [
        (group, group, its.method, parameter, its.values)
        for key, its in how.settings.items()
        for group, _, parameter in [key.partition(".")]
        if its.method in settings.methods
    ]
    asked += [
        (group, f"{group}.{name}", name, *known[name].candidates)
        for group in GROUPS
        for name in getattr(settings, group)
        if known[name].candidates
    ]
    for group, key, name, parameter, values in asked:
        for value in values:
            its = held_out.altered({f"{key}.{parameter}": value})
            for (dataset, cut), beta, seed in product(its.datasets.items(), its.betas, how.seeds):
                run = GROUPS.get(group, Run)(
                    dataset=dataset,
                    partition=Dirichlet(beta=beta, clients=cut.clients),
                    method=name,
                    seed=seed,
                    settings=its,
                )
                found.append(Trial(run, group, parameter, value))
    if not found:
        raise ReglError(
            f"params/{profile}.yaml: no method in it has a hyper-parameter to choose; add one "
            "that has, such as FedAvg or FedProx, below methods"
        )
    return found


def sizes(profile: str, changes: Mapping[str, Any]) -> list[Run]:
    """Centralized and FedAvg, at every β, for each number of training images tried."""
    settings = load(profile, changes)
    how, found = settings.choice, []
    held_out = settings.held_out(settings.datasets, how.validation_share)
    for count in how.train_per_class:
        its = held_out.altered(
            {f"datasets.{name}.train_per_class": count for name in settings.datasets}
        )
        for (dataset, cut), seed in product(its.datasets.items(), how.seeds):
            where = {"dataset": dataset, "seed": seed, "settings": its}
            found.append(Run(partition=Pooled(), method="Centralized", **where))
            found += [
                Run(partition=Dirichlet(beta=beta, clients=cut.clients), method="FedAvg", **where)
                for beta in its.betas
            ]
    return found


def by_size(results: Sequence[Result]) -> pd.DataFrame:
    """Mean validation accuracy in % of the runs of `sizes`: a row for each number of images."""
    rows = [
        (
            it.run.settings.datasets[it.run.dataset].train_per_class,
            it.run.method,
            spoken(it.run.partition.setting),
            it.accuracy_pct,
        )
        for it in results
    ]
    frame = pd.DataFrame(rows, columns=["images per class", "method", "setting", "accuracy"])
    means = frame.groupby(list(frame)[:3], sort=False)["accuracy"].mean()
    return means.unstack(["method", "setting"]).round(1)


def scores(tried: Sequence[Trial], results: Sequence[Result | PersonalResult]) -> pd.DataFrame:
    """A row per trial: what is tried, data set, setting, seed, validation accuracy in %."""
    return pd.DataFrame(
        {
            "group": trial.group,
            "method": trial.run.method,
            "parameter": trial.parameter,
            "value": trial.value,
            "dataset": trial.run.dataset,
            "setting": trial.run.partition.setting,
            "seed": trial.run.seed,
            "validation_accuracy_pct": round(result.accuracy_pct, 2),
        }
        for trial, result in zip(tried, results, strict=True)
    )


def candidates(trials: Sequence[Trial]) -> pd.DataFrame:
    """What is tried: a row per method, with the values of its hyper-parameter and its runs."""
    rows = pd.DataFrame(
        [(it.group, it.run.method, it.parameter, it.value) for it in trials], columns=TRIAL
    )
    found = rows.groupby(TRIAL[:3], sort=False)["value"]
    values = found.agg(lambda own: ", ".join(f"{value:g}" for value in dict.fromkeys(own)))
    return pd.DataFrame({"values": values, "runs": found.size()}).reset_index()


def conclusion(rows: pd.DataFrame) -> pd.DataFrame:
    """What `scores` say of each method.

    Returns
    -------
    DataFrame with the columns of TRIAL but ``value``, and ``default`` (NaN: it has none),
    ``best``, ``lead`` of the best over the default, in points, its standard error ``±``,
    ``chosen``, and whether that is ``at an end`` of those tried: one beyond might be better.
    """
    known, found = methods.known(), []
    for (group, name, parameter), own in rows.groupby(TRIAL[:3], sort=False):
        scores = own.pivot_table("validation_accuracy_pct", "seed", "value", sort=False)
        best = means(own)["value"].iloc[0]
        default = known[name].model_fields[parameter].default if group in GROUPS else math.nan
        lead, error = math.nan, math.nan
        if default in scores:
            leads = scores[best] - scores[default]
            lead, error = leads.mean(), leads.sem()
        chosen = default if lead <= error else best
        end = chosen in (own["value"].min(), own["value"].max())
        found.append((group, name, parameter, default, best, lead, error, chosen, end))
    columns = [*TRIAL[:3], "default", "best", "lead", "±", "chosen", "at an end"]
    return pd.DataFrame(found, columns=columns).round({"lead": 1, "±": 1})


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """`scores` averaged over data sets, settings and seeds; % with one decimal.

    The best value of a method stands first; values that score alike stand as they were tried.
    """
    mean = rows.groupby(TRIAL, sort=False)["validation_accuracy_pct"].mean(skipna=False)
    mean = mean.round(1).reset_index()  # a value at which any run diverged comes last
    order = {method: place for place, method in enumerate(dict.fromkeys(mean["method"]))}
    return mean.sort_values(
        ["group", "method", "validation_accuracy_pct"],
        key=lambda column: column.map(order) if column.name == "method" else column,
        ascending=[True, True, False],
        kind="stable",
    ).reset_index(drop=True)


def hyperparameters(settings: Settings) -> pd.DataFrame:
    """Every hyper-parameter of every method, its value in a profile, and its source.

    A method that is not in the profile has "–" there.
    """
    given = {**settings.personal_methods, **settings.methods}
    return pd.DataFrame(
        {
            "method": name,
            "hyper-parameter": parameter,
            "default": field.default,
            settings.profile: given[name].get(parameter, field.default) if name in given else "–",
            "meaning and source": field.description,
        }
        for name, kind in methods.known().items()
        for parameter, field in kind.model_fields.items()
    )


def picture(rows: pd.DataFrame) -> "Figure":
    """Validation accuracy (%) over the values tried: a panel per method, a line per setting."""
    from ..report import CLASSES, MARKERS, panels

    groups = list(rows.groupby(TRIAL[:3], sort=False))
    columns = min(len(groups), 3)
    height = -(-len(groups) // columns)
    figure, grid = panels(len(groups), 3.6 * columns, 2.6 * height, height)
    for axes, ((_, method, parameter), own) in zip(grid, groups, strict=True):
        looks = zip(cycle(CLASSES), cycle(MARKERS), strict=False)
        for (setting, line), (colour, marker) in zip(
            own.groupby("setting", sort=False), looks, strict=False
        ):
            mean = line.groupby("value", sort=True)["validation_accuracy_pct"].mean()
            values = [f"{value:g}" for value in mean.index]
            axes.plot(values, mean, color=colour, marker=marker, label=spoken(setting))
        axes.set(title=method, xlabel=parameter, ylabel="validation accuracy (%)", ylim=(0, 104))
        axes.grid(alpha=0.3)
    grid[0].legend(frameon=False)
    return figure
