"""The contract of a binarization method: everything a published method asks of the trainer, and nothing the trainer has
to know by name.

A `Method` is a frozen configuration: it makes layers of one type, says how their parameters are trained, and freezes them. What
holds of it with its settings is one value, `MethodFacts`. What lives and changes during one training (class centres,
discriminators, last step's signs) is its `MethodState`, an `nn.Module`, so that it is checkpointed with the rest. Every hook has
a default that does nothing.

All three are generic in the type of the layers, so that a method's own code sees its own ones. Callers, which know no method by
name, write `Method`, `MethodState` and `Step` alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from nas_service.binarization.frozen import FrozenConv
from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.sign import Surrogate, window
from nas_service.recipes.recipe import OptimizerName
from search_spaces.cost import ConvShape, Precision
from search_spaces.given import GivenModel
from search_spaces.registry import Registry

Layer = TypeVar("Layer", bound=BinaryConv2d, default=Any)  # what a method makes; unnamed, any


class MethodSettings(GivenModel):
    """Settings of a method; unknown ones are refused."""


@dataclass(frozen=True)
class MethodFacts:
    """What holds of a method with its settings.

    Attributes:
        precision: Bits of the operands, for the cost model.
        surrogate: What stands for d sign(x) / dx when training begins; None: the inputs stay real.
        real_weight_stage: Whether a first stage with binary activations and real weights makes sense.
        needs_teacher: Whether it trains against a full-precision network of the same genotype; then it cannot binarize a
            supernet.
        needs_eager: Why its training steps can be neither recorded and replayed nor compiled, which skips what Python does in
            them and repeats the device's work alone; None: they can.
        changes_every_epoch: Why code compiled for its layers in one epoch does not serve the next: a number of theirs changes
            that is no tensor, so it is a constant of the code; None: it serves all epochs. A change between phases is none of
            every epoch.
    """

    precision: Precision
    surrogate: Surrogate | None = window
    real_weight_stage: bool = True
    needs_teacher: bool = False
    needs_eager: str | None = None
    changes_every_epoch: str | None = None


@dataclass(frozen=True)
class ParameterRule:
    """How one parameter of a binary layer is trained.

    Attributes:
        lr_multiplier: Factor on the recipe's learning rate.
        decays: Whether the recipe's weight decay applies.
        project: Called on the parameter, without gradient, after every optimizer step; changes it in place.
        turn: Parameters of turn 0 are stepped first, those of turn 1 after a forward and backward pass of their own, with the
            others fixed. Everything in turn 0 costs one pass.
        gradient_factor: On the parameter's gradient, before weight decay is added; whose it is, the method's text says. Adam's
            step does not depend on it but for the decay, SGD's is proportional to it.
        in_real_stage: Whether the rule holds in a first stage with real weights, too.
    """

    lr_multiplier: float = 1.0
    decays: bool = True
    project: Callable[[Tensor], None] | None = None
    turn: int = 0
    gradient_factor: float = 1.0
    in_real_stage: bool = False


@dataclass(frozen=True)
class Inert:
    """What a method has by the paper and hardly acts in its default configuration.

    Attributes:
        name: Of a loss in `MethodState.losses`, of a term in `Method.hidden_terms`, or of a parameter: the last part of its name.
        why: For people, one sentence.
        optimizers: With which it is so.
    """

    name: str
    why: str
    optimizers: tuple[OptimizerName, ...] = tuple(OptimizerName)


@dataclass(frozen=True)
class Phase:
    """A stretch of training with its own optimizer.

    Attributes:
        name: Shown in progress and metrics.
        epochs: Its length; the lengths of a plan add up to the recipe's.
        lr_multiplier: Factor on the recipe's learning rate, whose schedule starts anew.
        decays: Whether the recipe's weight decay applies at all.
    """

    name: str
    epochs: int
    lr_multiplier: float = 1.0
    decays: bool = True


@dataclass(frozen=True)
class Pass:
    """One of the passes over the training images that make an epoch.

    Attributes:
        name: For people.
        trains: Kinds of modules whose parameters are trained, by the task's loss alone; None: everything, with the method's
            own losses.
    """

    name: str
    trains: tuple[type[nn.Module], ...] | None = None


@dataclass(frozen=True)
class Step(Generic[Layer]):
    """What a hook sees of one training step.

    Attributes:
        layers: The binary layers that took part.
        images: Pixels in [0, 1], (N, C, H, W).
        labels: Class indices, (N,).
        features: Input of the classifier, (N, features).
        logits: (N, classes).
        taps: Outputs of the modules named in `MethodState.taps`, by name.
        teacher_taps: The same of the full-precision teacher; empty without one.
        teacher_logits: (N, classes), or None without a teacher.
    """

    layers: Sequence[Layer]
    images: Tensor
    labels: Tensor
    features: Tensor
    logits: Tensor
    taps: Mapping[str, Tensor] = field(default_factory=dict)
    teacher_taps: Mapping[str, Tensor] = field(default_factory=dict)
    teacher_logits: Tensor | None = None


class MethodState(nn.Module, Generic[Layer]):
    """What a method keeps and does during one training. The order of a step: forward, `adversary_step`, `losses`,
    backward, optimizer step, projections, `end_step`. Where rules have turns, forward, losses, backward and optimizer step
    are repeated for each; the adversary steps once.

    In a first stage with real weights nothing of it is asked or called, unless it says `in_real_stage`.

    Attributes:
        layers: The network's, if they were given: a tuple, whose modules are not registered, so not checkpointed twice.
        taps: Names of modules whose outputs the steps carry.
        passes: Of every epoch.
        in_real_stage: Whether it takes part in a first stage with real weights, too.
    """

    taps: tuple[str, ...] = ()
    passes: tuple[Pass, ...] = (Pass("train"),)
    in_real_stage: bool = False

    def __init__(self, layers: Sequence[Layer] = ()) -> None:
        """Keep the layers, if what follows needs all of them."""
        super().__init__()
        self.layers = tuple(layers)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimizers of adversaries by name: always the same ones, so that they can be checkpointed."""
        return {}

    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        """Prepare for a phase, before its optimizer is made: what is binary, what is frozen."""

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Take note that `epoch` of `epochs` (from 0) begins: anneal temperatures, thresholds."""

    def adversary_step(self, step: Step[Layer]) -> None:
        """Train an adversary with its own optimizer on detached tensors of the step."""

    def losses(self, step: Step[Layer]) -> dict[str, Tensor]:
        """Return named scalars, already weighted, that are added to the task's loss."""
        del step
        return {}

    def end_step(self, layers: Sequence[Layer]) -> None:
        """Look at the layers after the optimizer step and the projections."""

    def end_epoch(self, network: nn.Module) -> None:
        """Do what a method does once an epoch, after its passes; gradients are off."""

    def metrics(self) -> dict[str, float]:
        """Return figures worth keeping with the epoch."""
        return {}


@runtime_checkable
class Deployable(Protocol):
    """A module that `adapt` put in and that is something simpler when training is over."""

    def deployed(self) -> nn.Module:
        """Return one of torch's own layers that computes the same in evaluation."""
        ...


class Method(ABC, Generic[Layer]):
    """A published binarization method; also a `ConvFactory`.

    Attributes:
        layer_type: Of the layers that it makes.
        summary: One line for the catalogue.
        reference: Where it was published.
        settings_model: Type of its settings; its JSON schema is in the catalogue.
        paper_recipe: The fields of a `Recipe` in which its authors' differs from the shared one.
        other_recipes: Recipes that others published for it, alike, by the names of their presets.
        hidden_terms: Terms of the weights' gradient that are no loss of their own, by name, each with the settings that switch
            it off.
        inert: What does next to nothing by default: below 2 % of the task's gradient, or moved by less than 2 % of its size, in
            two epochs of `tests/contracts/test_live_methods.py`; whatever is below a thousandth there has to be named.
        revision: Of its arithmetic: one more whenever the same settings and recipe come to train otherwise than before, so
            that what is compared was trained alike.
    """

    layer_type: type[Layer]
    summary: ClassVar[str]
    reference: ClassVar[str]
    settings_model: ClassVar[type[MethodSettings]]
    paper_recipe: ClassVar[Mapping[str, Any]] = {}
    other_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    hidden_terms: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    inert: ClassVar[tuple[Inert, ...]] = ()
    revision: ClassVar[int] = 1

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Check `settings` and make the method.

        Raises:
            pydantic.ValidationError: If a setting is unknown or out of range.
        """
        return cls(cls.settings_model.model_validate(settings))

    @classmethod
    def presets(cls) -> dict[str, Mapping[str, Any]]:
        """Return its published recipes by the names of their presets."""
        return {**({"paper": cls.paper_recipe} if cls.paper_recipe else {}), **cls.other_recipes}

    def __init__(self, settings: MethodSettings) -> None:
        """Keep the checked settings."""
        self.settings = settings

    @property
    @abstractmethod
    def facts(self) -> MethodFacts:
        """What holds of it with its settings."""

    @abstractmethod
    def __call__(self, shape: ConvShape) -> nn.Module:
        """Make a layer with fresh latent weights: one of `layer_type`, but for the full-precision control."""

    def layers_of(self, network: nn.Module) -> list[Layer]:
        """Return the layers of `network` that it made, in order."""
        return [layer for layer in binary_layers([network]) if isinstance(layer, self.layer_type)]

    def adapt(self, network: nn.Module) -> None:
        """Change what is not a convolution (batch norms, activations) in a network just built; same inputs and outputs."""

    def rules(self, layer: Layer) -> dict[str, ParameterRule]:
        """Return how the layer's own parameters are trained, by name; a name left out follows the recipe."""
        del layer
        return {}

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """Split a training of `epochs`; one phase unless the paper has more.

        Raises:
            ValueError: If there are fewer epochs than phases.
        """
        return (Phase("train", epochs),)

    def start(self, network: nn.Module) -> MethodState[Layer]:
        """Return fresh state for the training of `network`."""
        del network
        return MethodState()

    @abstractmethod
    def freeze(self, layer: Layer) -> FrozenConv:
        """Return the layer's deployed form.

        Raises:
            CannotFreezeError: If the form has no exact packed equivalent; the message says why.
        """


METHODS: Registry[type[Method]] = Registry("binarization method", "nas_service.binarization.methods")
