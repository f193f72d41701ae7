"""What an actor of a search does, without Ray."""

import pytest
import torch

from nas_service.specs import SearchSpec
from tests.samples import digits, random_genotype
from workers.delivery import Delivery
from workers.supernet_worker import SupernetWorker, build_search, pick_device

SPEC = SearchSpec.model_validate({"space": "tiny", "evaluation": {"max_steps": 2, "validation_images": 50}})


def test_a_sample_leaves_the_shared_weights_as_they_are() -> None:
    worker = SupernetWorker(SPEC.model_dump(mode="json"), Delivery(digits().without_test()))
    before = worker.weights().split()
    evaluation, trained = worker.evaluate(0, random_genotype(build_search(SPEC)[0].space, 1))
    after = worker.weights().split()
    assert all(torch.equal(before[name], after[name]) for name in before)
    changed = trained.split()
    assert changed.keys() <= before.keys()
    assert any(not torch.equal(before[name], changed[name]) for name in changed)
    assert not evaluation.diverged


def test_a_worker_that_trains_from_scratch_shares_nothing() -> None:
    recipe = {"epochs": 4, "max_steps_per_epoch": 2}
    spec = {"space": "tiny", "strategy": "screen-and-train", "evaluation": {"own": {"recipe": recipe}}}
    worker = SupernetWorker(SearchSpec.model_validate(spec).model_dump(mode="json"), Delivery(digits().without_test()))
    assert worker.weights().split() == {}
    worker.load(worker.weights())
    genotype = random_genotype(build_search(SPEC)[0].space, 1)
    (first, weights), (again, _) = worker.evaluate(0, genotype), worker.evaluate(7, genotype)
    assert weights.split() == {}
    assert (first.reward, first.steps) == (again.reward, 2)


def test_a_gpu_that_torch_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than training on the processor for days."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device(0.0) == torch.device("cpu")
    with pytest.raises(RuntimeError, match="a GPU was asked for, but torch sees none here"):
        pick_device(0.5)
