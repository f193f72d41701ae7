"""Choice: what a search hands to its training, of what it keeps, and the controls beside it. No SQL, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.arm_costs import arm_costs, quantity
from nas_service.job_events import TrainingChosen
from nas_service.search.control import Control
from nas_service.search.controls import TOLERANCE, Costs, Drawn, draw_controls
from nas_service.search.spread import spread
from nas_service.search.strategy import Ranked, Strategy
from nas_service.specs import SearchTraining
from search_spaces.cost import Precision
from search_spaces.network import ImageFormat

LIKE = ("ops", "parameters")  # the quantities in which costs are alike


@dataclass(frozen=True)
class Choice:
    """What is trained.

    Attributes:
        places: Of the chosen among what is ranked, from 0.
        controls: Random architectures that are trained beside them.
        told: Both in numbers.
    """

    places: tuple[int, ...]
    controls: tuple[Drawn, ...]
    told: TrainingChosen


def choose(
    training: SearchTraining, strategy: Strategy, ranked: Sequence[Ranked], image: ImageFormat, precision: Precision
) -> Choice:
    """Return what is trained of `ranked`, which are one or more, best first; costs are counted for an image and a precision."""
    genotypes = [entry.genotype for entry in ranked]
    chosen, drawn = spread(genotypes, training.top_k), list[Drawn]()
    if training.controls:
        counted = arm_costs(strategy.space, image, precision)
        base = tuple(quantity(counted.base, name) for name in LIKE)
        costs = Costs(base, {key: tuple(quantity(cost, name) for name in LIKE) for key, cost in counted.more.items()})
        taken = [genotypes[place] for place in chosen.places]
        # of a Pareto set the first is no more than the best compromise
        pick = max(chosen.places, key=lambda place: ranked[place].score) if strategy.aims else 0
        drawn = draw_controls(strategy, training.controls, genotypes[pick], costs, taken)
    alike = [one for one in drawn if one.control is Control.LIKE_COST]
    told = TrainingChosen(
        ranks=tuple(place + 1 for place in chosen.places),
        apart=chosen.apart,
        uniform=len(drawn) - len(alike),
        like_cost=len(alike),
        within=sum(one.apart <= TOLERANCE for one in alike),
    )
    return Choice(chosen.places, tuple(drawn), told)
