"""Fair shares: whose job is started next, and whose makes room. Pure: rows in, a decision out; it remembers nothing.

What is shared are places: how many jobs may be at work at once. Who has fewer comes first, then who had them for less time
lately. Where all places are taken, a job makes room for an owner who has fewer, once its own owner had places for a whole turn
longer, or the other had none lately; and for one who has none at all when it has been at work for a whole turn. A job that makes
room goes back to its place in the queue, and on later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rules:
    """What is shared.

    Attributes:
        places: Jobs that may be at work at once.
        owner_jobs: Of one owner; 0: any number.
        turn_s: Seconds that an owner may be ahead of another before its jobs make room.
    """

    places: int
    owner_jobs: int = 0
    turn_s: float = 600.0


@dataclass(frozen=True)
class Waiting:
    """The job that is next of its owner's: of the highest priority the oldest."""

    id: str
    priority: int = 0


@dataclass(frozen=True)
class Placed:
    """A job that has a place.

    Attributes:
        id: Of it.
        priority: Of it.
        ran_s: Seconds that it has been at work in this turn.
        is_leaving: Whether its place is free soon.
        may_leave: Whether it can make room without losing more than it may.
    """

    id: str
    priority: int = 0
    ran_s: float = 0.0
    is_leaving: bool = False
    may_leave: bool = True


@dataclass(frozen=True)
class Standing:
    """How an owner stands.

    Attributes:
        owner: None: whoever was not asked for a key.
        used_s: Seconds for which places were this owner's lately, all its jobs together.
        placed: Jobs with a place.
        head: That is next; None: none waits.
    """

    owner: str | None
    used_s: float
    placed: tuple[Placed, ...] = ()
    head: Waiting | None = None


def next_start(standings: Sequence[Standing], rules: Rules) -> Waiting | None:
    """Return the job that is to be started now, if one is."""
    if sum(len(standing.placed) for standing in standings) >= rules.places:
        return None
    first = _first(standings, rules)
    return None if first is None else first.head


def next_leave(standings: Sequence[Standing], rules: Rules) -> Placed | None:
    """Return the job that is to make room now, if one is: for another owner, or for one of a higher priority of its own."""
    later = _when_left(standings, rules)
    if sum(len(standing.placed) for standing in later) >= rules.places:
        found = _for_another(later, rules)
        if found is not None:
            return found
    return next((found for standing in later if (found := _for_its_own(standing, later, rules)) is not None), None)


def _order(standing: Standing) -> tuple[int, float, str]:
    return len(standing.placed), standing.used_s, "" if standing.head is None else standing.head.id


def _first(standings: Sequence[Standing], rules: Rules) -> Standing | None:
    """Return who comes first of those who wait and may have one more."""
    able = [one for one in standings if one.head is not None and not 0 < rules.owner_jobs <= len(one.placed)]
    return min(able, key=_order, default=None)


def _when_left(standings: Sequence[Standing], rules: Rules) -> list[Standing]:
    """Return how all stand when those who leave have left, and others have their places."""
    later = [replace(one, placed=tuple(job for job in one.placed if not job.is_leaving)) for one in standings]
    free = rules.places - sum(len(one.placed) for one in later)
    for _ in range(free):
        first = _first(later, rules)
        if first is None or first.head is None:
            break
        begun = Placed(first.head.id, first.head.priority, may_leave=False)
        later[later.index(first)] = replace(first, placed=(*first.placed, begun), head=None)
    return later


def _for_another(standings: Sequence[Standing], rules: Rules) -> Placed | None:
    """Return what leaves for the owner that comes first."""
    first = _first(standings, rules)
    if first is None:
        return None
    having_more = [one for one in standings if len(one.placed) > len(first.placed) and any(job.may_leave for job in one.placed)]
    ahead = [
        one
        for one in having_more
        if one.used_s > first.used_s and (first.used_s == 0 or one.used_s - first.used_s >= rules.turn_s)
    ]
    if ahead:
        return _least(max(ahead, key=_order))
    if first.placed:
        return None
    long = [replace(one, placed=tuple(job for job in one.placed if job.ran_s >= rules.turn_s)) for one in having_more]
    able = [(_order(one), left) for one, had in zip(having_more, long, strict=True) if (left := _least(had)) is not None]
    return max(able, key=lambda entry: entry[0])[1] if able else None


def _for_its_own(standing: Standing, standings: Sequence[Standing], rules: Rules) -> Placed | None:
    """Return what leaves for a job of a higher priority of the same owner, if no other owner would take the place."""
    found = _least(standing)
    if standing.head is None or found is None or found.priority >= standing.head.priority:
        return None
    left = replace(standing, placed=tuple(job for job in standing.placed if job is not found))
    return found if _first([left if one is standing else one for one in standings], rules) is left else None


def _least(standing: Standing) -> Placed | None:
    """Return which of an owner's jobs makes room: of the lowest priority the one that has been at work for least."""
    able = [job for job in standing.placed if job.may_leave]
    return min(able, key=lambda job: (job.priority, job.ran_s), default=None)
