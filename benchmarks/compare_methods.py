"""Every binarization method on one architecture, with one recipe: `python -m benchmarks.compare_methods`.

Needs neither Ray nor a database. Network, data, order of images, augmentation and budget are the same for all methods; what
differs is the method, and the seeds give the spread. Accuracies are those of the frozen network as it stands in the bundle.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.conditions import conditions
from nas_service.binarization.method import METHODS
from nas_service.candidate import CandidateRun, TrainingRun
from nas_service.catalogue import build_method, build_recipe, build_space, build_strategy
from nas_service.checking.datasets import open_dataset
from nas_service.recipes.recipe import Recipe
from nas_service.settings import Settings
from nas_service.specs import Component, MethodChoice
from nas_service.tasks import CandidateTask
from nas_service.training.candidate.full_precision import FullPrecisionPlan, load_network
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class Setting:
    """What all methods share; crosses processes."""

    space: str
    channels: int
    dataset: str
    data_root: str
    genotype_seed: int
    recipe: dict[str, Any]
    device: str

    @property
    def component(self) -> Component:
        """The space with its settings."""
        return Component(name=self.space, settings={"channels": self.channels})

    def genotype(self) -> Genotype:
        """Return the one architecture, drawn at random from its seed."""
        return first_genotype(build_space(self.component), self.genotype_seed)


def first_genotype(space: SearchSpace, seed: int) -> Genotype:
    """Return the first path that a random search of `space` samples."""
    return build_strategy(Component(name="random"), space, seed).suggest((), 1)[0]


@dataclass(frozen=True)
class Outcome:
    """What came of one training."""

    method: str
    seed: int
    validation: float
    test: float
    seconds: float
    last: dict[str, Any]


def train_teacher(setting: Setting) -> tuple[bytes, float]:
    """Return the weights of the shared full-precision teacher and its validation accuracy."""
    torch.set_num_threads(1)
    dataset = open_dataset(Component(name=setting.dataset), Settings(data_root=Path(setting.data_root)))
    recipe = Recipe.model_validate(setting.recipe)
    plan = FullPrecisionPlan(build_space(setting.component), setting.genotype(), recipe, setting.dataset)
    run = TrainingRun(plan.trainer(dataset, torch.device(setting.device)))
    accuracy = [report.validation_accuracy for report in run.train()][-1]
    return run.weights(), accuracy


def train_one(setting: Setting, method: dict[str, Any], seed: int, teacher: bytes) -> Outcome:
    """Train, freeze, write the bundle, and measure what is in it."""
    torch.set_num_threads(1)
    choice = MethodChoice.model_validate(method)
    space, genotype = build_space(setting.component), setting.genotype()
    dataset = open_dataset(Component(name=setting.dataset), Settings(data_root=Path(setting.data_root)))
    recipe = build_recipe(Recipe.model_validate(setting.recipe), choice)
    task = CandidateTask(
        candidate_id="",
        space=setting.component,
        genotype=genotype,
        method=choice.component,
        dataset=Component(name=setting.dataset),
        recipe=recipe,
        seed=seed,
        bundled_test_bytes=0,
    )
    is_taught = recipe.distillation > 0 or build_method(choice).facts.needs_teacher
    lesson = load_network(space, genotype, None, dataset.image_format, teacher) if is_taught else None
    started = time.perf_counter()
    run = CandidateRun(task, dataset, torch.device(setting.device), lesson)
    reports = list(run.train())
    seconds = time.perf_counter() - started
    metrics = run.export(None).metrics
    accuracies = metrics.validation_accuracy, metrics.test_accuracy
    return Outcome(choice.name, seed, *accuracies, seconds, reports[-1].model_dump())


def run_all(setting: Setting, methods: list[dict[str, Any]], seeds: int, processes: int, teacher: bytes) -> Iterator[Outcome]:
    """Yield what came of every training, as they finish."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(train_one, setting, method, seed, teacher) for seed in range(seeds) for method in methods]
        for task in as_completed(tasks):
            yield task.result()


def table(outcomes: list[Outcome]) -> str:
    """Return the comparison as Markdown, best mean first."""
    lines = ["| method | test, mean % | spread | lowest | validation, mean % | seconds | sign flips in the last epoch % |"]
    lines.append("|---|---|---|---|---|---|---|")
    groups = {name: [entry for entry in outcomes if entry.method == name] for name in {entry.method for entry in outcomes}}
    for name, group in sorted(groups.items(), key=lambda item: -statistics.fmean(entry.test for entry in item[1])):
        tests = [100 * entry.test for entry in group]
        spread = f"{statistics.stdev(tests):.2f}" if len(tests) > 1 else "-"
        validation = 100 * statistics.fmean(entry.validation for entry in group)
        seconds = statistics.fmean(entry.seconds for entry in group)
        flips = 100 * statistics.fmean(entry.last["flip_ratio"] for entry in group)
        lines.append(
            f"| `{name}` | {statistics.fmean(tests):.2f} | {spread} | {min(tests):.2f} | {validation:.2f} "
            f"| {seconds:.0f} | {flips:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="tiny")
    parser.add_argument("--channels", type=int, default=48, help="width of a node in the first cells")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-root", default=".nas/data", help="where the data lie (digits are bundled)")
    parser.add_argument("--genotype-seed", type=int, default=0, help="seed of the shared architecture, drawn at random")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each method")
    parser.add_argument("--recipe", default='{"epochs": 20}', help="JSON of the recipe that all methods share")
    parser.add_argument("--methods", nargs="*", default=METHODS.names(), help='names, or JSON as {"name": "mcn", "settings": {}}')
    parser.add_argument("--processes", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    recipe = Recipe.model_validate_json(arguments.recipe).model_dump(mode="json")
    setting = Setting(
        arguments.space,
        arguments.channels,
        arguments.dataset,
        arguments.data_root,
        arguments.genotype_seed,
        recipe,
        arguments.device,
    )
    methods = [json.loads(text) if text.startswith("{") else {"name": text} for text in arguments.methods]
    print(f"{conditions()}; {json.dumps(asdict(setting))}; {arguments.seeds} seeds, {arguments.processes} at once\n")
    started = time.perf_counter()
    teacher, accuracy = train_teacher(setting)
    print(f"full-precision teacher: {100 * accuracy:.2f} % on validation, {time.perf_counter() - started:.0f} s", flush=True)
    outcomes = []
    for outcome in run_all(setting, methods, arguments.seeds, arguments.processes, teacher):
        outcomes.append(outcome)
        print(f"{outcome.method}, seed {outcome.seed}: test {100 * outcome.test:.2f} %, {outcome.seconds:.0f} s", flush=True)
    print(f"\n{table(outcomes)}\n\n{(time.perf_counter() - started) / 60:.1f} minutes in all")


if __name__ == "__main__":
    main()
