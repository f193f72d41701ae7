"""The frozen form of a trained network: binary layers packed into bits, everything else as it is."""

import copy

from torch import nn

from nas_service.binarization.frozen import FrozenConv
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Method
from nas_service.export import runtime
from search_spaces.network import Network


def _deployed(frozen: FrozenConv) -> runtime.BinaryConv2d:
    shape = frozen.shape
    layer = runtime.BinaryConv2d(
        shape.in_channels,
        shape.out_channels,
        shape.kernel_size,
        shape.stride,
        shape.padding,
        shape.dilation,
        shape.groups,
        pad_value=frozen.pad_value,
        scaled=frozen.scale is not None,
        input_scale=frozen.input_scale.value,
    )
    state = {"bits": frozen.bits} if frozen.scale is None else {"bits": frozen.bits, "scale": frozen.scale}
    layer.load_state_dict(state)
    return layer


def freeze_network(network: Network, method: Method) -> Network:
    """Return a copy of `network` on the CPU, in evaluation, whose binary layers hold packed bits and nothing of training.

    Raises:
        CannotFreezeError: If the method has no exact frozen form for a layer.
    """
    frozen = copy.deepcopy(network).cpu().eval()
    places: list[tuple[nn.Module, str, BinaryConv2d]] = [
        (parent, name, child)
        for parent in frozen.modules()
        for name, child in parent.named_children()
        if isinstance(child, BinaryConv2d)
    ]
    for parent, name, layer in places:
        setattr(parent, name, _deployed(method.freeze(layer)))
    return frozen.requires_grad_(False)  # noqa: FBT003 - torch's own signature
