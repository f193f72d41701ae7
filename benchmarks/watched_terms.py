"""What a method adds to the gradient of the task, seen through its own hooks while it trains; the training is not changed.

At a probe of a step, before it is taken:

- every loss that `MethodState.losses` returns is derived by the latent weights on its own;
- a term that a method adds inside its backward pass (`Method.hidden_terms`) is the whole gradient less that of a second
  network of the same weights and state, whose method has the term switched off;
- what `end_step` does to the latent weights is compared with what the optimizer's step, projections included, did.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import Method, MethodSettings, MethodState, Phase, Step
from nas_service.binarization.taps import Taps
from nas_service.training.step.backpropagation import Objective
from search_spaces.network import CellStack, Network

AFTER = "after the step"  # what `end_step` moves, relative to the step
Build = Callable[[Method], Network]  # makes the network of one architecture with a method


@dataclass
class Watch:
    """What was seen in one training.

    Attributes:
        every: How many steps from one probe to the next.
        shares: By term, at each probe that it was there: its norm over that of the task's gradient, on all latent weights.
        starts: The parameters that only this method has, as the first epoch found them, by name.
        network: The one that trains.
    """

    every: int
    shares: dict[str, list[float]] = field(default_factory=dict)
    starts: dict[str, Tensor] = field(default_factory=dict)
    network: nn.Module | None = None

    def note(self, term: str, norm: float, task: float) -> None:
        """Keep a term's share."""
        self.shares.setdefault(term, []).append(norm / task if task else math.inf)

    @property
    def terms(self) -> dict[str, float]:
        """The median share of every term."""
        return {term: statistics.median(shares) for term, shares in self.shares.items()}

    @property
    def moved(self) -> dict[str, float]:
        """How far parameters have moved, by the last part of their names: relative to their start, or, from 0, the root of
        the mean square.
        """
        if self.network is None:
            return {}
        now, groups = dict(self.network.named_parameters()), dict[str, list[tuple[Tensor, Tensor]]]()
        for name, start in self.starts.items():
            groups.setdefault(name.rpartition(".")[2], []).append((start, now[name].detach()))
        return {name: _distance(pairs) for name, pairs in groups.items()}


def _distance(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    start = torch.cat([before.flatten() for before, _ in pairs])
    way = torch.cat([after.flatten() for _, after in pairs]) - start
    length = float(start.norm())
    return float(way.norm()) / (length or math.sqrt(len(start)))


def watched(method: Method, watch: Watch, build: Build) -> Method:
    """Return the method with a state that is watched."""

    def start(_: Method, network: nn.Module) -> MethodState:
        return _WatchedState(method, method.start(network), cast("CellStack", network), watch, build)

    kind = type(f"Watched{type(method).__name__}", (type(method),), {"start": start})
    return cast("Method", kind(method.settings))


class _Without:
    """A method with settings that switch a term off, in the place of the one that trains."""

    def __init__(self, method: Method, settings: Mapping[str, Any], build: Build) -> None:
        own = type(method).from_settings({**method.settings.model_dump(), **settings})
        self.network = build(own).train()
        self.state = own.start(self.network)
        self._layers = binary_layers([self.network])

    def gradients(self, network: nn.Module, state: MethodState, step: Step) -> list[Tensor]:
        """Return the gradient of the whole loss by every latent weight, with the weights and the state of the other."""
        self.network.load_state_dict(network.state_dict())
        self.state.load_state_dict(state.state_dict())
        with Taps(self.network, self.state.taps) as taps:
            features = self.network.features(step.images)
            logits = self.network.classifier(features)
            own = replace(step, layers=self._layers, features=features, logits=logits, taps=taps.outputs)
            losses = self.state.losses(own)
        return _gradients(Objective()(logits, step.labels, None) + sum(losses.values()), self._layers)


class _WatchedState(MethodState):
    """A state that lets its owner see every hook first."""

    def __init__(self, method: Method, inner: MethodState, network: CellStack, watch: Watch, build: Build) -> None:
        super().__init__()
        self.inner, self.taps, self.passes, self.in_real_stage = inner, inner.taps, inner.passes, inner.in_real_stage
        self._network, self._watch = [network], watch  # in a list: the network is no part of the state
        with torch.random.fork_rng():
            self._without = {name: _Without(method, settings, build) for name, settings in method.hidden_terms.items()}
            known = {name for name, _ in build(FullPrecision(MethodSettings())).named_parameters()}
        self._own = [name for name, _ in network.named_parameters() if name not in known]
        self._steps = 0
        self._before: list[Tensor] | None = None  # the latent weights of the step that is looked at
        watch.network = network

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return self.inner.optimizers()

    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        self.inner.start_phase(phase, network)
        for other in self._without.values():
            other.state.start_phase(phase, other.network)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.inner.start_epoch(epoch, epochs)
        for other in self._without.values():
            other.state.start_epoch(epoch, epochs)
        if not self._watch.starts:
            parameters = dict(self._network[0].named_parameters())
            self._watch.starts.update({name: parameters[name].detach().clone() for name in self._own})

    def adversary_step(self, step: Step) -> None:
        self.inner.adversary_step(step)

    def losses(self, step: Step) -> dict[str, Tensor]:
        losses = self.inner.losses(step)
        if self._before is None and self._steps % self._watch.every == self._watch.every - 1:
            self._before = [layer.weight.detach().clone() for layer in step.layers]
            self._look(step, losses)
        return losses

    def _look(self, step: Step, losses: Mapping[str, Tensor]) -> None:
        task = _gradients(Objective()(step.logits, step.labels, None), step.layers)
        whole, norm = task, _norm(task)
        for name, loss in losses.items():
            term = _gradients(loss, step.layers)
            whole = [one + other for one, other in zip(whole, term, strict=True)]
            self._watch.note(name, _norm(term), norm)
        for name, other in self._without.items():
            without = other.gradients(self._network[0], self.inner, step)
            self._watch.note(name, _norm([one - less for one, less in zip(whole, without, strict=True)]), norm)

    def end_step(self, layers: Sequence[BinaryConv2d]) -> None:
        self._steps += 1
        stepped = [layer.weight.detach().clone() for layer in layers] if self._before is not None else []
        self.inner.end_step(layers)
        if self._before is None:
            return
        after = [layer.weight.detach() - weight for layer, weight in zip(layers, stepped, strict=True)]
        if (norm := _norm(after)) > 0:
            self._watch.note(AFTER, norm, _norm([now - old for now, old in zip(stepped, self._before, strict=True)]))
        self._before = None

    def end_epoch(self, network: nn.Module) -> None:
        self.inner.end_epoch(network)

    def metrics(self) -> dict[str, float]:
        return self.inner.metrics()


def _gradients(loss: Tensor, layers: Sequence[BinaryConv2d]) -> list[Tensor]:
    """Return d loss / d W of every layer; zeros where the loss does not know W."""
    weights = [layer.weight for layer in layers]
    if not loss.requires_grad:
        return [torch.zeros_like(weight) for weight in weights]
    return list(torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True, materialize_grads=True))


def _norm(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))
