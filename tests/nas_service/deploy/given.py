"""Frozen networks with random weights and statistics, whose slopes fall as well as rise."""

import numpy as np
import torch
from torch import Tensor, nn

from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.rbcn import RbcnConv2d
from nas_service.binarization.network import binary_network
from nas_service.export.packed import freeze_network
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, Network
from search_spaces.space import SearchSpace
from tests.samples import random_genotype


def frozen_network(
    space: SearchSpace,
    method_name: str,
    image: ImageFormat,
    genotype: Genotype | None = None,
    settings: dict[str, object] | None = None,
) -> Network:
    """Return the frozen form of a network that saw noise; of layers that may be pruned every other filter is."""
    torch.manual_seed(len(method_name))
    method = METHODS.get(method_name).from_settings(settings or {})
    network = binary_network(space, genotype or random_genotype(space, 1), method, image).train()
    for _ in range(2):
        network(torch.rand(8, image.channels, image.size.height, image.size.width))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(torch.randn_like(module.weight) * 0.5 + 0.7)
                module.bias.copy_(torch.randn_like(module.bias) * 0.5)
            elif isinstance(module, nn.PReLU):
                module.weight.copy_(torch.randn_like(module.weight) * 0.3 + 0.2)
            elif isinstance(module, RbcnConv2d) and module.mask is not None:
                module.mask.pruned[::2] = True
    return freeze_network(network.eval(), method)


def random_pixels(image: ImageFormat, count: int) -> Tensor:
    """Return images as `model.py` takes them: grey levels over 255."""
    levels = np.random.default_rng(0).integers(0, 256, (count, image.channels, image.size.height, image.size.width))
    return torch.tensor(levels).to(torch.float32) / 255
