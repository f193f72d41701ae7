"""Every search strategy by discovery, under limits on costs: nothing that breaks one is suggested or ranked, and searches end."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from nas_service.arm_costs import arm_costs, format_of, quantity
from nas_service.constraints import CountedImage
from nas_service.search.history import Sample, derived_random
from nas_service.search.liveness import draw_uniform, possible_arms, region_of
from nas_service.search.loop import Evaluation, run_search
from nas_service.search.strategy import STRATEGIES, Strategy
from search_spaces.cost import FULL_PRECISION, Cost, Precision
from search_spaces.genotype import Genotype
from search_spaces.network import network_cost
from search_spaces.space import SPACES, ZEROISE, CellType, Role, SearchSpace, connect_all

IMAGE = format_of(CountedImage(channels=3, height=16, width=16, classes=10))
BINARY = Precision(weight_bits=1, activation_bits=1, scales_per_output=1)
TINY, MINI = SPACES.get("tiny"), SPACES.get("abandit-mini")
CUT = replace(TINY, edges=connect_all(nodes=2, operations=(ZEROISE, "skip", "max-pool-3x3", "dilated-conv-3x3")))
EVERY_STRATEGY = pytest.mark.parametrize("name", STRATEGIES.names())
LAYERS = replace(
    SPACES.get("nas-bnn"),
    cell_types=(CellType("a", required=True), CellType("b"), CellType("c", Role.REDUCTION, required=True), CellType("d")),
    edges=connect_all(nodes=1, operations=("mobile-conv-3x3", "wide-mobile-grouped-conv-5x5", "skip", "max-pool-3x3")),
    cells=4,
)
SEARCHED = {"tiny": TINY, "abandit-mini": MINI, "with zeroise": CUT, "layers": LAYERS}
EVERY_SPACE = pytest.mark.parametrize("space", SEARCHED.values(), ids=SEARCHED)
SHARES = (0.01, 0.2)


def _drawn(space: SearchSpace, count: int = 400) -> list[Genotype]:
    region, arms = region_of(space), possible_arms(space)
    return [Genotype(space.name, draw_uniform(region, arms, 7, (number,))) for number in range(count)]


@cache
def _costs(space: SearchSpace) -> list[Cost]:
    return [network_cost(space, genotype, IMAGE, BINARY) for genotype in _drawn(space)]


def _most(space: SearchSpace, names: Sequence[str], share: float) -> dict[str, float]:
    """Return limits each of which a share of the architectures keeps."""
    return {name: float(np.quantile([quantity(cost, name) for cost in _costs(space)], share)) for name in names}


def _keeps(space: SearchSpace, genotype: Genotype, most: dict[str, float]) -> bool:
    """Return whether the network's own cost is within the limits: what the service stores, not the sum over arms."""
    cost = network_cost(space, genotype, IMAGE, BINARY)
    assert space.parse(genotype.to_dict()) == genotype
    return all(quantity(cost, name) <= limit for name, limit in most.items())


def _strategy(name: str, space: SearchSpace, most: dict[str, float], seed: int = 0) -> Strategy:
    more = {"abandit-plus": {"samples": 80, "abandon_below": 0.02}, "screen-and-train": {"trainings": 5, "fidelity": 0.1}}
    settings = more.get(name, {})
    return STRATEGIES.get(name).from_settings(space, settings, seed, None, arm_costs(space, IMAGE, BINARY).limits(most))


class _Bench:
    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> list[Evaluation]:
        """Larger is better, so that every strategy wants what it may not have."""
        del first_index
        rewards = [0.5 + 0.4 * sum("conv" in key.operation for key in each.choices) / len(each.choices) for each in genotypes]
        return [Evaluation(reward, 1.0, diverged=False, seconds=0.0, parent_reward=reward) for reward in rewards]


def _run(strategy: Strategy, wave: int = 1) -> tuple[Sample, ...]:
    return tuple(run_search(strategy, _Bench(), (), wave, lambda _: None))


@pytest.mark.diagonal
@EVERY_STRATEGY
@EVERY_SPACE
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("names", [("packed_bytes",), ("ops", "packed_bytes")], ids=["bytes", "two"])
def test_nothing_that_breaks_a_limit_is_suggested_or_ranked(
    name: str, space: SearchSpace, share: float, names: tuple[str, ...]
) -> None:
    most = _most(space, names, share)
    history = _run(strategy := _strategy(name, space, most))
    assert len(history) == strategy.total or name == "abandit-plus"  # which ends early where one architecture is left
    assert [sample.genotype.digest for sample in history if not _keeps(space, sample.genotype, most)] == []
    for length in (1, len(history) // 2, len(history)):
        ranked = strategy.rank(history[:length], 5)
        assert ranked
        assert [entry for entry in ranked if not _keeps(space, entry.genotype, most)] == []


@pytest.mark.diagonal
@EVERY_STRATEGY
@EVERY_SPACE
def test_waves_and_a_fresh_object_keep_the_limits_alike(name: str, space: SearchSpace) -> None:
    most = _most(space, ("packed_bytes",), 0.2)
    history = _run(_strategy(name, space, most), wave=5)
    assert all(_keeps(space, sample.genotype, most) for sample in history)
    for length in range(0, len(history), 7):
        begun, fresh = _strategy(name, space, most), _strategy(name, space, most)
        begun.suggest(history[: length // 2], 3)
        assert fresh.suggest(history[:length], 2) == begun.suggest(history[:length], 2)
        assert fresh.arms(history[:length]) == begun.arms(history[:length])
        assert fresh.rank(history[:length], 3) == begun.rank(history[:length], 3)


@pytest.mark.diagonal
@EVERY_STRATEGY
@EVERY_SPACE
def test_limits_that_everything_keeps_change_nothing(name: str, space: SearchSpace) -> None:
    assert _run(_strategy(name, space, {"parameters": 1e12})) == _run(_strategy(name, space, {}))


@EVERY_STRATEGY
def test_an_arm_that_nothing_within_the_limits_holds_is_never_pulled_and_counts_as_abandoned(name: str) -> None:
    """A little above the smallest: on no edge there is room for a convolution."""
    costs = arm_costs(TINY, IMAGE, BINARY)
    least = costs.span(TINY, "packed_bytes")[0]
    strategy = _strategy(name, TINY, {"packed_bytes": least + 1})
    for arm in strategy.arms(_run(strategy)):
        if "conv" in arm.key.operation:
            assert (arm.pulls, arm.mean, arm.abandoned_round) == (0, None, 0)
        else:
            assert arm.abandoned_round != 0


@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize("precision", [BINARY, FULL_PRECISION], ids=["binary", "full"])
def test_the_cost_of_an_architecture_is_the_sum_of_its_arms(name: str, precision: Precision) -> None:
    space = SPACES.get(name)
    costs = arm_costs(space, IMAGE, precision)
    for genotype in _drawn(space, 20):
        total = costs.base
        for key in genotype.choices:
            total += costs.more[key]
        assert total == network_cost(space, genotype, IMAGE, precision)


@pytest.mark.few(3)
@pytest.mark.diagonal
@pytest.mark.parametrize("name", ["abandit-general", "cp-nas", "nas-bnn"])
@pytest.mark.parametrize("share", [0.01, 0.3])
@pytest.mark.parametrize("strategy", STRATEGIES.names())
def test_large_spaces_under_limits(name: str, share: float, strategy: str) -> None:
    space = SPACES.get(name)
    most = _most(space, ("ops", "packed_bytes"), share)
    made = _strategy(strategy, space, most)
    history: tuple[Sample, ...] = ()
    for _ in range(12):
        history = (*history, *_evaluated(made, history))
    assert all(_keeps(space, sample.genotype, most) for sample in history)


def _evaluated(strategy: Strategy, history: tuple[Sample, ...]) -> list[Sample]:
    first = len(history)
    genotypes = strategy.suggest(history, 4)
    rewards = [derived_random(3, genotype.digest).random() for genotype in genotypes]
    return [
        Sample(first + place, genotype, reward, reward)
        for place, (genotype, reward) in enumerate(zip(genotypes, rewards, strict=True))
    ]


def test_limits_are_exact_to_the_byte() -> None:
    """A limit is kept by what costs exactly as much, and not by what costs a byte more."""
    costs = arm_costs(TINY, IMAGE, BINARY)
    genotype = _drawn(TINY, 1)[0]
    size = network_cost(TINY, genotype, IMAGE, BINARY).packed_bytes
    assert costs.limits({"packed_bytes": size}).fits(genotype.choices)
    assert not costs.limits({"packed_bytes": size - 1}).fits(genotype.choices)
