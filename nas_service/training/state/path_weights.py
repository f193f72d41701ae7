"""Copies of a path's weights, taken and put back as a whole.

A path has hundreds of small parameters. Copying, moving and checking each by itself costs a kernel and, off the CPU, a
wait for each; laid end to end they are one block of memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class PathWeights:
    """A copy of named parameters, float32, on their device.

    Attributes:
        values: All elements end to end, (sum of sizes,), each parameter in the order that it has in memory.
        named: The parameters' values: parts of `values` in the parameters' shapes and strides.
    """

    values: Tensor
    named: Weights

    @classmethod
    def of(cls, parameters: Mapping[str, nn.Parameter]) -> "PathWeights":
        """Copy `parameters`, of which there is at least one."""
        tensors = [parameter.detach() for parameter in parameters.values()]
        values = torch.empty(sum(tensor.numel() for tensor in tensors), dtype=tensors[0].dtype, device=tensors[0].device)
        parts, start = [], 0
        for tensor in tensors:
            parts.append(values.as_strided(tensor.shape, tensor.stride(), start))
            start += tensor.numel()
        copy_all(parts, tensors)
        return cls(values, dict(zip(parameters, parts, strict=True)))

    def finite(self) -> Tensor:
        """Return whether every value is finite, a scalar on the device."""
        return self.values.isfinite().all()


def copy_all(targets: list[Tensor], sources: list[Tensor]) -> None:
    """Copy each of `sources` into its target, in place: in one kernel where they are alike in type, strides and device."""
    with torch.no_grad():
        torch._foreach_copy_(targets, sources)
