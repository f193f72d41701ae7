"""BiPer: weights become bits by a square wave, and are differentiated as a sine of the same period.

Forward: b = sign(sin(omega w)); y = alpha conv(pad(sign(x)), b), alpha (Co,) a learnt factor per output channel, drawn from
U(0, 1).

Backward, weights: dL/dw = dL/db omega cos(omega w), the gradient of the sine, nowhere cut off: a weight beyond a crest comes
to the other sign by going on, not by turning back. Activations as in ReCU (recu.py): in training the tent of x over its
sample's deviation.

First of two stages (the recipe's `real_weight_stage`): the sine itself is convolved, y = alpha conv(pad(sign(x)), sin(omega w)),
with its exact gradient. The second goes on from its w and alpha, and its bits are the signs of what was convolved; omega is the
same in both. A small omega leaves sines far below 1, whose signs are a large change; a large one makes the slope change its
sign within a few steps.

Loss beside the task's, in both stages: tau sum over layers of mean sin^2(omega w), tau = 0.037 in the first and 0.0468 in the
second. It keeps the sine's values small and slopes large, as weight decay keeps w small where nothing is periodic.

Differences: the equations and constants are those of the authors' code; none are changed. The loss is in their CIFAR-10 code
and commented out in the one for ImageNet. omega = 20 is what they run both with. Latent weights start as everywhere here,
uniform with 0.41 of the spread of the authors' normal ones, so a phase omega w starts closer to 0. The authors' second stage
has a rate of its own (0.0037 after 0.021, warmed up again) and a tenth of the weight decay, and begins from the best epoch of
the first: here it has the first's rate, no weight decay, and begins from the last. alpha, a vector, has no weight decay, as no
vector has here. Their SGD has plain momentum, ours Nesterov's, and their ImageNet recipe is left out. The padding is -1 and
sign(0) = +1, where the code has 0 for both.

References:
    Vargas, Correa, Hinojosa, Arguello, "BiPer: Binary Neural Networks using a Periodic Function", CVPR 2024, arXiv 2404.01278.
    Code: github.com/edmav4/BiPer.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings, MethodState, Step
from nas_service.binarization.methods.recu import NormalisedConv2d, normalised_tent
from nas_service.binarization.sign import sign
from search_spaces.cost import ConvShape, Precision


class BiperSettings(MethodSettings):
    """Settings of BiPer."""

    frequency: float = Field(20.0, gt=0, le=10_000, description="omega: of the sine that latent weights go through.")
    real_stage_penalty: float = Field(
        0.037, ge=0, le=1000, description="tau of a first stage with real weights: weight of the mean of sin^2."
    )
    penalty: float = Field(0.0468, ge=0, le=1000, description="tau where weights are binary.")


class BiperConv2d(NormalisedConv2d):
    """y = alpha conv(sign(x), sign(sin(omega w))), or alpha conv(sign(x), sin(omega w)) in a first stage with real weights.

    Attributes:
        frequency: omega.
    """

    def __init__(self, shape: ConvShape, frequency: float) -> None:
        """Create latent weights and random factors."""
        super().__init__(shape)
        self.frequency = frequency

    def wave(self) -> Tensor:
        """Return sin(omega w), the shape of `weight`."""
        return (self.weight * self.frequency).sin()

    def binary_weight(self) -> Tensor:
        """Return sign(sin(omega w)), the shape of `weight`, with the gradient of the sine while training."""
        return self.weight_sign(self.wave()) if self.training else sign(self.wave())

    def real_kernel(self) -> Tensor:
        """Return alpha sin(omega w), the shape of `weight`."""
        return self.wave() * self.alpha.view(-1, 1, 1, 1)


class BiperState(MethodState[BiperConv2d]):
    """The loss on the sine's values."""

    in_real_stage = True

    def __init__(self, settings: BiperSettings) -> None:
        """Keep the weights of the loss."""
        super().__init__()
        self._settings = settings

    def losses(self, step: Step[BiperConv2d]) -> dict[str, Tensor]:
        """Return tau sum over layers of mean sin^2(omega w)."""
        total = step.logits.new_zeros(())
        for layer in step.layers:
            weight = self._settings.real_stage_penalty if layer.real_weights else self._settings.penalty
            if weight:
                total = total + weight * layer.wave().square().mean()
        return {"sine": total}


@METHODS.register("biper")
class Biper(Method[BiperConv2d]):
    """BiPer takes the signs of a sine of the weights, so that a weight changes its sign by going on as well as by turning back.

    Example:
        >>> layer = Biper.from_settings({"frequency": 3.0})(ConvShape(in_channels=4, out_channels=2, kernel_size=3))
        >>> torch.equal(layer.binary_weight(), sign((3 * layer.weight).sin()))
        True
    """

    layer_type = BiperConv2d
    summary = "signs of a sine of the weights, with the sine's gradient, times a learnt factor per channel"
    reference = "Vargas et al., CVPR 2024, arXiv 2404.01278"
    settings_model = BiperSettings
    paper_recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 900,
        "batch_size": 256,
        "optimizer": "sgd",
        "learning_rate": 0.021,
        "weight_decay": 1.6e-3,
        "schedule": "cosine",
        "warmup_epochs": 5.0,
        "real_weight_stage": 2 / 3,
    }
    settings: BiperSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale per output channel."""
        return MethodFacts(Precision(weight_bits=1, activation_bits=1, scales_per_output=1), surrogate=normalised_tent)

    def __call__(self, shape: ConvShape) -> BiperConv2d:
        """Make a layer."""
        return BiperConv2d(shape, self.settings.frequency)

    def start(self, network: nn.Module) -> MethodState[BiperConv2d]:
        """Return the loss on the sine's values."""
        del network
        return BiperState(self.settings)

    def freeze(self, layer: BiperConv2d) -> FrozenConv:
        """Pack the signs of the sine; keep alpha."""
        return FrozenConv(layer.shape, pack_signs(sign(layer.wave().detach())), layer.alpha.detach(), layer.pad_value)
