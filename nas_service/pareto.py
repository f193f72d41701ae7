"""Pareto fronts: which pairs of a comparison no other one beats in accuracy and cost at once. No SQL, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.comparison import AttackConditions, ComparedPair
from nas_service.search.aims import undominated
from nas_service.terms import FrontAccuracy, FrontCost

Place = tuple[str, str]  # method and architecture


@dataclass(frozen=True)
class Front:
    """The pairs that no other pair beats, among those whose accuracies were measured alike.

    Attributes:
        accuracy: Mean test accuracy, clean or under every attack.
        cost: Mean cost.
        attack: How the accuracies under attack were measured; None for clean ones.
        members: Method and architecture of each, the cheapest first; equal ones are all there.
        left_out: Method and architecture of the pairs that have no such accuracy, or one that was measured in another way.
    """

    accuracy: FrontAccuracy
    cost: FrontCost
    attack: AttackConditions | None
    members: tuple[Place, ...]
    left_out: tuple[Place, ...]


def fronts(pairs: Sequence[ComparedPair]) -> list[Front]:
    """Return the fronts of a comparison: clean ones, and one for each way in which pairs were attacked."""
    attacks = dict.fromkeys(pair.attack for pair in pairs if pair.attack is not None)
    found = [_front(pairs, FrontAccuracy.CLEAN, cost, None) for cost in FrontCost] if pairs else []
    return found + [_front(pairs, FrontAccuracy.ATTACKED, cost, attack) for attack in attacks for cost in FrontCost]


def _front(pairs: Sequence[ComparedPair], accuracy: FrontAccuracy, cost: FrontCost, attack: AttackConditions | None) -> Front:
    measured: list[tuple[ComparedPair, float]] = []
    left_out: list[Place] = []
    for pair in pairs:
        value = pair.test_mean if attack is None else pair.attacked_mean if pair.attack == attack else None
        if value is None:
            left_out.append((pair.method, pair.architecture))
        else:
            measured.append((pair, value))
    points = [(value, -float(pair.ops if cost is FrontCost.OPS else pair.packed_bytes)) for pair, value in measured]
    found = sorted(undominated(points), key=lambda place: -points[place][1])
    members = tuple((measured[place][0].method, measured[place][0].architecture) for place in found)
    return Front(accuracy, cost, attack, members, tuple(left_out))
