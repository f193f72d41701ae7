"""Controls in a spec: what is refused by its field, and random search as a control at equal steps."""

from pathlib import Path
from typing import Any

import pytest

from nas_service.capacity import Capacity
from nas_service.catalogue import search_strategy
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.specs import Place, check_search
from nas_service.errors import InvalidInputError
from nas_service.specs import SearchSpec

HERE = Place(Capacity(cpus=2, gpus=0), DatasetSource(Path(), {}))


def _checked(**given: Any) -> SearchSpec:  # noqa: ANN401 - fields of a spec
    return check_search({"space": "tiny", "method": "bnn", **given}, HERE).spec


def _refused(**given: Any) -> list[str]:  # noqa: ANN401 - fields of a spec
    with pytest.raises(InvalidInputError) as caught:
        _checked(**given)
    return [problem.field for problem in caught.value.problems]


def test_there_are_none_unless_somebody_asks() -> None:
    training = _checked(training={"methods": ["bnn"]}).training
    assert training is not None
    assert (training.controls, training.architectures) == (0, 1)


def test_a_space_of_one_architecture_has_none() -> None:
    assert _refused(space="resnet-20", training={"methods": ["bnn"], "controls": 2}) == ["training.controls"]
    assert _checked(space="resnet-20", training={"methods": ["bnn"]}).training is not None


def test_controls_count_among_the_candidates_of_a_training() -> None:
    """A training has 1,000 at most: with 100 seeds ten architectures."""
    seeds = list(range(100))
    assert _refused(keep=5, training={"methods": ["bnn"], "seeds": seeds, "top_k": 5, "controls": 6}) == ["training.methods"]
    assert _checked(keep=5, training={"methods": ["bnn"], "seeds": seeds, "top_k": 5, "controls": 5}).training is not None


@pytest.mark.parametrize("trainings", [8, 12])
def test_random_search_of_whole_trainings_takes_the_steps_of_a_search_of_as_many(trainings: int) -> None:
    """Both are counted in whole trainings: what `screen-and-train` spends at most, random search spends whole."""
    own = {"recipe": {"epochs": 12}}
    random = _checked(strategy={"name": "random", "settings": {"samples": trainings}}, evaluation={"own": own})
    chosen = _checked(strategy={"name": "screen-and-train", "settings": {"trainings": trainings}}, evaluation={"own": own})
    spent = [_whole_trainings(spec) for spec in (random, chosen)]
    assert spent[0] == trainings
    assert trainings - 0.1 < round(spent[1], 9) <= trainings
    for spec in (random, chosen):
        assert spec.evaluation.own is not None


def _whole_trainings(spec: SearchSpec) -> float:
    strategy = search_strategy(spec, None)
    return sum(strategy.fidelity(index) for index in range(strategy.total))
