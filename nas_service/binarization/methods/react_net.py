"""ReActNet: the sign's threshold and the activation's corner are learnt for every channel.

Forward: RSign b = sign(x + t) with a threshold t per input channel, (Ci,), learnt from 0; y = alpha (conv(pad(b), sign(W))) with
alpha = mean |W| over a filter, (Co,). The PReLU that follows is an RPReLU, PReLU(z - gamma) + zeta with slope, gamma and zeta
per channel; `adapt` puts it in the place of every PReLU of the network. With t = gamma = zeta = 0 all of this is
Bi-Real Net, bit for bit.

Backward: dL/dx = dL/db (2 - 2|x + t|) on (-1, 1), 0 elsewhere; dL/dt is the sum of dL/dx over images and positions. Weights as
in Bi-Real Net: dL/dW = dL/dW^ 1[|W| <= 1] for W^ = alpha sign(W), alpha a constant.

Training: two stages, the first with binary activations and real weights and with weight decay, the second, which starts
from the first, with both binary and none; in both the labels are replaced by the logits of a full-precision
network ("distributional loss", cross entropy of the two softmaxes). Stages and distillation are settings of
the recipe; `paper_recipe` has both, and without them what is left is RSign and RPReLU.

AdamBNN is the same network with another recipe, the preset `adambnn`: twice the epochs, half the batch, the learning rate and the
weight decay, which again is of the first stage only. Not reproduced: its second stage begins from the best epoch of the
first, here from the last; its rate falls once an epoch, here in every step; its classifier does not decay; the teacher is a
ResNet-34 and the images are ImageNet's with the augmentation for it.

Differences: the authors' blocks are sign, conv, batch norm, shortcut, RPReLU; the order is here the template's. Theirs is
`bi-real`, where thresholds and outer shifts are parameters of their own. In `double-norm`, the default of cells, and in
`shortcut` the threshold stands behind a batch norm, whose shift it repeats; in `shortcut` the next batch norm takes zeta out,
too, so that gamma and the slope are what is left. Doubling the channels by two parallel
convolutions belongs to their MobileNet, and the spaces here do it in their own way. The padding is -1 and sign(0) = +1, where
the code has 0 for both.

References:
    Liu, Shen, Savvides, Cheng, "ReActNet: Towards Precise Binary Neural Network with Generalized Activation Functions", ECCV
    2020, arXiv 2003.03488. Code: github.com/liuzechun/ReActNet.
    Liu, Shen, Li, Helwegen, Huang, Cheng, "How Do Adam and Training Strategies Help BNNs Optimization?", ICML 2021, arXiv
    2106.11309.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings
from nas_service.binarization.methods.bi_real import BiRealConv2d
from nas_service.binarization.rprelu import RPReLU, replace_prelus
from nas_service.binarization.sign import sign, tent
from search_spaces.cost import ConvShape, Precision


class ReactNetSettings(MethodSettings):
    """ReActNet has no settings: its two stages and its distillation are the recipe's."""


class ReactConv2d(BiRealConv2d):
    """y = alpha conv(sign(x + t), sign(W)).

    Attributes:
        threshold: t, added to the input before its sign, (Ci,).
    """

    def __init__(self, shape: ConvShape) -> None:
        """Create latent weights and thresholds of 0."""
        super().__init__(shape)
        self.threshold = nn.Parameter(torch.zeros(shape.in_channels))

    def binary_input(self, inputs: Tensor) -> Tensor:
        """Return sign(x + t) of `inputs` (N, Ci, H, W)."""
        return super().binary_input(inputs + self.threshold.to(inputs.dtype).view(-1, 1, 1))


@METHODS.register("react-net")
class ReactNet(Method[ReactConv2d]):
    """ReActNet learns, for every channel, where signs turn and where the activation has its corner.

    Example:
        >>> layer = ReactNet.from_settings({})(ConvShape(in_channels=1, out_channels=1, kernel_size=1))
        >>> layer.threshold = nn.Parameter(torch.ones(1))
        >>> layer.binary_input(torch.tensor([-2.0, -0.5]).view(2, 1, 1, 1)).flatten().tolist()
        [-1.0, 1.0]
    """

    layer_type = ReactConv2d
    summary = "Bi-Real Net with learnt thresholds before the sign and learnt shifts around the PReLU"
    reference = "Liu et al., ECCV 2020, arXiv 2003.03488"
    settings_model = ReactNetSettings
    paper_recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 256,
        "batch_size": 512,
        "optimizer": "adam",
        "learning_rate": 2.5e-3,
        "weight_decay": 1e-5,
        "schedule": "linear",
        "real_weight_stage": 0.5,
        "distillation": 1.0,
        "temperature": 1.0,
    }
    other_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "adambnn": {**paper_recipe, "epochs": 512, "batch_size": 256, "learning_rate": 1.25e-3, "weight_decay": 5e-6}
    }
    settings: ReactNetSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, a scale per output channel, a threshold per input channel, three parameters per RPReLU channel."""
        precision = Precision(weight_bits=1, activation_bits=1, scales_per_output=1, scales_per_input=1, activation_parameters=3)
        return MethodFacts(precision, surrogate=tent)

    def __call__(self, shape: ConvShape) -> ReactConv2d:
        """Make a layer."""
        return ReactConv2d(shape)

    def adapt(self, network: nn.Module) -> None:
        """Put an RPReLU in the place of every PReLU."""
        replace_prelus(network, RPReLU)

    def freeze(self, layer: ReactConv2d) -> FrozenConv:
        """Pack the signs; keep alpha and the thresholds."""
        bits = pack_signs(sign(layer.weight))
        return FrozenConv(layer.shape, bits, layer.alpha(), layer.pad_value, threshold=layer.threshold.detach())
