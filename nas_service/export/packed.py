"""The frozen form of a trained network: binary layers packed into bits, everything else as it is."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_service.binarization.frozen import FrozenConv
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Deployable, Method
from nas_service.export import runtime
from search_spaces.errors import InvalidFieldError
from search_spaces.network import Network


def deploy(frozen: FrozenConv) -> runtime.BinaryConv2d:
    """Return the run-time layer of a frozen convolution, its weights loaded."""
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
        scales=0 if frozen.scale is None else len(frozen.scale),
        input_scale=frozen.input_scale.value,
        binary_input=frozen.binary_input,
        shifted=frozen.threshold is not None,
        planes=frozen.planes,
        scaled_positions=0 if frozen.kernel_scale is None else frozen.kernel_scale.shape[-1],
        filters=frozen.filters or 0,
        offsets=frozen.offset is not None,
    )
    names = ("bits", "scale", "threshold", "kernel_scale", "gather", "sum_scale", "offset")
    state = {name: getattr(frozen, name) for name in names}
    layer.load_state_dict({name: tensor for name, tensor in state.items() if tensor is not None})
    return layer


@dataclass(frozen=True)
class Verification:
    """How a frozen layer compares with the live one on the same input.

    Attributes:
        max_difference: Largest absolute difference of an output.
        exact: Whether every output is equal bit for bit.
    """

    max_difference: float
    exact: bool


@torch.no_grad()
def verify(layer: BinaryConv2d, frozen: FrozenConv, inputs: Tensor) -> Verification:
    """Compare a layer in evaluation with its frozen form on `inputs` (N, Ci, H, W)."""
    was_training = layer.training
    expected, actual = layer.eval()(inputs), deploy(frozen)(inputs)
    layer.train(was_training)
    return Verification(float((expected - actual).abs().max()), torch.equal(expected, actual))


def pruned_layers(frozen: Network) -> dict[str, int]:
    """Return the number of filters that pruning left, by layer; layers that were not pruned are not named."""
    layers = ((name, module) for name, module in frozen.named_modules() if isinstance(module, runtime.BinaryConv2d))
    return {name: layer.filters for name, layer in layers if layer.filters}


def shrink_layers(frozen: Network, filters: Mapping[str, int]) -> None:
    """Make room in a frozen network for the weights of a pruned one of the same architecture.

    Raises:
        InvalidFieldError: If there is no binary convolution of a name, or it has not as many filters.
    """
    layers = {name: module for name, module in frozen.named_modules() if isinstance(module, runtime.BinaryConv2d)}
    for name, kept in filters.items():
        if name not in layers:
            raise InvalidFieldError(f"pruned.{name}", kept, "nothing: the network has no such binary convolution")
        layer = layers[name]
        if not 1 <= kept <= len(layer.signs):
            raise InvalidFieldError(f"pruned.{name}", kept, f"1 to {len(layer.signs)}, the filters of the layer")
        small = runtime.BinaryConv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            pad_value=layer.pad_value,
            scales=kept if layer.scales > 1 else layer.scales,
            input_scale=layer.input_scale,
            binary_input=layer.binary_input,
            shifted=layer.shifted,
            planes=layer.planes,
            scaled_positions=layer.scaled_positions,
            filters=kept,
            offsets=layer.offsets,
        )
        frozen.set_submodule(name, small)


def freeze_network(network: Network, method: Method) -> Network:
    """Return a copy of `network` on the CPU, in evaluation, whose binary layers hold packed bits and nothing of training.

    What a method put in the place of other layers becomes one of torch's own again, if it says how. The copy refuses pixels
    that are none (`runtime.check_pixels`).

    Raises:
        CannotFreezeError: If the method has no exact frozen form for a layer.
    """
    frozen = copy.deepcopy(network).cpu().eval()
    places = [(parent, name, child) for parent in frozen.modules() for name, child in parent.named_children()]
    for parent, name, child in places:
        if isinstance(child, BinaryConv2d):
            setattr(parent, name, deploy(method.freeze(child)))
        elif isinstance(child, Deployable):
            setattr(parent, name, child.deployed().eval())
    normalize = runtime.Normalize(network.image.channels, *network.image.size)
    normalize.load_state_dict(network.normalize.state_dict())
    frozen.set_submodule("normalize", normalize.eval())
    return frozen.requires_grad_(False)  # noqa: FBT003 - torch's own signature
