"""A search that trades accuracy under attack, with real trainings and without Ray: the same however it is cut off."""

from pathlib import Path

import torch

from nas_service.catalogue import search_strategy
from nas_service.checking.specs import check_search
from nas_service.search.history import Sample
from nas_service.search.loop import Wave, run_search
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from tests.nas_service.checking.test_constraints import HERE
from tests.samples import digits
from workers.supernet_worker import build_trainer

RECIPE = {"epochs": 2, "batch_size": 128, "max_steps_per_epoch": 2, "norm_batches": 1, "adversarial": {}}
BODY = {
    "space": "tiny",
    "method": "bnn",
    "strategy": {"name": "screen-and-train", "settings": {"trainings": 5, "fidelity": 0.5}},
    "evaluation": {"own": {"recipe": RECIPE}},
    "objectives": ["attacked_accuracy", "packed_bytes"],
}
DATA = digits(Path()).without_test()


def test_what_is_measured_under_attack_drives_the_search_and_is_told_and_a_restart_repeats_it() -> None:
    spec = check_search(BODY, HERE).spec

    def run(history: tuple[Sample, ...], waves: list[Wave]) -> tuple[Sample, ...]:
        evaluator = LocalEvaluator(build_trainer(spec, DATA, torch.device("cpu")))
        return tuple(run_search(search_strategy(spec, None), evaluator, history, 2, waves.append))

    waves: list[Wave] = []
    history = run((), waves)
    assert all(sample.attacked is not None for sample in history)
    assert run(tuple(waves[-2].history), []) == history
    told = search_strategy(spec, None).rank(history, 5)
    stood = [sample.attacked or 0.0 for sample in history if sample.fidelity == 1]
    assert told
    assert all(entry.attacked is not None and min(stood) <= entry.attacked <= max(stood) for entry in told)
