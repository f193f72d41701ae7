"""BNN (BinaryNet): weights and activations are signs, nothing else.

Forward (section 1.1): b = sign(x), or in stochastic mode b = +1 with probability clip((x + 1) / 2, 0, 1), for weights
and activations alike; y = conv(sign(x), sign(W)), an integer in [-n, n] with n = Ci k k. No scale is learnt or computed.
In evaluation both are deterministic.

Backward (section 1.3): activations dL/dx = dL/db * 1[|x| <= 1]; weights dL/dW = dL/dsign(W), applied to the latent W.

Update (algorithm 1, and the authors' `binary_net.py`): the optimizer's step for W is multiplied by
W_LR_scale = 1 / sqrt(1.5 / (fan_in + fan_out)), fans counted with the kernel area, then W is clipped to [-1, 1].
The step of SGD and of Adam is proportional to the learning rate, so the factor is a multiplier on it. With SGD it is squared, as
in the same authors' BinaryConnect; without the square hardly a sign flips. Weight decay is not applied to W: it would only pull
latent values towards zero, where signs flip at random.

Differences: latent weights start uniform in [-1, 1], which the authors' code does and the paper does not say; the stem and
the classifier stay in full precision, as in every method of this project, where BinaryNet binarizes their weights
too. The authors train with the squared hinge loss, which is the recipe's to choose (loss: squared-hinge). With
`shift_batch_norm` every batch norm of the network multiplies with powers of two alone (section 1.4, `shift_norm.py`); off by
default, as in the authors' code. Their shift-based AdaMax is not offered.

References:
    Courbariaux, Hubara, Soudry, El-Yaniv, Bengio, "Binarized Neural Networks: Training Deep Neural Networks with Weights
    and Activations Constrained to +1 or -1", 2016, arXiv 1602.02830. The square: Courbariaux, Bengio, David, "BinaryConnect",
    NeurIPS 2015, arXiv 1511.00363.
"""

from collections.abc import Hashable
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings, ParameterRule
from nas_service.binarization.shift_norm import shift_norms
from nas_service.binarization.sign import (
    SHAREABLE,
    clipped_sign,
    identity_sign,
    sign,
    stochastic_clipped_sign,
    stochastic_identity_sign,
)
from search_spaces.cost import ConvShape, Precision


class BnnSettings(MethodSettings):
    """Settings of BNN."""

    stochastic_weights: bool = Field(default=False, description="Draw weight signs at random while training.")
    stochastic_activations: bool = Field(default=False, description="Draw activation signs at random while training.")
    shift_batch_norm: bool = Field(default=False, description="Let batch norm multiply with powers of two alone: shifts.")


class BnnConv2d(BinaryConv2d):
    """y = conv(sign(x), sign(W)); random signs only while training."""

    def binary_input(self, inputs: Tensor) -> Tensor:
        """Return sign(x), random only while training."""
        return self.activation_sign(inputs) if self.training else clipped_sign(inputs)

    def sign_key(self) -> Hashable | None:
        """Return the estimator unless it draws."""
        return self.activation_sign if self.activation_sign in SHAREABLE else None


def clip_latent(weight: Tensor) -> None:
    """Clip latent weights to [-1, 1] in place."""
    weight.clamp_(-1, 1)


@METHODS.register("bnn")
class Bnn(Method[BnnConv2d]):
    """BinaryNet puts signs in the place of weights and inputs, and keeps nothing else.

    Example:
        >>> layer = Bnn.from_settings({})(ConvShape(in_channels=3, out_channels=1, kernel_size=1))
        >>> layer(torch.randn(100, 3, 1, 1)).unique().tolist()  # sums of three signs
        [-3.0, -1.0, 1.0, 3.0]
    """

    layer_type = BnnConv2d
    summary = "signs alone: no scale; latent weights clipped, their step scaled after Glorot"
    reference = "Courbariaux et al. 2016, arXiv 1602.02830"
    settings_model = BnnSettings
    revision = 2  # the factor on the gradient of W
    paper_recipe: ClassVar = {  # of the authors' CIFAR-10 script
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "exponential",
        "epochs": 500,
        "batch_size": 50,
        "loss": "squared-hinge",
        "augment": False,
    }
    settings: BnnSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, no scale."""
        return MethodFacts(Precision(weight_bits=1, activation_bits=1))

    def __call__(self, shape: ConvShape) -> BnnConv2d:
        """Make a layer with latent weights uniform in [-1, 1]."""
        layer = BnnConv2d(
            shape,
            weight_sign=stochastic_identity_sign if self.settings.stochastic_weights else identity_sign,
            activation_sign=stochastic_clipped_sign if self.settings.stochastic_activations else clipped_sign,
        )
        nn.init.uniform_(layer.weight, -1, 1)
        return layer

    def adapt(self, network: nn.Module) -> None:
        """Replace every batch norm by a shift-based one, if asked."""
        if self.settings.shift_batch_norm:
            shift_norms(network)

    def rules(self, layer: BnnConv2d) -> dict[str, ParameterRule]:
        """Scale the latent step after Glorot, with SGD twice; clip after it."""
        shape = layer.shape
        fans = shape.fan_in + shape.out_channels // shape.groups * shape.kernel_size**2
        glorot = (fans / 1.5) ** 0.5
        return {
            "weight": ParameterRule(lr_multiplier=glorot, gradient_factor=glorot, decays=False, project=clip_latent),
        }

    def freeze(self, layer: BnnConv2d) -> FrozenConv:
        """Pack the signs; there is nothing else."""
        return FrozenConv(layer.shape, pack_signs(sign(layer.weight.detach())), None, layer.pad_value)
