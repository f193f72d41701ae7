"""Another search's samples, taken as a prior: which of them, and of which spaces."""

from collections import Counter
from dataclasses import dataclass, field

from nas_service.search.history import History, under_attack
from nas_service.search.liveness import places
from search_spaces.space import SearchSpace

MOST = 2000  # samples that are told: the model's work grows with their cube


@dataclass(frozen=True)
class PriorSearch:
    """Samples of another search.

    Attributes:
        space: That it searched.
        history: Its first samples, in order.
    """

    space: SearchSpace
    history: History = field(repr=False)

    @property
    def needed(self) -> int:
        """How many samples of one fidelity it takes: every arm of an edge about twice."""
        return 2 * self.space.arms_per_edge

    @property
    def fidelity(self) -> float | None:
        """The highest fidelity of which there are enough samples; None: there is none."""
        counts = Counter(sample.fidelity for sample in self.history)
        return max((fidelity for fidelity, count in counts.items() if count >= self.needed), default=None)

    @property
    def told(self) -> History:
        """The samples of that fidelity, the last ones of many."""
        fidelity = self.fidelity
        return tuple(sample for sample in self.history if sample.fidelity == fidelity)[-MOST:]

    @property
    def under_attack(self) -> "PriorSearch":
        """The same by accuracies under attack, if it was searched under attack; else as it is: its slope is learned anyway."""
        attacked = any(sample.attacked is not None for sample in self.history)
        return PriorSearch(self.space, under_attack(self.history)) if attacked else self


def are_alike(space: SearchSpace, other: SearchSpace) -> bool:
    """Return whether two spaces have the same kinds of cells with the same edges, in whatever order."""
    return sorted(order_of(space)) == sorted(order_of(other))


def common_operations(space: SearchSpace, other: SearchSpace) -> set[str]:
    """Return the operations that some edge has in both spaces."""
    known = set(other.arms())
    return {key.operation for key in space.arms() if key in known}


def order_of(space: SearchSpace) -> list[tuple[str, str]]:
    """Return kind of cell and edge of every place, in the space's order."""
    return [(keys[0].cell, keys[0].edge) for keys in places(space)]
