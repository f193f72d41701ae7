"""The same space, the same evaluation and the same number of trainings: two samplers of Optuna beside two strategies of ours.

Optuna comes with `make setup`.
"""

import optuna
import torch

from nas_service.checking.datasets import open_dataset
from nas_service.search.liveness import places
from nas_service.search.loop import run_search
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from search_spaces.genotype import Choice, Genotype
from workers.supernet_worker import build_search, build_trainer

TRIALS = 8  # each a training from scratch of two epochs: the same steps for everybody
CAVEAT = f"""{TRIALS} trials, one seed, one small space: this shows how to compare, not who is better. Differences of a few
points are noise: one validation image of 360 is 0.003. For comparisons over many seeds see docs/controls.md and
benchmarks/results/equal_compute.md."""


def spec_of(strategy: str, seed: int) -> SearchSpec:
    """Return the search that everybody carries out."""
    component = {"name": strategy, "settings": {"samples": TRIALS}}
    evaluation = {"own": {"recipe": {"epochs": 2}}}
    fields = {"space": "tiny", "method": "bnn", "strategy": component, "evaluation": evaluation, "seed": seed}
    return SearchSpec.model_validate(fields)


def evaluator_of(seed: int) -> LocalEvaluator:
    """Return what trains an architecture with this seed and tells its validation accuracy."""
    spec = spec_of("random", seed)
    data = open_dataset(spec.dataset, Settings()).without_test()
    return LocalEvaluator(build_trainer(spec, data, torch.device("cpu")))


def by_strategy(name: str) -> tuple[Genotype, float]:
    """Return what one of our strategies picks, and what it thinks of it."""
    strategy = build_search(spec_of(name, 0))[1]
    best = strategy.rank(run_search(strategy, evaluator_of(0), (), 1, lambda _: None), 1)[0]
    return best.genotype, best.score


def by_sampler(sampler: optuna.samplers.BaseSampler) -> tuple[Genotype, float]:
    """Return what a sampler of Optuna picks; an operation on an edge is a category."""
    space, evaluator, seen = build_search(spec_of("random", 0))[1].space, evaluator_of(0), dict[int, Genotype]()

    def train(trial: optuna.Trial) -> float:
        choices = [
            Choice(*keys[0][:2], trial.suggest_categorical(f"{keys[0].cell} {keys[0].edge}", [key.operation for key in keys]))
            for keys in places(space)
        ]
        seen[trial.number] = Genotype(space.name, tuple(choices))
        return evaluator.evaluate(trial.number, [seen[trial.number]])[0].reward

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(train, n_trials=TRIALS)
    return seen[study.best_trial.number], study.best_trial.values[0]


if __name__ == "__main__":
    torch.set_num_threads(1)  # part of what makes results repeat
    found = {name: by_strategy(name) for name in ("abandit-plus", "random")}
    found["optuna TPE"] = by_sampler(optuna.samplers.TPESampler(n_startup_trials=4, seed=0))
    found["optuna random"] = by_sampler(optuna.samplers.RandomSampler(seed=0))
    judge = evaluator_of(1)  # a seed that no search has seen: the best of a few is partly luck
    print(f"{'searched by':16}{'in the search':>14}{'trained anew':>14}")
    for name, (genotype, score) in found.items():
        print(f"{name:16}{score:14.3f}{judge.evaluate(0, [genotype])[0].reward:14.3f}")
    print(CAVEAT)
