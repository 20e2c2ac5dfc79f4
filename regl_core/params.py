"""Profiles: `params/<profile>.yaml` and single changes to it become one validated value.

A profile changes numbers and names, never a branch of the code. Every line of a profile has
a comment with its unit and its source in the paper; the comments here name only units.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from .errors import ReglError
from .settings import Frozen, Problem, alter, explain, in_one, nearest, read, selected, shown

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")
Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
Device = Literal["cpu", "cuda", "auto"]


def _some_and_distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("given no value, expected at least one")
    if len(set(values)) < len(values):
        raise ValueError(f"given {shown(values)}, expected no value twice")
    return values


Listed = Annotated[
    tuple[T, ...], BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
]
Several = Annotated[Listed[T], AfterValidator(_some_and_distinct)]


Methods = Annotated[dict[Name, dict[Name, JsonValue]], Field(min_length=1)]  # hyper-parameters


def _asks_for_class(prompt: str) -> str:
    # Exactly these seven characters are replaced by a name (`conditions.vanilla_prompt`).
    words = prompt.split("{class}")
    if len(words) < 2 or any(brace in part for part in words for brace in "{}"):
        raise ValueError(
            f"given {shown(prompt)}, expected a prompt with {{class}} in it and no other braces"
        )
    return prompt


class DatasetSettings(Frozen):
    """How much of a data set is used, and by how many clients."""

    clients: Count
    synthetic_per_class: Annotated[int, Field(ge=0, le=10**9)]  # images, per class and client
    train_per_class: Count | None  # images; null: all of the training set
    image_side: Annotated[int, Field(gt=0, le=4096, multiple_of=8)]  # pixels
    split_seed: Seed | None  # of a split that is not official; null: the run's
    class_list: Literal["cmc", "fgl"] | None  # ImageNet100's classes; null: there is one list
    complete: bool  # whether the numbers of images must be the published ones
    validation_share: Annotated[float, Field(ge=0, lt=1)]  # of training images; 0: test set used
    root: Name | None  # folder of the images; null: nothing on disk is needed
    published: Name | None  # the paper's data set whose numbers stand beside ours; null: none


class FoundationSettings(Frozen):
    """The frozen generative models."""

    name: Name  # "tiny" (shipped), an id on the hub or a folder
    revision: Name | None  # of the id; null: the one that the local cache takes for the newest
    image_encoder: Name | None  # id or folder; null: the one beside the text-to-image model
    image_encoder_revision: Name | None  # as revision
    captioner: Name | None  # as image_encoder
    captioner_revision: Name | None  # as revision
    dtype: Literal["float32", "bfloat16"]
    device: Device


class SynthesisSettings(Frozen):
    """How one image is sampled."""

    prompt: Annotated[str, AfterValidator(_asks_for_class)]
    guidance: Annotated[float, Field(ge=0)]  # weight of classifier-free guidance, 1 is none
    scheduler: Literal["dpmsolver++", "unipc", "ddim"]  # of the denoising steps
    sampling_steps: Count
    batch_size: Count  # images
    per_stage: Count  # images per class made and stored in one piece


class LoraSettings(Frozen):
    """How a client tunes the text-to-image model on its own images."""

    rank: Count
    alpha: Positive  # the update is multiplied by alpha / rank
    steps: Count
    rate: Positive  # learning rate
    batch_size: Count  # images
    strength: Annotated[float, Field(ge=0)]  # of the adapter when sampling, 1 is full
    prior_share: Annotated[float, Field(ge=0, lt=1)]  # of a batch: vanilla images
    visual_token: bool
    feature_images: Count  # randomly selected images whose mean is one visual feature
    missing_feature: Literal["shifted", "zeros"]  # image feature of a class the client lacks
    guidance: Annotated[float, Field(ge=0)]  # as synthesis.guidance, with the tuned model


class TrainingSettings(Frozen):
    """Federated training."""

    model: Name
    width: Count  # channels of the first stage
    rounds: Count
    local_epochs: Count  # per client and round
    batch_size: Count  # images
    rate: Positive  # learning rate
    schedule: Literal["constant", "cosine"]  # of the learning rate, over the rounds
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    client_fraction: Annotated[float, Field(gt=0, le=1)]  # of the clients, per round
    report_rounds: Count  # the accuracy reported is the mean over this many last rounds, or all
    augmentation: Literal["none", "crop_flip"]  # of training images (`augmentation`)
    precision: Literal["float32", "bfloat16"]  # of matrix products and convolutions
    device: Device

    def in_round(self, number: int) -> "TrainingSettings":
        """These settings with the learning rate of round `number`, from 0."""
        if self.schedule == "constant":
            return self
        factor = (1 + math.cos(math.pi * number / self.rounds)) / 2
        return self.model_copy(update={"rate": self.rate * factor})


class PersonalizationSettings(Frozen):
    """Fine-tuning of the global model by each client."""

    epochs: Count
    rate: Positive  # learning rate
    synthetic: Literal["own", "all"]  # classes of the synthetic images to tune on


class ProbeSettings(Frozen):
    """How synthetic images are put to the test."""

    images_per_class: Count
    epochs: Count  # of a network trained on them alone
    rate: Positive  # learning rate of SGD at the start; a cosine takes it to zero
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]


class Tried(Frozen):
    """Values of a setting that are tried, and the method whose accuracy decides."""

    method: Name
    values: Several[int | float]


class ChoiceSettings(Frozen):
    """How settings and hyper-parameters of methods are chosen."""

    validation_share: Annotated[float, Field(gt=0, lt=1)]  # of the training images, held out
    seeds: Several[Seed]  # of the trials
    settings: dict[Name, Tried]  # by their dotted key, training.rate say
    train_per_class: Listed[Count]  # numbers of training images tried; none: all are used


class PrivacySettings(Frozen):
    """How it is measured what images and adapters give away."""

    pairs: Count  # of time step and noise, at which an image's loss is taken
    false_positives: Annotated[float, Field(gt=0, lt=1)]  # share of strangers taken for members
    seeds: Several[Seed]  # of the trials below
    steps: Several[Count]  # tried in place of lora.steps
    ranks: Several[Count]  # tried in place of lora.rank
    strengths: Several[Annotated[float, Field(ge=0)]]  # tried in place of lora.strength


class AblationSettings(Frozen):
    """What Tables 1 and 5 to 7 and Figure 5 vary, and on which images they are measured."""

    datasets: Several[Name]  # of those above
    global_shares: Several[Annotated[float, Field(ge=0, lt=1)]]  # of all images, shared; Table 1
    betas: Several[Positive]  # Table 5
    local_epochs: Several[Count]  # Table 6
    clients: Several[Count]  # besides a data set's own number; Table 7
    synthetic_per_class: Several[Count]  # images per class and client; Figure 5
    validation_share: Annotated[float, Field(ge=0, lt=1)]  # 0: measured on the test set


class Profile(Frozen):
    """What a file of settings holds."""

    datasets: Annotated[dict[Name, DatasetSettings], Field(min_length=1)]
    folder: DatasetSettings | None = None  # of an image folder that is selected by its path
    betas: Several[Positive]  # concentrations of the Dirichlet partition
    seeds: Several[Seed]
    vanilla_pool: Literal["client", "shared"]  # who makes a client's training-free images
    foundation: FoundationSettings
    synthesis: SynthesisSettings
    lora: LoraSettings
    training: TrainingSettings
    personalization: PersonalizationSettings
    probe_seeds: Several[Seed]  # of the probes
    probe: ProbeSettings
    ablations: AblationSettings
    choice: ChoiceSettings
    privacy: PrivacySettings
    methods: Methods  # of Tables 2 and 3: the global model's accuracy
    personal_methods: Methods  # of Table 4: the accuracy of each client's own model

    @model_validator(mode="after")
    def _vary_what_there_is(self) -> Self:
        for name in self.ablations.datasets:
            if name not in self.datasets:
                raise ValueError(
                    f"given ablations.datasets with {shown(name)}{nearest(name, self.datasets)}, "
                    f"expected names out of datasets: {', '.join(self.datasets)}"
                )
        return self


class Settings(Profile):
    """All that determines the numbers of a profile, and the profile's name."""

    profile: Name

    def altered(self, changes: Mapping[str, Any]) -> "Settings":
        """These settings with `changes`, as for `load`, made to them. ReglError if one is wrong."""
        tree = self.model_dump(exclude={"profile"})
        return Settings(profile=self.profile, **_altered(tree, changes))

    def at(self, seed: int) -> "Settings":
        """These settings with the splits that follow the seed of a run, at `seed`."""
        datasets = {
            name: its if its.split_seed is not None else its.model_copy(update={"split_seed": seed})
            for name, its in self.datasets.items()
        }
        return self if datasets == self.datasets else self.model_copy(update={"datasets": datasets})

    def for_ablations(self) -> "Settings":
        """These settings, measured where `ablations.validation_share` says (paper, Sec. 5.3)."""
        return self.held_out(self.ablations.datasets, self.ablations.validation_share)

    def held_out(self, datasets: Iterable[str], share: float) -> "Settings":
        """These settings with `share` of the training images of `datasets` as their test set."""
        return self.altered({f"datasets.{name}.validation_share": share for name in datasets})


def profiles(folder: Path = ROOT / "params") -> list[str]:
    """The names of the profiles: the files `folder`/<profile>.yaml."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load(profile: str, changes: Mapping[str, Any] = {}, folder: Path = ROOT / "params") -> Settings:
    """The settings of `folder`/`profile`.yaml with `changes` made to them.

    Parameters
    ----------
    changes
        Dotted or nested keys and their new values: ``{"training.rounds": 3}`` and
        ``{"training": {"rounds": 3}}`` are the same. A list of names as ``datasets`` keeps
        these data sets alone (`selection.selected`), after all other changes.

    Raises
    ------
    ReglError
        Names the file or change, the key, what was given and what was expected; all problems
        at once.
    """
    known = profiles(folder)
    if profile not in known:
        raise ReglError(
            f"profile {shown(profile)} is unknown{nearest(profile, known)}, expected one of "
            f"{', '.join(known)}: the files {folder.name}/<profile>.yaml"
        )
    file = folder / f"{profile}.yaml"
    tree = read(file)
    altered = _altered(tree, changes)
    if problems := _problems(altered):
        own = _problems(tree)
        raise ReglError(
            in_one(f"{file if p in own else 'changes'}: {p.key}: {p.text}" for p in problems)
        )
    return Settings(profile=profile, **altered)


def _altered(tree: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    """`tree` with `changes` made to it, those data sets selected last that they list."""
    names = changes.get("datasets") if isinstance(changes, Mapping) else None
    if not isinstance(names, list | tuple):
        return alter(tree, changes)
    others = {key: value for key, value in changes.items() if key != "datasets"}
    return selected(alter(tree, others), names)


def _problems(tree: dict[Any, Any]) -> list[Problem]:
    try:
        Profile.model_validate(tree)
    except ValidationError as error:
        return explain(error, Profile)
    return []
