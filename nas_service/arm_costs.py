"""What every arm of a space costs, and the limits on architectures that follow from limits on costs.

The cost of a network of cells, counted from its description, is the sum of what its arms cost and of what all architectures
have, so a space is counted once, one arm at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nas_service.constraints import ATTACKED, CountedImage
from nas_service.search.aims import Aims
from nas_service.search.limits import Limits
from nas_service.search.liveness import nearest, possible_arms, region_of
from search_spaces.cost import Cost, Precision, Size
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.network import ImageFormat, network_cost
from search_spaces.space import SearchSpace


def counted_image(image: ImageFormat) -> CountedImage:
    """Return what of a format costs depend on."""
    return CountedImage(channels=image.channels, height=image.size.height, width=image.size.width, classes=image.classes)


def format_of(image: CountedImage) -> ImageFormat:
    """Return a format as far as costs depend on it: mean and std cost nothing."""
    nothing = (0.0,) * image.channels
    return ImageFormat(image.channels, Size(image.height, image.width), image.classes, nothing, (1.0,) * image.channels)


def quantity(cost: Cost | Mapping[str, float], name: str) -> float:
    """Return one of `constraints.QUANTITIES` of a cost, or of one as it is stored."""
    figures = cost.to_dict() if isinstance(cost, Cost) else cost
    return figures["binary_parameters"] + figures["float_parameters"] if name == "parameters" else figures[name]


@dataclass(frozen=True, eq=False)
class ArmCosts:
    """What the arms of a space cost.

    Attributes:
        base: Of an architecture with the first arm at every place.
        more: What every arm costs more than the first one at its place; less is negative.
    """

    base: Cost
    more: Mapping[Choice, Cost]

    def span(self, space: SearchSpace, name: str, limits: Limits | None = None) -> tuple[float, float]:
        """Return what the cheapest and the dearest live architecture of the space take of a quantity, of those within limits.

        Raises:
            InvalidFieldError: If none keeps the limits.
        """
        ends, region, arms = [], region_of(space, limits), possible_arms(space, limits)
        for direction in (-1.0, 1.0):
            found = nearest(region, arms, [[direction * quantity(self.more[key], name) for key in keys] for keys in arms])
            ends.append(quantity(self.base, name) + sum(quantity(self.more[key], name) for key in found or ()))
        return ends[0], ends[1]

    def limits(self, most: Mapping[str, float]) -> Limits:
        """Return limits on quantities, by name."""
        costs = {key: tuple(quantity(cost, name) for name in most) for key, cost in self.more.items()}
        return Limits(costs, tuple(figure - quantity(self.base, name) for name, figure in most.items()))

    def aims(self, space: SearchSpace, names: Sequence[str], limits: Limits | None) -> Aims:
        """Return the objectives of these names beside the reward, among architectures within limits.

        Raises:
            InvalidFieldError: If a cost is the same for all of them.
        """
        traded = [name for name in names if name != ATTACKED]
        ends = tuple(self.span(space, name, limits) for name in traded)
        for name, (least, most) in zip(traded, ends, strict=True):
            if least == most:
                raise InvalidFieldError(
                    f"objectives.{names.index(name)}", name, f"a cost that differs: here all have {most:,.15g}"
                )
        costs = {key: tuple(quantity(cost, name) for name in traded) for key, cost in self.more.items()}
        return Aims(costs, tuple(quantity(self.base, name) for name in traded), ends, attacked=ATTACKED in names)


@lru_cache(maxsize=32)
def arm_costs(space: SearchSpace, image: ImageFormat, precision: Precision) -> ArmCosts:
    """Count what the arms of a space cost."""
    first = [Choice(cell.name, edge.name, edge.operations[0]) for cell in space.cell_types for edge in space.edges]
    base, more = network_cost(space, Genotype(space.name, tuple(first)), image, precision), {}
    for place, held in enumerate(first):
        for key in (key for key in space.arms() if key[:2] == held[:2]):
            other = Genotype(space.name, (*first[:place], key, *first[place + 1 :]))
            more[key] = network_cost(space, other, image, precision) - base
    return ArmCosts(base, more)
