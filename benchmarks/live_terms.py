"""What each method's own terms and parameters do by default, with Adam and with SGD: `python -m benchmarks.live_terms`.

Every method trains the same convolution-rich network (`conv_rich.py`) and is watched (`watched_terms.py`); beside it runs the
same training with a learning rate larger by a factor of 1 + 1e-5: where two runs that ought to be one agree on so many signs, a
change that a term makes means something only if it is larger. Prints the rows, and writes a page with them.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.conditions import conditions
from benchmarks.conv_rich import CONV_RICH, SPACE
from benchmarks.watched_terms import AFTER, Watch, watched
from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS, Method
from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_method, build_space
from nas_service.checking.datasets import open_dataset
from nas_service.data.dataset import ImageDataset
from nas_service.recipes.acceleration import PLAIN
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.settings import Settings
from nas_service.specs import Component, MethodChoice
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.latent_figures import flip_ratio, signs
from search_spaces.network import CellStack, Network
from search_spaces.space import SearchSpace

RATES = {OptimizerName.ADAM: 0.005, OptimizerName.SGD: 0.1}  # the shared recipe's, and the usual one
NUDGE = 1 + 1e-5
PAGE = Path(__file__).parent / "results" / "live_terms.md"


@dataclass(frozen=True)
class Course:
    """How all methods train.

    Attributes:
        space: With its width.
        dataset: Its training and validation parts.
        optimizer: Its rate is of `RATES`.
        epochs: How many.
        every: Steps from one probe to the next.
    """

    space: SearchSpace
    dataset: ImageDataset
    optimizer: OptimizerName
    epochs: int
    every: int = 5

    def recipe(self, nudge: float = 1.0) -> Recipe:
        """Return the recipe, its learning rate times `nudge`."""
        rate = RATES[self.optimizer] * nudge
        return Recipe(epochs=self.epochs, optimizer=self.optimizer, learning_rate=rate, acceleration=PLAIN)

    def build(self, method: Method) -> Network:
        """Return the network with fresh weights of a method."""
        return binary_network(self.space, CONV_RICH, method, self.dataset.image_format)

    def teacher(self) -> CellStack:
        """Return the trained full-precision network."""
        trainer = FullPrecisionPlan(self.space, CONV_RICH, self.recipe(), "").trainer(self.dataset, torch.device("cpu"))
        for _ in trainer.fit():
            pass
        return trainer.network

    def trainer(self, method: Method, seed: int, teacher: CellStack | None, nudge: float = 1.0) -> CandidateTrainer:
        """Return what trains the network with a method."""
        plan = CandidatePlan(self.space, CONV_RICH, method, self.recipe(nudge), seed)
        return CandidateTrainer(plan, self.dataset, torch.device("cpu"), teacher)


@dataclass(frozen=True)
class Sight:
    """What was seen of one method with one optimizer and one seed.

    Attributes:
        terms: By name, the median share of the norm of the task's gradient.
        moved: By parameter, how far it moved, relative to its start.
        flips: Of every epoch, the share of signs that it changed.
        validation: Accuracy after the last.
        signs: Of every layer, after the last.
    """

    terms: Mapping[str, float]
    moved: Mapping[str, float]
    flips: list[float]
    validation: float
    signs: list[Tensor]


def look(course: Course, method: Method, seed: int, teacher: CellStack | None) -> Sight:
    """Train with a method and say what its terms and parameters did."""
    watch = Watch(course.every)
    trainer = course.trainer(watched(method, watch, course.build), seed, teacher)
    reports = list(trainer.fit())
    return Sight(
        watch.terms,
        watch.moved,
        [report.flip_ratio for report in reports],
        reports[-1].validation_accuracy,
        signs(binary_layers([trainer.network])),
    )


def agreement(course: Course, method: Method, seed: int, teacher: CellStack | None, seen: Sight) -> float:
    """Return the share of signs that a training agrees on with itself at the nudged learning rate."""
    trainer = course.trainer(method, seed, teacher, NUDGE)
    for _ in trainer.fit():
        pass
    return 1 - flip_ratio(seen.signs, signs(binary_layers([trainer.network])))


@dataclass(frozen=True)
class Row:
    """One method with one optimizer: the sights of all seeds, and the agreement of each with its control."""

    method: str
    optimizer: OptimizerName
    sights: list[Sight]
    agreements: list[float]

    def text(self) -> str:
        """Return the row in Markdown: medians over the seeds for terms and parameters, means for the rest."""
        declared = {entry.name for entry in METHODS.get(self.method).inert if self.optimizer in entry.optimizers}
        epochs = zip(*(sight.flips for sight in self.sights), strict=True)
        cells = [
            f"`{self.method}`",
            self.optimizer.value,
            _figures([sight.terms for sight in self.sights], declared),
            _figures([sight.moved for sight in self.sights], declared),
            ", ".join(f"{100 * statistics.fmean(flips):.1f}" for flips in epochs),
            f"{statistics.fmean(sight.validation for sight in self.sights):.3f}",
            f"{statistics.fmean(self.agreements):.3f}",
        ]
        return "| " + " | ".join(cells) + " |"


def _figures(found: list[Mapping[str, float]], declared: set[str]) -> str:
    """Return the median over the seeds of every figure in per cent, with a star where the method says that it is inert."""
    names = list(found[0])
    values = [statistics.median(each[name] for each in found) for name in names]
    parts = [f"{name} {100 * value:.2g}{'*' * (name in declared)}" for name, value in zip(names, values, strict=True)]
    return ", ".join(parts) or "-"


HEADINGS = (
    "method",
    "optimizer",
    "terms, % of the task's gradient",
    "parameters, % moved",
    "signs flipped by epoch, %",
    "validation",
    "signs as the control's",
)


def page(head: str, command: str, rows: list[Row]) -> str:
    """Return the page with its table."""
    table = "\n".join(["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|", *(row.text() for row in rows)])
    return f"""# What the methods' own terms do

Every method in its default configuration on the convolution-rich network of `benchmarks/conv_rich.py`, digits, batch 64, cosine;
Adam at {RATES[OptimizerName.ADAM]}, SGD with Nesterov momentum at {RATES[OptimizerName.SGD]}.

- A term is a loss of the method's own, or what it adds in the backward pass: the norm of its gradient on all latent weights over
  that of the task's, the median over the probes (every fifth step). "{AFTER}" is no gradient: how far the method moves the
  latent weights after a step, in per cent of the step.
- A parameter's way is relative to where it started; one that starts at 0 has the root of its mean square.
- A star: the method says itself that this hardly acts by default, and why (`Method.inert`, in the catalogue).
- The control is the same training with a learning rate larger by a factor of 1 + 1e-5.

```
{command}
```

{head}

{table}

`tests/contracts/test_live_methods.py` draws its lines at 0.1 % for a term or a way, and at 1 % for the signs that flip in the
first epoch. Methods without a term of their own take and derive signs in a way of their own, which no figure here shows; the
derivative through XNOR-Net's scale is a part of the task's gradient. Few images and few seeds: accuracies tell what trains, not
what is best.
"""


def rows_of(arguments: argparse.Namespace) -> Iterator[Row]:
    """Train and yield the rows as they are done."""
    space = build_space(Component(name=SPACE, settings={"channels": arguments.channels}))
    dataset = open_dataset(Component(name="digits"), Settings())
    teachers: dict[OptimizerName, CellStack] = {}
    for name in arguments.methods:
        method = build_method(MethodChoice(name=name))
        for optimizer in map(OptimizerName, arguments.optimizers):
            course = Course(space, dataset, optimizer, arguments.epochs)
            if method.facts.needs_teacher and optimizer not in teachers:
                teachers[optimizer] = course.teacher()
            teacher = teachers.get(optimizer) if method.facts.needs_teacher else None
            sights = [look(course, method, seed, teacher) for seed in range(arguments.seeds)]
            controls = [agreement(course, method, seed, teacher, sight) for seed, sight in enumerate(sights)]
            yield Row(name, optimizer, sights, controls)


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=METHODS.names(), help="names")
    parser.add_argument("--optimizers", nargs="*", default=[name.value for name in OptimizerName], help="adam, sgd")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--channels", type=int, default=16, help="width of a node in the first cells")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each method with each optimizer")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the table is written")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started, rows = time.perf_counter(), []
    sizes = f"--epochs {arguments.epochs} --channels {arguments.channels} --seeds {arguments.seeds}"
    for row in rows_of(arguments):
        rows.append(row)
        print(row.text(), flush=True)
        minutes = (time.perf_counter() - started) / 60
        head = f"{conditions()}; {sizes.replace('--', '')}; 1 thread; {minutes:.1f} minutes in all"
        arguments.page.write_text(page(head, f"python -m benchmarks.live_terms {sizes}", rows))  # whole after every row


if __name__ == "__main__":
    main()
