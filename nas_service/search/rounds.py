"""Rounds: when they end, and what the arms were like then. Pure; a strategy says when (`Strategy.round_ends`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.search.bandit import Arm
from nas_service.search.history import History
from nas_service.search.strategy import Strategy

KEPT = 300  # tables of a search whose arms are costly


@dataclass(frozen=True)
class EndedRound:
    """A round that is over.

    Attributes:
        number: From 1.
        samples: Committed when it ended.
    """

    number: int
    samples: int


@dataclass(frozen=True)
class Snapshot:
    """Every arm as it was once.

    Attributes:
        samples: Committed then.
        round: The one that ended then, from 1; None between rounds.
        arms: In the space's order.
    """

    samples: int
    round: int | None
    arms: tuple[Arm, ...]


def ended_rounds(strategy: Strategy, before: int, after: int) -> tuple[EndedRound, ...]:
    """Return the rounds that ended while the number of samples grew from `before` to `after`, in order."""
    ends = strategy.round_ends(after)
    return tuple(EndedRound(number, end) for number, end in enumerate(ends, start=1) if end > before)


def arms_to_keep(strategy: Strategy, history: History, before: int) -> tuple[tuple[Arm, ...], tuple[Snapshot, ...]]:
    """Return the arms after `history`, and those to be kept since there were `before` samples.

    Kept are the ends of rounds. Where it is costly to work out arms again, about `KEPT` of the tables that are worked out
    anyway are kept too, evenly spread.
    """
    count, ended = len(history), {entry.samples: entry.number for entry in ended_rounds(strategy, before, len(history))}
    kept = [Snapshot(end, number, strategy.arms(history[:end])) for end, number in ended.items() if end < count]
    arms = strategy.arms(history)
    step = -(-strategy.total // KEPT)
    if count in ended or (strategy.is_costly and count // step > before // step):
        kept.append(Snapshot(count, ended.get(count), arms))
    return arms, tuple(kept)


def total_rounds(strategy: Strategy) -> int | None:
    """Return how many rounds a search that takes all its samples has; None where a strategy has none."""
    return len(strategy.round_ends(strategy.total)) or None


def leading(arms: Sequence[Arm]) -> tuple[int | None, ...]:
    """Return for every edge of every cell the position of its live arm with the largest mean, the first of equals.

    None where no live arm of an edge has a mean yet.

    Args:
        arms: Every arm in the space's order.
    """
    best: dict[tuple[str, str], int | None] = {}
    for position, arm in enumerate(arms):
        held = best.setdefault(arm.key[:2], None)
        if arm.abandoned_round is None and arm.mean is not None:
            rival = None if held is None else arms[held].mean
            if rival is None or arm.mean > rival:
                best[arm.key[:2]] = position
    return tuple(best.values())


def abandoned_in(arms: Sequence[Arm], number: int) -> tuple[int, ...]:
    """Return the positions of the arms that were dropped at the end of a round."""
    return tuple(position for position, arm in enumerate(arms) if arm.abandoned_round == number)
