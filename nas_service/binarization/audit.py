"""Audit: watch what really enters every convolution of a built network, whatever its classes are called."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_CONVOLUTIONS = {torch.ops.aten.convolution.default}
_LINEARS = {torch.ops.aten.addmm.default, torch.ops.aten.mm.default}
_BATCHED = {torch.ops.aten.bmm.default, torch.ops.aten.baddbmm.default}


def is_binary(values: Tensor) -> bool:
    """Return whether every value is -1 or +1."""
    return bool((values.abs() == 1).all())


@dataclass(frozen=True)
class Product:
    """One convolution or matrix product that ran.

    Attributes:
        macs: Multiply-accumulates for one image.
        weights: Number of weights.
        binary_input: Whether the input, padding included, held only -1 and +1.
        binary_weight: Whether the weights held only -1 and +1.
    """

    macs: int
    weights: int
    binary_input: bool
    binary_weight: bool


class _Recorder(TorchDispatchMode):
    """Records the operands of every convolution and matrix product that reaches the dispatcher."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.products: list[Product] = []

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - torch's protocol
        del types
        outputs = func(*args, **(kwargs or {}))
        if func in _CONVOLUTIONS:
            inputs, weight, padding = args[0], args[1], args[4]
            binary_input = is_binary(inputs) and not any(padding)  # the dispatcher pads with zeros
            macs = outputs[0].numel() * weight[0].numel()
            self.products.append(Product(macs, weight.numel(), binary_input, is_binary(weight)))
        elif func in _LINEARS:
            inputs, weight = args[-2:]
            macs = inputs.shape[1] * weight.shape[1]
            self.products.append(Product(macs, weight.numel(), is_binary(inputs), is_binary(weight)))
        elif func in _BATCHED:  # a convolution written as unfolded patches times filters, say; one batch entry an image
            inputs, weight = args[-2:]
            macs = inputs.shape[1] * weight[0].numel()
            self.products.append(Product(macs, weight[0].numel(), is_binary(inputs), is_binary(weight)))
        return outputs


@dataclass(frozen=True)
class Audit:
    """What ran in one forward pass in evaluation.

    Attributes:
        products: In order of execution.
    """

    products: tuple[Product, ...]

    @property
    def binary(self) -> tuple[Product, ...]:
        """Products of two binary operands."""
        return tuple(product for product in self.products if product.binary_input and product.binary_weight)

    @property
    def real(self) -> tuple[Product, ...]:
        """Products with a real operand."""
        return tuple(product for product in self.products if not (product.binary_input and product.binary_weight))

    @property
    def bops(self) -> int:
        """Binary multiply-accumulates for one image."""
        return sum(product.macs for product in self.binary)

    @property
    def flops(self) -> int:
        """Multiply-accumulates with a real operand for one image."""
        return sum(product.macs for product in self.real)


def audit(network: nn.Module, images: Tensor) -> Audit:
    """Run `network` on `images` (N, C, H, W) in evaluation and report every product it computed.

    The operands are looked at where torch dispatches them, so neither a class's name nor a declared precision counts.
    """
    was_training = network.training
    network.eval()
    recorder = _Recorder()
    try:
        with torch.no_grad(), recorder:
            network(images)
    finally:
        network.train(was_training)
    return Audit(tuple(recorder.products))
