"""DynaFed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, count, islice
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call

from ..clients import ClientData
from ..engine import not_in_key, stepwise
from ..errors import ReglError
from ..params import Count, Positive, TrainingSettings
from ..seeds import numpy_generator, torch_generator
from ..system import advised
from ..training import batches, train_epochs
from ..weights import Weights, combine
from .base import Round, Server, State, Update
from .fedavg import FedAvg


class DynaFed(FedAvg):
    """The server trains the mean on a small set whose training repeats the global model's past.

    x_0 (the initial model), …, x_{L−1} are FedAvg's and are recorded. Then, once, the server
    finds images X, logits Y of their labels and a rate α that minimise the mean over t of

        ‖θ_K − x̄_t‖² / ‖x_t − x̄_t‖²,   θ_0 = x_t,   θ_{k+1} = θ_k − α ∇ℓ(θ_k),
        ℓ(θ) = mean over images and classes of −softmax(Y)·log softmax(f_θ(X)),

    by Adam through the K unrolled steps. t is uniform in 0 … L−1−s; x̄_t is the mean of r models
    drawn with replacement from x_{t+1} … x_{t+s}, r uniform up to s. Images start as noise. In
    each later round x ← Adam on ℓ, over X and Y, from Σ p_i y_i.

    Pi et al., "DynaFed: Tackling client data heterogeneity with global dynamics", 2023. Defaults
    are those of the official experiments on CIFAR-10 at β = 0.01 and 0.04; others have fewer
    server epochs, 8 for CIFAR-100.

    Deviations. The official experiments' network has no BatchNorm; in those that have, that code
    lets X move the running statistics. Here BatchNorm uses the batch's statistics in both
    trainings on X, and the running ones stay those of the mean over the clients, which are of
    real images. The mean is FedAvg's, by counts, where that of the
    official code is uniform. That code also augments X at random in every step, both times; here
    X is never augmented, whatever `training.augmentation` does to real images.

    The clients are FedAvg's: they keep nothing, and empty or tiny ones are nothing special. The
    server keeps L − 1 models, afterwards X and Y alone. While it looks for these, the graph of
    K steps is in memory: where images are large, `inner_batch` makes a step see a part of X.

    Raises
    ------
    ReglError
        From `check`, if the rounds end before the set would be used; from `aggregate`, if the
        minimisation diverges or does not fit into the memory of the GPU.
    """

    name = "DynaFed"
    trajectory: int = Field(25, ge=2, description="L, models recorded; official experiments")
    segment: Count = Field(3, description="s, rounds a target may lie ahead; official experiments")
    averaged: Count = Field(
        2, description="least r, models averaged in a target; official experiments"
    )
    images_per_class: Count = Field(
        15, description="synthetic images per class; official experiments"
    )
    label_scale: float = Field(
        0.0, ge=0, description="labels start as this times one-hot; official experiments"
    )
    inner_steps: Count = Field(20, description="K, unrolled steps; official experiments")
    inner_batch: Count | None = Field(
        None, description="images of one inner step, null: all; official code"
    )
    alpha: Positive = Field(0.04, description="inner learning rate at first; official experiments")
    iterations: Count = Field(3000, description="steps of the distillation; official experiments")
    image_rate: Positive = Field(0.05, description="Adam's rate for the images; official code")
    label_rate: Positive = Field(0.01, description="Adam's rate for the labels; official code")
    alpha_rate: Positive = Field(1e-5, description="Adam's rate for alpha; official code")
    server_epochs: int = Field(
        20, ge=0, description="epochs on the synthetic set per later round; official experiments"
    )
    server_rate: Positive = Field(
        1e-4, description="Adam's rate on the synthetic set; official experiments"
    )
    server_batch: Count = Field(256, description="images of one server step; official code")

    @model_validator(mode="after")
    def _segments_fit(self) -> Self:
        if not self.averaged <= self.segment < self.trajectory:
            raise ValueError(
                f"given averaged = {self.averaged}, segment = {self.segment} and trajectory = "
                f"{self.trajectory}, expected averaged ≤ segment < trajectory"
            )
        return self

    def server_state(self, weights: Weights) -> Server:
        return Server(weights, {_model(0): _params(weights)})

    @not_in_key
    def check(self, training: TrainingSettings) -> None:
        if training.rounds < self.trajectory:
            raise ReglError(
                f"method {self.name!r}: trajectory = {self.trajectory} models are not recorded "
                f"before the last of {training.rounds} rounds; lower its trajectory to "
                "the number of rounds at most"
            )

    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        weights = super().aggregate(server, updates, now).weights
        if "images" in server.extra:
            return Server(self._trained(weights, server.extra, now), server.extra)
        past = {**server.extra, _model(len(server.extra)): _params(weights)}
        if len(past) == self.trajectory:
            models = [past[_model(number)] for number in range(self.trajectory)]
            return Server(weights, self._distilled(models, now))
        return Server(weights, past)

    def _trained(self, weights: Weights, synthetic: State, now: Round) -> Weights:
        """`weights` after training on the synthetic set."""
        weights.into(now.net)
        device = next(now.net.parameters()).device
        data = ClientData(synthetic["images"], synthetic["labels"]).to(device)
        training = now.training.model_copy(
            update={"batch_size": self.server_batch, "augmentation": "none"}
        )
        adam = torch.optim.Adam(now.net.parameters(), self.server_rate)

        path = now.seed, "synthetic batches", now.number
        each = [adam] * self.server_epochs
        checkpoint = now.checkpoint
        train_epochs(now.net, each, data, training, path, checkpoint, loss=soft_cross_entropy)
        now.net.zero_grad()
        place = next(iter(weights.params.values())).device
        return weights | Weights(Weights.of(now.net).to(place).params, {})

    def _distilled(self, models: Sequence[Weights], now: Round) -> State:
        """X, float (classes · images_per_class, *image), and Y, float (·, classes)."""
        like = next(now.net.parameters())
        with torch.no_grad():
            classes = now.net.eval()(like.new_zeros(1, *now.image)).shape[1]
        draw = torch_generator(now.seed, "synthetic images")
        images = torch.randn(classes * self.images_per_class, *now.image, generator=draw).to(like)
        one_hot = torch.eye(classes).to(like).repeat_interleave(self.images_per_class, 0)
        labels, alpha = self.label_scale * one_hot, like.new_tensor(self.alpha)
        learnt = nn.ParameterList([images, labels, alpha])
        rates = self.image_rate, self.label_rate, self.alpha_rate
        groups = [{"params": [one], "lr": r} for one, r in zip(learnt, rates, strict=True)]
        adam = torch.optim.Adam(groups)
        now.net.train()
        images, labels, alpha = learnt
        data, size = ClientData(images, labels), self.inner_batch or len(images)

        def step(number: int) -> None:
            passes = (
                batches(data, size, now.seed, "inner batches", number, again) for again in count()
            )
            order = islice(chain.from_iterable(passes), self.inner_steps)
            adam.zero_grad()
            pair = [one.to(like.device) for one in self._segment(models, now.seed, number)]
            mismatch(now.net, *pair, data, alpha, order).backward(inputs=list(learnt))
            adam.step()

        with advised(
            f"method {self.name!r}: the GPU's memory does not hold {self.inner_steps} unrolled "
            f"steps of {size} images; lower its inner_batch or inner_steps"
        ):
            stepwise(step, self.iterations, (learnt, adam), now.checkpoint)
        if not all(one.isfinite().all() for one in learnt):
            raise ReglError(
                f"method {self.name!r}: the distillation diverged; lower its alpha or image_rate"
            )
        return {"images": images.detach(), "labels": labels.detach()}

    def _segment(
        self, models: Sequence[Weights], seed: int, number: int
    ) -> tuple[Weights, Weights]:
        """x_t and x̄_t, drawn for one iteration."""
        draw = numpy_generator(seed, "segment", number)
        start = draw.integers(len(models) - self.segment)
        some = draw.integers(self.averaged, self.segment, endpoint=True)
        ahead = [models[start + one] for one in draw.integers(1, self.segment, some, endpoint=True)]
        return models[start], combine(lambda *params: torch.stack(params).mean(0), *ahead)


def _model(number: int) -> str:
    return f"model.{number}"


def _params(weights: Weights) -> Weights:
    return Weights(weights.params, {})


def soft_cross_entropy(net: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
    """ℓ, for `labels` given as logits."""
    return F.cross_entropy(net(images), labels.softmax(1)) / labels.shape[1]


def mismatch(
    net: nn.Module,
    start: Weights,
    target: Weights,
    data: ClientData,
    alpha: Tensor,
    order: Iterable[Tensor],
) -> Tensor:
    """How far from `target` SGD on the batches of `order` ends, in squared distances of `start`.

    It can be differentiated by the images, the labels and alpha.
    """
    params = {name: p.clone().requires_grad_() for name, p in start.params.items()}
    # In training BatchNorm does not read its running statistics but moves them: copies, here.
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    for index in order:
        stepped = partial(functional_call, net, {**params, **buffers})
        value = soft_cross_entropy(stepped, data.images[index], data.labels[index])
        gradient = torch.autograd.grad(value, list(params.values()), create_graph=True)
        params = {n: p - alpha * g for (n, p), g in zip(params.items(), gradient, strict=True)}
    far, whole = (
        sum((one[name] - goal).square().sum() for name, goal in target.params.items())
        for one in (params, start.params)
    )
    return far / whole
