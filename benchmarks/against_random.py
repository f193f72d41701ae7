"""Does a search beat chance? `python -m benchmarks.against_random`.

One search without Ray or a database, then its winner and random architectures of like cost, all trained with one recipe and the
same seeds, and all attacked alike if `--eps` is above 0. "Like cost" is OPs within `--tolerance` of the winner's: a random
architecture of another size would be compared by its size. Reported is the test accuracy, and the share of test images that
stand every attack of the suite; the last lines say how the winner stands against the random ones, as it is. It is one winner of
one search: n = 1 in what the search does, whatever the number of training seeds.
"""

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.conditions import conditions
from nas_service.binarization.method import Method
from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.checking.datasets import open_dataset
from nas_service.data.dataset import ImageDataset
from nas_service.data.loader import ResidentPart
from nas_service.recipes.adversarial import AdversarialSearch, AdversarialTraining, RobustnessSettings
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.search.loop import run_search
from nas_service.settings import Settings
from nas_service.specs import Component
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import accuracy
from nas_service.training.scoring.robustness import measure_robustness
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from nas_service.training.supernet.parent_child import path_trainer
from nas_service.training.supernet.trainer import SupernetPlan
from search_spaces.genotype import Genotype
from search_spaces.network import network_cost
from search_spaces.space import SearchSpace

_DRAWS = 2000


class Setting(NamedTuple):
    """What is searched and trained, on what."""

    space: SearchSpace
    method: Method
    dataset: ImageDataset
    device: torch.device
    eps: float


class Figures(NamedTuple):
    """Of one trained network, in [0, 1]; `worst` is None without attacks."""

    test: float
    worst: float | None


def find_winner(setting: Setting, strategy: str, seed: int) -> Genotype:
    """Search and return the strategy's pick."""
    chosen = build_strategy(Component(name=strategy), setting.space, seed)
    adversarial = AdversarialSearch(eps=setting.eps) if setting.eps else None
    plan = SupernetPlan(setting.space, setting.method, EvaluationSettings(adversarial=adversarial), seed, chosen.total)
    trainer = path_trainer(plan, setting.dataset.without_test(), setting.device, with_parent=chosen.needs_parent)
    return chosen.rank(run_search(chosen, LocalEvaluator(trainer), (), 1, lambda _: None), 1)[0].genotype


def operations(setting: Setting, genotype: Genotype) -> float:
    """Return OPs of one image."""
    return network_cost(setting.space, genotype, setting.dataset.image_format, setting.method.facts.precision).ops


def alike(setting: Setting, winner: Genotype, tolerance: float) -> Iterator[Genotype]:
    """Yield random architectures whose OPs are within `tolerance` of the winner's.

    Raises:
        RuntimeError: If too few are.
    """
    target = operations(setting, winner)
    drawn = build_strategy(Component(name="random", settings={"samples": _DRAWS}), setting.space, 1).suggest((), _DRAWS)
    for genotype in drawn:
        if genotype != winner and abs(operations(setting, genotype) / target - 1) <= tolerance:
            yield genotype
    raise RuntimeError(f"too few of {_DRAWS} random architectures have OPs within {tolerance:.0%} of {target:,.0f}")


def train(setting: Setting, genotype: Genotype, recipe: Recipe, seed: int) -> Figures:
    """Train one network, attack it if that is wanted, and return its figures on the test images."""
    plan = CandidatePlan(setting.space, genotype, setting.method, recipe, seed)
    trainer = CandidateTrainer(plan, setting.dataset, setting.device)
    for report in trainer.fit():
        report.require_finite()
    test = setting.dataset.test
    assert test is not None  # noqa: S101 - for the type checker; it was loaded whole
    clean = accuracy(trainer.network, ResidentPart.of(test, setting.device))
    if not setting.eps:
        return Figures(clean, None)
    lesson = FullPrecisionPlan(setting.space, genotype, recipe, "").trainer(setting.dataset, setting.device)
    for _ in lesson.fit():
        pass
    settings = RobustnessSettings(eps=setting.eps, restarts=1)
    robustness = measure_robustness(trainer.network, lesson.network, test, settings, seed)
    return Figures(clean, robustness.worst)


def _row(name: str, cost: float, figures: list[Figures]) -> str:
    cells = [_spread([entry.test for entry in figures])]
    worst = [entry.worst for entry in figures if entry.worst is not None]
    cells.append(_spread(worst) if worst else "-")
    return f"| {name} | {cost:,.0f} | {' | '.join(cells)} |"


def _spread(shares: list[float]) -> str:
    spread = f" ± {100 * statistics.stdev(shares):.2f}" if len(shares) > 1 else ""
    return f"{100 * statistics.fmean(shares):.2f}{spread}"


def _verdict(name: str, winner: list[float], others: list[list[float]]) -> str:
    means = [statistics.fmean(entry) for entry in others]
    difference = statistics.fmean(winner) - statistics.fmean(means)
    spread = f" (their spread: {100 * statistics.stdev(means):.2f})" if len(means) > 1 else ""
    beaten = sum(statistics.fmean(winner) > mean for mean in means)
    stands = f"{100 * difference:+.2f} points from the mean of the random ones{spread}"
    return f"{name}: the winner is {stands}, above {beaten} of {len(means)}"


def main() -> None:
    """Search, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="abandit-general")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--method", default="xnor-net")
    parser.add_argument("--strategy", default="abandit")
    parser.add_argument("--genotype", type=Path, help="genotype.json of a winner that is there already")
    parser.add_argument("--random", type=int, default=3, help="random architectures")
    parser.add_argument("--seeds", type=int, default=3, help="training seeds of each")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--eps", type=float, default=0.0, help="of adversarial search, training and attacks; 0: none")
    parser.add_argument("--tolerance", type=float, default=0.1, help="of OPs")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    space = build_space(Component(name=given.space))
    dataset = open_dataset(Component(name=given.dataset), Settings())
    setting = Setting(space, build_method(Component(name=given.method)), dataset, torch.device(given.device), given.eps)
    if given.genotype is None:
        winner = find_winner(setting, given.strategy, 0)
    else:
        winner = space.parse(Genotype.from_json(given.genotype.read_text()).to_dict())
    recipe = Recipe(epochs=given.epochs, adversarial=AdversarialTraining(eps=given.eps) if given.eps else None)
    print(f"{conditions()}; {vars(given)}\n")
    print("| architecture | OPs | test, % | stands all attacks, % |")
    print("|---|---|---|---|")
    found = []
    others = alike(setting, winner, given.tolerance)
    for name, genotype in [("winner", winner), *((f"random {number + 1}", next(others)) for number in range(given.random))]:
        found.append([train(setting, genotype, recipe, seed) for seed in range(given.seeds)])
        print(_row(name, operations(setting, genotype), found[-1]), flush=True)
    print()
    print(_verdict("test", [entry.test for entry in found[0]], [[entry.test for entry in group] for group in found[1:]]))
    if given.eps:
        worst = [[entry.worst or 0.0 for entry in group] for group in found]
        print(_verdict("all attacks", worst[0], worst[1:]))


if __name__ == "__main__":
    main()
