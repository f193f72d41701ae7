"""The cost of a frozen network as it stands, pruned or not: counted from its tensors and one watched forward pass."""

import torch

from nas_service.binarization.audit import audit
from nas_service.export import runtime
from nas_service.export.standalone import frozen_weights
from search_spaces.cost import Cost
from search_spaces.network import ImageFormat, Network

_FACTORS = ("scale", "threshold", "kernel_scale", "sum_scale", "offset")


def measured_cost(frozen: Network, image: ImageFormat) -> Cost:
    """Return what `network_cost` declares of a network that was not pruned, and what is left of one that was."""
    layers = [module for module in frozen.modules() if isinstance(module, runtime.BinaryConv2d)]
    factors = [getattr(layer, name) for layer in layers for name in _FACTORS]
    floats = sum(tensor.numel() for tensor in factors if tensor is not None)
    floats += sum(parameter.numel() for parameter in frozen.parameters())
    seen = audit(frozen, torch.zeros(1, image.channels, image.size.height, image.size.width))
    return Cost(
        binary_parameters=sum(layer.signs.numel() for layer in layers),
        float_parameters=floats,
        flops=seen.flops,
        bops=seen.bops,
        packed_bytes=sum(tensor.numel() * tensor.element_size() for tensor in frozen_weights(frozen).values()),
    )
