"""Specs from the command line."""

from typing import Any

from api.commands.searches import made_robust
from api.commands.specs import Given, make_robust


def test_a_robust_search_attacks_samples_training_and_candidates() -> None:
    spec: dict[str, Any] = {"space": "tiny", "training": {"methods": ["bnn"]}}
    make_robust(spec, 0.1)
    assert spec["evaluation"] == {"adversarial": {"eps": 0.1}}
    assert spec["training"]["recipe"] == {"adversarial": {"attack": "pgd", "eps": 0.1}}
    assert spec["training"]["robustness"] == {"eps": 0.1}


def test_an_option_goes_over_the_spec_and_a_default_under_it() -> None:
    spec: dict[str, Any] = {"evaluation": {"adversarial": {"attack": "free", "eps": 0.2}}}
    make_robust(spec, None)
    assert spec == {"evaluation": {"adversarial": {"attack": "free", "eps": 0.2}}}
    make_robust(spec, 0.1)
    assert spec == {"evaluation": {"adversarial": {"attack": "free", "eps": 0.1}}}


def test_without_training_nothing_is_trained() -> None:
    spec: dict[str, Any] = {}
    make_robust(spec, None)
    assert spec == {"evaluation": {"adversarial": {}}}


def test_an_eps_that_nothing_would_use_is_refused() -> None:
    (fault,) = made_robust(Given({}, ()), "0.1", adversarial=False).faults
    assert str(fault) == "--eps: '0.1' is not allowed; allowed: nothing without --adversarial"
