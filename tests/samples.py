"""Small inputs that many tests share."""

import random
from pathlib import Path

import torch
from torch import Tensor

from nas_service.data.dataset import DATASETS, ImageDataset
from search_spaces.cost import Size
from search_spaces.genotype import Choice, Genotype
from search_spaces.network import ImageFormat
from search_spaces.space import SPACES, SearchSpace

GREY_8 = ImageFormat(channels=1, size=Size(8, 8), classes=10, mean=(0.3,), std=(0.4,))
RGB_9 = ImageFormat(channels=3, size=Size(9, 11), classes=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.3))


def random_genotype(space: SearchSpace, seed: int = 0) -> Genotype:
    """Return a uniformly drawn genotype; one with a dead node is drawn again."""
    drawn = random.Random(seed)
    while True:
        choices = [
            Choice(cell.name, e.name, drawn.choice(space.allowed(cell, e))) for cell in space.cell_types for e in space.edges
        ]
        if space.dead_node(choices) is None:
            return space.genotype({(cell, edge): operation for cell, edge, operation in choices})


def tiny_genotype(operation: str = "dilated-conv-3x3") -> Genotype:
    """Return the genotype of `tiny` with one operation everywhere."""
    space = SPACES.get("tiny")
    return space.genotype({(cell.name, edge.name): operation for cell in space.cell_types for edge in space.edges})


def values_with_zeros(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Return normal values of which about one in eight is 0.0 and one in eight is -0.0."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*shape, generator=generator)
    kind = torch.randint(0, 8, shape, generator=generator)
    values[kind == 0] = 0.0
    values[kind == 1] = -0.0
    return values.to(dtype)


def digits(tmp_root: Path = Path()) -> ImageDataset:
    """Return the bundled digits."""
    return DATASETS.get("digits").from_settings({}).load(tmp_root)
