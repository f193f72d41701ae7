"""Supernet: the shared weights of every operation on every edge; a path sampled from it is one network."""

from torch import Tensor, nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.genotype import Genotype
from search_spaces.network import Cell, CellStack, ImageFormat
from search_spaces.space import SearchSpace


class Supernet(CellStack):
    """All operations on all edges of all cells; a forward pass runs through those of one genotype.

    Cells of one type share the genotype, not the weights: each cell has its own.
    """

    def __init__(self, space: SearchSpace, conv: ConvFactory, image: ImageFormat) -> None:
        """Build every operation that `space` allows."""
        super().__init__(space, conv, image, lambda _, edge: edge.operations)

    def forward(self, images: Tensor, genotype: Genotype) -> Tensor:
        """Map pixels in [0, 1] (N, C, H, W) to logits (N, classes) along the path of `genotype`."""
        logits: Tensor = self.classifier(self.features(images, genotype))
        return logits

    def path(self, genotype: Genotype) -> list[nn.Module]:
        """Return the modules that a forward pass of `genotype` runs through, stem, hidden layers and classifier included."""
        modules: list[nn.Module] = [self.stem, self.head_norm, *self.hidden, self.classifier]
        for cell, cell_type in zip(self.cells, self.cell_types, strict=True):
            assert isinstance(cell, Cell)  # noqa: S101 - for the type checker; built so in CellStack
            modules.extend(cell.path(lambda edge, cell_type=cell_type: genotype.operation(cell_type, edge)))  # type: ignore[misc]
        return modules

    def path_parameters(self, genotype: Genotype) -> dict[str, nn.Parameter]:
        """Return the parameters that training the path of `genotype` touches, by name."""
        touched = {id(parameter) for module in self.path(genotype) for parameter in module.parameters()}
        return {name: parameter for name, parameter in self.named_parameters() if id(parameter) in touched}
