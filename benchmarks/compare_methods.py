"""Every binarization method on one architecture, with one recipe: `python -m benchmarks.compare_methods`.

Needs neither Ray nor a database. Network, data, order of images, augmentation and budget are the same for all methods; what
differs is the method, and the seeds give the spread. Accuracies are those of the frozen network as it stands in the bundle.
The architecture is the convolution-rich one of `conv_rich.py`, or with `--space` a reference network.

Every training is kept in the log as it ends, one seed of all methods before the next; a run with the same log goes on with what
is missing, so a long comparison may be interrupted.
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
from benchmarks.conv_rich import CONV_RICH, SPACE
from nas_service.binarization.method import METHODS
from nas_service.candidate import CandidateRun
from nas_service.catalogue import build_method, build_recipe, build_space, build_strategy
from nas_service.checking.datasets import open_dataset
from nas_service.recipes.recipe import Recipe
from nas_service.settings import Settings
from nas_service.specs import Component, MethodChoice
from nas_service.tasks import CandidateTask
from nas_service.training.candidate.full_precision import FullPrecisionPlan, load_network
from nas_service.training.candidate.run import TrainingRun
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES, SearchSpace
from search_spaces.template import TEMPLATES

WIDTH = 48  # of the convolution-rich architecture


@dataclass(frozen=True)
class Setting:
    """What all methods share; crosses processes."""

    space: str
    template: str
    channels: int | None
    dataset: str
    data_root: str
    recipe: dict[str, Any]
    device: str

    @property
    def component(self) -> Component:
        """The space with its settings."""
        channels = {} if self.channels is None else {"channels": self.channels}
        return Component(name=self.space, settings={**channels, "template": self.template})

    def genotype(self) -> Genotype:
        """Return the one architecture: the convolution-rich one, or the only one of a reference network's space."""
        space = build_space(self.component)
        if self.space == SPACE:
            return CONV_RICH
        if space.size() != 1:
            raise SystemExit(
                f"--space: {self.space!r} has {space.size()} architectures; allowed: {SPACE}, or a reference network"
            )
        return first_genotype(space, 0)


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
    lesson = load_network(space, genotype, None, dataset.image_format, teacher) if is_taught(setting, method) else None
    started = time.perf_counter()
    run = CandidateRun(task, dataset, torch.device(setting.device), lesson)
    reports = list(run.train())
    seconds = time.perf_counter() - started
    metrics = run.export(None).metrics
    accuracies = metrics.validation_accuracy, metrics.test_accuracy
    return Outcome(label_of(method), seed, *accuracies, seconds, reports[-1].model_dump())


def label_of(method: dict[str, Any]) -> str:
    """Return how a method is named in tables: its name, and what differs from its defaults."""
    choice = MethodChoice.model_validate(method)
    own = {"settings": choice.settings, "recipe": choice.recipe} if choice.settings or choice.recipe else {}
    return choice.name + (f" {json.dumps(own, sort_keys=True)}" if own else "")


def is_taught(setting: Setting, method: dict[str, Any]) -> bool:
    """Return whether a method learns from the full-precision teacher."""
    choice = MethodChoice.model_validate(method)
    recipe = build_recipe(Recipe.model_validate(setting.recipe), choice)
    return recipe.distillation > 0 or build_method(choice).facts.needs_teacher


class Log:
    """Finished trainings, one JSON object a line, of one setting."""

    def __init__(self, path: Path | None, setting: Setting) -> None:
        """Read what is there.

        Raises:
            SystemExit: If that was measured under another setting.
        """
        self.done: dict[tuple[str, int], Outcome] = {}
        self._path, self._setting = path, {key: value for key, value in asdict(setting).items() if key != "data_root"}
        for line in path.read_text().splitlines() if path is not None and path.exists() else []:
            kept = json.loads(line)
            if kept["setting"] != self._setting:
                raise SystemExit(f"--log: {path} holds trainings of another setting: {json.dumps(kept['setting'])}")
            outcome = Outcome(**kept["outcome"])
            self.done[outcome.method, outcome.seed] = outcome

    def add(self, outcome: Outcome) -> None:
        """Keep a training."""
        self.done[outcome.method, outcome.seed] = outcome
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps({"setting": self._setting, "outcome": asdict(outcome)}) + "\n")


def run_all(setting: Setting, trainings: list[tuple[dict[str, Any], int]], processes: int, teacher: bytes) -> Iterator[Outcome]:
    """Yield what came of every training, as they finish."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for task in as_completed([pool.submit(train_one, setting, method, seed, teacher) for method, seed in trainings]):
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
    parser.add_argument("--space", default=SPACE, help=f"{SPACE}, or a reference network, such as resnet-20")
    parser.add_argument("--template", choices=TEMPLATES.names(), help="order of layers in a block; unset: the space's own")
    parser.add_argument(
        "--channels", type=int, help=f"width of the first cells; unset: {WIDTH} for {SPACE}, else the space's own"
    )
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-root", default=".nas/data", help="where the data lie (digits are bundled)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each method")
    parser.add_argument("--recipe", default='{"epochs": 20}', help="JSON of the recipe that all methods share")
    parser.add_argument("--methods", nargs="*", default=METHODS.names(), help='names, or JSON as {"name": "mcn", "settings": {}}')
    parser.add_argument("--processes", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--log", type=Path, help="JSON lines of finished trainings: read first, then written; unset: none")
    arguments = parser.parse_args()
    recipe = Recipe.model_validate_json(arguments.recipe).model_dump(mode="json")
    setting = Setting(
        arguments.space,
        arguments.template or SPACES.get(arguments.space).template,
        arguments.channels or (WIDTH if arguments.space == SPACE else None),
        arguments.dataset,
        arguments.data_root,
        recipe,
        arguments.device,
    )
    methods = [json.loads(text) if text.startswith("{") else {"name": text} for text in arguments.methods]
    print(f"{conditions()}; {json.dumps(asdict(setting))}; {arguments.seeds} seeds, {arguments.processes} at once\n")
    started = time.perf_counter()
    log = Log(arguments.log, setting)
    wanted = [(method, seed) for seed in range(arguments.seeds) for method in methods]
    missing = [(method, seed) for method, seed in wanted if (label_of(method), seed) not in log.done]
    teacher = b""
    if any(is_taught(setting, method) for method, _ in missing):
        teacher, accuracy = train_teacher(setting)
        print(f"full-precision teacher: {100 * accuracy:.2f} % on validation, {time.perf_counter() - started:.0f} s", flush=True)
    for outcome in run_all(setting, missing, arguments.processes, teacher):
        log.add(outcome)
        print(f"{outcome.method}, seed {outcome.seed}: test {100 * outcome.test:.2f} %, {outcome.seconds:.0f} s", flush=True)
    outcomes = [log.done[label_of(method), seed] for method, seed in wanted]
    hours = sum(outcome.seconds for outcome in outcomes) / 3600
    print(f"\n{table(outcomes)}\n\n{(time.perf_counter() - started) / 60:.1f} minutes now, {hours:.2f} hours of training in all")


if __name__ == "__main__":
    main()
