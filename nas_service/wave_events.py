"""What a wave changed, told as events: samples, means, rounds that ended, arms that were dropped, and a new best sample."""

import json
from collections.abc import Iterator, Mapping, Sequence

from nas_service.job_events import (
    AbandonedArm,
    AbandonedTold,
    BestTold,
    ChangedLeader,
    ChangedMean,
    JobEvent,
    RoundTold,
    WaveTold,
)
from nas_service.search.bandit import Arm
from nas_service.search.loop import Wave
from nas_service.search.rounds import leading


def thousandths(mean: float | None) -> int | None:
    """Return a mean in whole thousandths of its unit."""
    return None if mean is None else round(1000 * mean)


def told_of_wave(
    wave: Wave, before: Sequence[Arm], after: Sequence[Arm], ended: Mapping[int, int] | None = None
) -> Iterator[JobEvent]:
    """Yield the events of a wave, in order.

    Args:
        wave: With the history that ends with it.
        before: Every arm before the wave, in the space's order; empty if there were no samples.
        after: The same after it.
        ended: Rounds that the wave ended, and the samples that were committed then; left out: those in which arms were dropped,
            at the end of the wave.
    """
    yield _samples_of(wave, before, after)
    dropped: dict[int, list[AbandonedArm]] = {}
    for position, arm in enumerate(after):
        round_ = arm.abandoned_round
        if round_ and (not before or before[position].abandoned_round is None):
            dropped.setdefault(round_, []).append(_abandoned(position, arm))
    ends = dict.fromkeys(dropped, len(wave.history)) if ended is None else ended
    for round_, samples in sorted(ends.items()):
        yield RoundTold(round=round_, samples=samples)
        if round_ in dropped:
            yield AbandonedTold(round=round_, samples=samples, arms=tuple(dropped[round_]))
    whole = [sample for sample in wave.history if sample.fidelity == 1]  # scores of short trainings are their own
    earlier = max((sample.reward for sample in whole if sample.index < wave.samples[0].index), default=None)
    best = max((sample for sample in whole if sample.index >= wave.samples[0].index), key=lambda one: one.reward, default=None)
    if best is not None and (earlier is None or best.reward > earlier):
        yield BestTold(index=best.index, reward=best.reward, digest=best.genotype.digest)


def _samples_of(wave: Wave, before: Sequence[Arm], after: Sequence[Arm]) -> WaveTold:
    positions = {arm.key: position for position, arm in enumerate(after)}
    was, now = [thousandths(arm.mean) for arm in before or ()], [thousandths(arm.mean) for arm in after]
    changed: list[ChangedMean] = [
        (position, mean) for position, mean in enumerate(now) if mean != (was[position] if was else None)
    ]
    is_short = _length(changed) <= _length(now)
    fidelities = tuple(sample.fidelity for sample in wave.samples)
    return WaveTold(
        first=wave.samples[0].index,
        samples=len(wave.history),
        rewards=tuple(sample.reward for sample in wave.samples),
        fidelities=None if set(fidelities) == {1.0} else fidelities,
        seconds=tuple(round(evaluation.seconds, 3) for evaluation in wave.evaluations),
        pulled=tuple(tuple(positions[key] for key in sample.genotype.choices) for sample in wave.samples),
        means=tuple(changed) if is_short else None,
        all_means=None if is_short else tuple(now),
        leading=_leaders_of(before, after),
    )


def _leaders_of(before: Sequence[Arm], after: Sequence[Arm]) -> tuple[ChangedLeader, ...]:
    was, now = leading(before), leading(after)
    return tuple((place, position) for place, position in enumerate(now) if position != (was[place] if was else None))


def _length(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))


def _abandoned(position: int, arm: Arm) -> AbandonedArm:
    key = arm.key
    return AbandonedArm(
        position=position,
        cell=key.cell,
        edge=key.edge,
        operation=key.operation,
        pulls=arm.pulls,
        mean=arm.mean,
        lower=arm.lower,
        upper=arm.upper,
    )
