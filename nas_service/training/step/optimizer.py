"""Optimizers whose parameter groups follow the method's rules, and the projections after their steps."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Method, ParameterRule
from nas_service.recipes.recipe import OptimizerName

_RECIPE_RULE = ParameterRule()


@dataclass(frozen=True)
class RuledParameter:
    """A parameter, its name in the network, and how it is trained."""

    name: str
    parameter: nn.Parameter
    rule: ParameterRule


def ruled_parameters(
    named: Mapping[str, nn.Parameter], layers: Iterable[BinaryConv2d], method: Method | None, *, in_real_stage: bool = False
) -> list[RuledParameter]:
    """Attach a rule to every parameter: the method's for those of its layers, the recipe's for the others.

    In a first stage with real weights only those of the method's rules hold that say so.
    """
    rules: dict[int, ParameterRule] = {}
    if method is not None:
        for layer in layers:
            ruled = method.rules(layer)
            held = {name: rule for name, rule in ruled.items() if rule.in_real_stage or not in_real_stage}
            rules.update({id(parameter): held[name] for name, parameter in layer.named_parameters() if name in held})
    return [RuledParameter(name, parameter, rules.get(id(parameter), _RECIPE_RULE)) for name, parameter in named.items()]


class RuledOptimizer:
    """An optimizer that honours the rules; learning rates are set before every step.

    A fused one steps all parameters of a group in one kernel and reads its learning rate from a tensor on their device, so
    that a recorded step can be replayed with another rate.
    """

    def __init__(
        self,
        parameters: list[RuledParameter],
        optimizer: OptimizerName,
        learning_rate: float,
        weight_decay: float,
        *,
        fused: bool = False,
    ) -> None:
        """Group the parameters by turn, multiplier and decay; one-dimensional ones (norms, PReLU, bias) never decay.

        A factor f on a gradient g that has a decay d added to it, f g + d w, is a factor on the rate and a decay of d / f.
        """
        groups: dict[tuple[int, float, float], list[RuledParameter]] = {}
        for ruled in parameters:
            rule, factor = ruled.rule, ruled.rule.gradient_factor
            decay = weight_decay / factor if rule.decays and ruled.parameter.ndim > 1 else 0.0
            multiplier = rule.lr_multiplier * (factor if optimizer is OptimizerName.SGD else 1.0)
            groups.setdefault((rule.turn, multiplier, decay), []).append(ruled)
        self.names = [ruled.name for group in groups.values() for ruled in group]
        self._learning_rate = learning_rate
        self._multipliers = [multiplier for _, multiplier, _ in groups]
        self._group_turns = [turn for turn, _, _ in groups]
        self._projections: list[tuple[Callable[[Tensor], None], nn.Parameter]] = [
            (ruled.rule.project, ruled.parameter) for ruled in parameters if ruled.rule.project is not None
        ]
        param_groups: list[dict[str, Any]] = [
            {"params": [ruled.parameter for ruled in group], "weight_decay": decay} for (_, _, decay), group in groups.items()
        ]
        if fused:
            for settings in param_groups:
                settings["lr"] = torch.tensor(learning_rate, device=parameters[0].parameter.device)
        self._factor: float | None = None
        self.inner: torch.optim.Optimizer
        if optimizer is OptimizerName.ADAM:
            # Adam asks for `capturable` where a step is recorded, and knows it on CUDA alone.
            capturable = fused and parameters[0].parameter.is_cuda
            self.inner = torch.optim.Adam(param_groups, lr=learning_rate, fused=fused or None, capturable=capturable)
        else:
            self.inner = torch.optim.SGD(param_groups, lr=learning_rate, momentum=0.9, nesterov=True, fused=fused or None)

    @property
    def turns(self) -> tuple[int, ...]:
        """The turns of a step in order, without those of which nothing is trained now."""
        groups = zip(self.inner.param_groups, self._group_turns, strict=True)
        return tuple(sorted({turn for group, turn in groups if any(entry.requires_grad for entry in group["params"])}))

    def set_rate(self, factor: float) -> None:
        """Set the learning rates to their peaks times `factor`; nothing is done where they are that already."""
        if factor == self._factor:
            return
        self._factor = factor
        for group, multiplier in zip(self.inner.param_groups, self._multipliers, strict=True):
            rate = self._learning_rate * multiplier * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def step(self, factor: float, turn: int | None = None) -> None:
        """Step with the peak learning rate times `factor`, project what moved, and drop the gradients.

        With a `turn`, only its parameters are stepped.
        """
        self.set_rate(factor)
        for group, own in zip(self.inner.param_groups, self._group_turns, strict=True):
            if turn not in {None, own}:
                for parameter in group["params"]:
                    parameter.grad = None
        moved = {
            id(parameter) for group in self.inner.param_groups for parameter in group["params"] if parameter.grad is not None
        }
        self.inner.step()
        with torch.no_grad():
            for project, parameter in self._projections:
                if id(parameter) in moved:
                    project(parameter)
        self.inner.zero_grad(set_to_none=True)
