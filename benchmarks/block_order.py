"""Which order of layers a cell's binary block should have: `python -m benchmarks.block_order`.

Trains methods in blocks of several templates on convolution-rich architectures, several seeds each, all with one recipe, and
reads every trained network twice: with the moving averages that batch norm kept while it trained, and with statistics that are
re-estimated from training images (`Recipe.norm_batches`). Prints a line a training, then the page, which it writes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import combinations, product
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.compare_methods import first_genotype
from benchmarks.conditions import conditions
from benchmarks.conv_rich import CONV_RICH, SPACE
from nas_service.binarization.method import METHODS
from nas_service.catalogue import build_method, build_space
from nas_service.checking.datasets import open_dataset
from nas_service.data.loader import ResidentPart
from nas_service.recipes.acceleration import PLAIN
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.settings import Settings
from nas_service.specs import Component, MethodChoice
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import accuracy
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES

PAGE = Path(__file__).parent / "results" / "block_order.md"
TEMPLATES = ("shortcut", "bi-real", "double-norm")
RATES = {OptimizerName.ADAM: 0.005, OptimizerName.SGD: 0.1}
FEW_SKIPS: Genotype = SPACES.get(SPACE).genotype(
    {
        ("a", "0-1"): "dilated-conv-3x3",
        ("a", "0-2"): "dilated-conv-3x3",
        ("a", "1-2"): "dilated-conv-3x3",
        ("b", "0-1"): "dilated-conv-3x3",
        ("b", "0-2"): "max-pool-3x3",
        ("b", "1-2"): "dilated-conv-3x3",
    }
)
DEEP = "abandit-general"
ARCHITECTURES = {  # the last one's cells are six and have sixty edges
    "conv-rich": CONV_RICH,
    "few-skips": FEW_SKIPS,
    "deep": first_genotype(SPACES.get(DEEP), 0),
}


@dataclass(frozen=True)
class Course:
    """One training; crosses processes."""

    template: str
    architecture: str
    method: str
    optimizer: OptimizerName
    seed: int
    epochs: int
    channels: int
    dataset: str

    def trainer(self) -> CandidateTrainer:
        """Return what trains it; batch norm keeps its moving averages."""
        genotype = ARCHITECTURES[self.architecture]
        space = build_space(Component(name=genotype.space, settings={"channels": self.channels, "template": self.template}))
        recipe = Recipe(
            epochs=self.epochs,
            optimizer=self.optimizer,
            learning_rate=RATES[self.optimizer],
            norm_batches=0,
            acceleration=PLAIN,
        )
        method = build_method(MethodChoice(name=self.method))
        plan = CandidatePlan(space, genotype, method, recipe, self.seed)
        return CandidateTrainer(plan, open_dataset(Component(name=self.dataset), Settings()), torch.device("cpu"))


@dataclass(frozen=True)
class Outcome:
    """What came of one training.

    Attributes:
        course: Which.
        averaged: Validation accuracy with the moving averages, after every epoch.
        estimated: The same with statistics re-estimated.
        test: Test accuracy with statistics re-estimated, after the last.
        seconds: It took.
    """

    course: Course
    averaged: tuple[float, ...]
    estimated: tuple[float, ...]
    test: float
    seconds: float


def train(course: Course) -> Outcome:
    """Train, and read the network twice after every epoch."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    trainer = course.trainer()
    tested = open_dataset(Component(name=course.dataset), Settings()).test
    if tested is None:
        raise SystemExit(f"{course.dataset} has no test part")
    test = ResidentPart.of(tested, torch.device("cpu"))
    averaged, estimated, last = list[float](), list[float](), 0.0
    for report in trainer.fit():
        averaged.append(report.validation_accuracy)
        kept = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
        trainer.reestimate_norms(Recipe().norm_batches)
        estimated.append(accuracy(trainer.network, trainer.bench.validation))
        if len(averaged) == course.epochs:
            last = accuracy(trainer.network, test)
        trainer.network.load_state_dict(kept)
    return Outcome(course, tuple(averaged), tuple(estimated), last, time.perf_counter() - started)


def courses_of(arguments: argparse.Namespace) -> list[Course]:
    """Return every training, seeds last, so that a table that is cut short compares like with like."""
    order = product(range(arguments.seeds), arguments.optimizers, arguments.architectures, arguments.methods, arguments.templates)
    return [
        Course(
            template,
            architecture,
            method,
            OptimizerName(optimizer),
            seed,
            arguments.epochs,
            arguments.channels,
            arguments.dataset,
        )
        for seed, optimizer, architecture, method, template in order
    ]


def run_all(courses: list[Course], processes: int) -> Iterator[Outcome]:
    """Yield what came of every training, as they finish."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for task in as_completed([pool.submit(train, course) for course in courses]):
            yield task.result()


def _mean(values: list[float]) -> str:
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{spread}" if values else "-"


def table(outcomes: list[Outcome], templates: list[str], rows: Callable[[Course], tuple[str, ...]], head: tuple[str, ...]) -> str:
    """Return mean test accuracies ± standard deviation over all trainings of a row and a template, per cent."""
    keys = sorted({rows(outcome.course) for outcome in outcomes})
    lines = ["| " + " | ".join((*head, *(f"`{name}`" for name in templates), "trainings")) + " |"]
    lines.append("|" + "---|" * (len(head) + len(templates) + 1))
    for key in keys:
        group = [outcome for outcome in outcomes if rows(outcome.course) == key]
        cells = [_mean([outcome.test for outcome in group if outcome.course.template == name]) for name in templates]
        lines.append("| " + " | ".join((*key, *cells, str(len(group) // len(templates)))) + " |")
    return "\n".join(lines)


def pairs_table(outcomes: list[Outcome], templates: list[str]) -> str:
    """Return the differences between templates over trainings that are alike in all else, in points of test accuracy."""
    lines = ["| optimizer | difference | pairs | mean ± standard error | above 0 | equal |", "|---|---|---|---|---|---|"]
    for optimizer, (left, right) in product(sorted({one.course.optimizer for one in outcomes}), combinations(templates, 2)):
        tests = {one.course: one.test for one in outcomes if one.course.optimizer == optimizer}
        others = [(test, tests.get(replace(course, template=left))) for course, test in tests.items() if course.template == right]
        gains = [100 * (test - other) for test, other in others if other is not None]
        if len(gains) > 1:
            told = f"{statistics.fmean(gains):.1f} ± {statistics.stdev(gains) / len(gains) ** 0.5:.1f}"
            counts = f"{sum(gain > 0 for gain in gains)} | {gains.count(0)}"
            lines.append(f"| {optimizer.value} | `{right}` less `{left}` | {len(gains)} | {told} | {counts} |")
    return "\n".join(lines)


def norms_table(outcomes: list[Outcome], templates: list[str]) -> str:
    """Return validation accuracies with both kinds of statistics after the first, a middle and the last epoch."""
    epochs = len(outcomes[0].averaged)
    shown = sorted({0, epochs // 2, epochs - 1})
    head = [f"epoch {epoch + 1}, {kind}" for epoch in shown for kind in ("moving", "re-estimated")]
    lines = ["| template | optimizer | " + " | ".join(head) + " |", "|" + "---|" * (2 + len(head))]
    for template, optimizer in product(templates, sorted({outcome.course.optimizer for outcome in outcomes})):
        group = [one for one in outcomes if (one.course.template, one.course.optimizer) == (template, optimizer)]
        cells = [_mean([figures[epoch] for figures in kind]) for epoch in shown for kind in _both(group)]
        lines.append(f"| `{template}` | {optimizer.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _both(group: list[Outcome]) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    return [outcome.averaged for outcome in group], [outcome.estimated for outcome in group]


def page(head: str, outcomes: list[Outcome], templates: list[str]) -> str:
    """Return the page in Markdown."""
    return f"""# The order of layers in a cell's block

Test accuracy, per cent, mean ± standard deviation; statistics of batch norm re-estimated.

{head}

## All

{table(outcomes, templates, lambda one: (one.optimizer.value,), ("optimizer",))}

## Pair by pair

{pairs_table(outcomes, templates)}

## By architecture

{table(outcomes, templates, lambda one: (one.architecture, one.optimizer.value), ("architecture", "optimizer"))}

## By method

{table(outcomes, templates, lambda one: (f"`{one.method}`", one.optimizer.value), ("method", "optimizer"))}

## Moving averages or re-estimated statistics

Validation accuracy, per cent, mean ± standard deviation over methods, architectures and seeds.

{norms_table(outcomes, templates)}
"""


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    taught = [name for name in METHODS.names() if not METHODS.get(name).from_settings({}).facts.needs_teacher]
    parser.add_argument("--methods", nargs="*", default=taught, help="names; those that need a teacher are left out")
    parser.add_argument("--optimizers", nargs="*", default=[name.value for name in OptimizerName], help="adam, sgd")
    parser.add_argument("--templates", nargs="*", default=list(TEMPLATES))
    parser.add_argument("--architectures", nargs="*", default=["conv-rich", "few-skips"], choices=list(ARCHITECTURES))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16, help="width of a node in the first cells")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the tables are written")
    arguments = parser.parse_args()
    started, outcomes, courses = time.perf_counter(), list[Outcome](), courses_of(arguments)
    for outcome in run_all(courses, arguments.processes):
        outcomes.append(outcome)
        one = outcome.course
        place = f"{one.template}, {one.architecture}, {one.method}, {one.optimizer.value}, seed {one.seed}"
        figures = f"{outcome.averaged[-1]:.3f}, re-estimated {outcome.estimated[-1]:.3f}, test {outcome.test:.3f}"
        print(f"{len(outcomes)} of {len(courses)}: {place}: validation {figures}, {outcome.seconds:.0f} s", flush=True)
    sizes = f"{arguments.epochs} epochs, {arguments.channels} channels, {arguments.seeds} seeds, {arguments.dataset}"
    minutes = (time.perf_counter() - started) / 60
    head = f"{conditions()}; {sizes}; {arguments.processes} at once; {minutes:.1f} minutes in all"
    arguments.page.write_text(page(head, outcomes, arguments.templates))
    print(arguments.page.read_text())


if __name__ == "__main__":
    main()
