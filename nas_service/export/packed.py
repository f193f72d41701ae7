"""The frozen form of a trained network: binary layers packed into bits, everything else as it is."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from nas_service.binarization.frozen import FrozenConv
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Deployable, Method
from nas_service.errors import CannotFreezeError
from nas_service.export import real_layers, runtime
from search_spaces.errors import InvalidFieldError
from search_spaces.group_mean import GroupMean
from search_spaces.network import Network
from search_spaces.operations.denoise import NonLocalMean
from search_spaces.operations.gabor_conv_3x3 import GaborBank

Layers = TypeVar("Layers", bound=nn.Module)


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

    What a method put in the place of other layers becomes one of torch's own again, if it says how. Layers of real numbers
    become those of `real_layers`, whose results do not depend on the order of sums; tensors keep their names and shapes. The
    copy refuses pixels that are none (`runtime.check_pixels`).

    Raises:
        CannotFreezeError: If the method has no exact frozen form for a layer, or a real convolution none with one result.
    """
    frozen = copy.deepcopy(network).cpu().eval()
    normalize = runtime.Normalize(network.image.channels, *network.image.size)
    normalize.load_state_dict(network.normalize.state_dict())
    frozen.set_submodule("normalize", normalize)
    frozen.set_submodule("stem.0", _stem(frozen.get_submodule("stem.0"), normalize))
    return freeze_layers(frozen, method)


def freeze_layers(root: Layers, method: Method) -> Layers:
    """Put the frozen forms of all layers inside of `root` in their places, and return it.

    Raises:
        CannotFreezeError: If the method has no exact frozen form for a layer, or a real convolution none with one result.
    """
    places = [(parent, name, child) for parent in root.modules() for name, child in parent.named_children()]
    for parent, name, child in places:
        if isinstance(child, BinaryConv2d):
            setattr(parent, name, deploy(method.freeze(child)))
        else:
            setattr(parent, name, _real_layer(child.deployed() if isinstance(child, Deployable) else child))
    return root.eval().requires_grad_(False)  # noqa: FBT003 - torch's own signature


def _stem(conv: nn.Module, normalize: runtime.Normalize) -> real_layers.StemConv2d:
    """Return the run-time form of the first convolution, which divides by the standard deviation as well."""
    geometry = _geometry(conv)
    if geometry[5:] != (1, 1):
        raise CannotFreezeError(f"the stem {conv} has groups or dilation, with which its sums are not known to be exact")
    stem = real_layers.StemConv2d(*geometry[:5], std=tuple(normalize.std.flatten().tolist()))
    stem.load_state_dict(conv.state_dict())
    return stem


def _geometry(conv: nn.Module) -> tuple[int, int, int, int, int, int, int]:
    """Return the arguments of a square convolution that adds no bias and pads with zeros: the only ones that spaces make."""
    if isinstance(conv, nn.Conv2d) and conv.bias is None and conv.padding_mode == "zeros" and not isinstance(conv.padding, str):
        sides = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        if all(len(set(side)) == 1 for side in sides):
            kernel_size, stride, padding, dilation = (side[0] for side in sides)
            return conv.in_channels, conv.out_channels, kernel_size, stride, padding, dilation, conv.groups
    raise CannotFreezeError(f"{conv} has no form with one result: a square convolution without bias, padded with zeros, has one")


def _real_layer(layer: nn.Module) -> nn.Module:
    """Return the run-time form of a layer that sums real numbers, its tensors loaded; any other layer as it is."""
    made: nn.Module
    match layer:
        case nn.BatchNorm2d():
            made = real_layers.BatchNorm2d(layer.num_features, layer.eps, affine=layer.affine)
        case nn.Conv2d():
            made = real_layers.Conv2d(*_geometry(layer))
        case GaborBank():
            made = real_layers.GaborBank(layer.channels, layer.stride)
        case NonLocalMean():
            made = real_layers.NonLocalMean()
        case GroupMean():
            made = real_layers.GroupMean(layer.groups)
        case _:
            return layer
    state = layer.state_dict()
    state.pop("num_batches_tracked", None)  # of training
    made.load_state_dict(state)
    return made
