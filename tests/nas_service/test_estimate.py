"""Estimates before a search starts."""

import pytest

from nas_service.catalogue import Capacity
from nas_service.estimate import estimate_search
from nas_service.specs import SearchSpec
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.space import SPACES
from search_spaces.supernet import Supernet
from tests.samples import digits

HERE = Capacity(cpus=2, gpus=0)


def _estimate(seconds: list[float], **spec: object) -> dict[str, object]:
    return estimate_search(SearchSpec.model_validate({"space": "tiny", **spec}), digits().facts, HERE, seconds)


def test_samples_epochs_and_arms_are_counted() -> None:
    estimate = _estimate([])
    assert (estimate["samples"], estimate["arms"], estimate["genotypes"]) == (18, 18, "729")
    assert estimate["epochs"] == pytest.approx(9)  # 18 samples of half an epoch
    assert (estimate["seconds"], estimate["seconds_from"]) == (None, 0)


def test_steps_that_are_cut_short_are_counted_as_such() -> None:
    estimate = _estimate([], evaluation={"max_steps": 2, "batch_size": 50})
    assert estimate["epochs"] == pytest.approx(18 * 100 / 1078)


def test_the_time_is_that_of_samples_that_ran_shared_by_the_actors() -> None:
    assert _estimate([1.0, 3.0])["seconds"] == pytest.approx(36)
    assert _estimate([1.0, 3.0], wave=2)["seconds"] == pytest.approx(18)


def test_parameters_are_those_of_a_built_supernet() -> None:
    supernet = Supernet(SPACES.get("tiny"), FullPrecisionConv(), digits().image_format)
    parameters = sum(parameter.numel() for parameter in supernet.parameters())
    assert _estimate([], method="bnn")["supernet_parameters"] == parameters
