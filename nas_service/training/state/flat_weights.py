"""FlatWeights: many named tensors as one, so that they cross processes and reach files in one piece.

A supernet has thousands of small parameters. Handling each by itself costs more than moving the bytes: a checkpoint of
1,700 tensors (16 MB) took 72 ms to serialise and one of a single tensor takes 10 (2 cores, torch 2.13).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nas_service.training.state.checkpoint import Checkpoint


@dataclass(frozen=True)
class FlatWeights:
    """Float32 tensors laid end to end.

    Attributes:
        names: Of the tensors, in order.
        shapes: Of the tensors, in order.
        values: All elements, (sum of sizes,); an array, which Ray shares between processes without a copy.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    values: npt.NDArray[np.float32]

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> Self:
        """Lay tensors end to end and bring them to the CPU in one piece."""
        flat = torch.cat([tensor.reshape(-1) for tensor in weights.values()]) if weights else torch.empty(0)
        return cls(tuple(weights), tuple(tuple(tensor.shape) for tensor in weights.values()), flat.cpu().numpy())

    def split(self, device: torch.device | None = None) -> dict[str, Tensor]:
        """Return the tensors by name on `device`, the CPU unless given: parts of one copy of the values."""
        parts = torch.tensor(self.values, device=device).split([prod(shape) for shape in self.shapes]) if self.names else ()
        return {name: part.view(shape) for name, shape, part in zip(self.names, self.shapes, parts, strict=True)}

    def to_checkpoint(self) -> Checkpoint:
        """Return a checkpoint with one tensor."""
        facts: dict[str, Any] = {"names": list(self.names), "shapes": [list(shape) for shape in self.shapes]}
        return Checkpoint({"weights": torch.from_numpy(self.values)}, facts)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """Read what `to_checkpoint` wrote."""
        shapes = tuple(tuple(int(size) for size in shape) for shape in checkpoint.facts["shapes"])
        return cls(tuple(checkpoint.facts["names"]), shapes, checkpoint.tensors["weights"].numpy())
