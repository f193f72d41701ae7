"""Arithmetic: the type and the memory order of activations in a forward pass."""

from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.genotype import Genotype
from search_spaces.network import CellStack


@dataclass(frozen=True)
class Arithmetic:
    """How a network is run; with the defaults, as it is.

    Attributes:
        bf16: Convolutions and linear layers compute in bfloat16 by autocast, and what follows them keeps that type; weights stay
            float32. A convolution of signs is exact up to sums of 256 in magnitude, beyond which its integers are rounded
            to 8 bits.
        channels_last: Images, and with them all activations, lie in memory as N, H, W, C.
    """

    bf16: bool = False
    channels_last: bool = False

    def forward(self, network: CellStack, images: Tensor, genotype: Genotype | None = None) -> tuple[Tensor, Tensor]:
        """Return the classifier's input (N, features) and logits (N, classes) of pixels (N, C, H, W); float32 after bf16.

        Losses are computed outside autocast, in the type that comes out of here.
        """
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        if not self.bf16:
            features = network.features(images, genotype)
            return features, network.classifier(features)
        # No cache of cast weights: each is used once a pass, and a recorded step must cast it anew whenever it is replayed.
        with torch.autocast(images.device.type, torch.bfloat16, cache_enabled=False):
            features = network.features(images, genotype)
            logits: Tensor = network.classifier(features)
        return features.float(), logits.float()
