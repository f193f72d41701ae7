"""A whole search in one process, without Ray, REST or a database: `python -m benchmarks.robust_search`.

The paper's scale is `--dataset cifar10 --batch-size 512 --eps 0.0314`: six cells of 16 channels, K = 9, T = 3, every sample an
epoch over half of the training images, attacked by one-step FGSM from a random start. Beside the search, every so many samples
the same path is trained once more by a plain trainer (eager, float32, batch size and settings the same) from its own weights;
that time is kept out of the search's. Both sides are whole samples: setting the path up, training, calibrating, scoring.

The machine needs torch, numpy, pydantic, pydantic-settings, pyarrow, pillow, safetensors and scikit-learn, and a CPU or one GPU.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.conditions import conditions, device_name, pick_device
from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.checking.datasets import open_dataset
from nas_service.data.dataset import ImageDataset
from nas_service.recipes.acceleration import PLAIN, Acceleration
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.search.loop import Wave, run_search
from nas_service.search.strategy import Strategy
from nas_service.settings import Settings
from nas_service.specs import Component
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer


class Enough(Exception):  # noqa: N818 - no error: the samples that were asked for are there
    """Ends a search early."""


@dataclass
class Figures:
    """What a search took.

    Attributes:
        images: Trained in a sample, counted once an epoch.
        fast_s: Seconds of every sample.
        pairs: Seconds of a sample and of the same path trained plainly.
        plain_s: Seconds spent on plain samples in all.
    """

    images: int
    fast_s: list[float] = field(default_factory=list)
    pairs: list[tuple[float, float]] = field(default_factory=list)
    plain_s: float = 0.0


class Search:
    """A search whose samples are timed, some of them against the plain path."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        dataset: ImageDataset,
        device: torch.device,
        told: Callable[[Figures], None] = lambda _: None,
    ) -> None:
        """Build both trainers; `told` hears of the figures after every sample."""
        space = build_space(Component(name=arguments.space, settings=json.loads(arguments.space_settings)))
        method = build_method(Component(name=arguments.method))
        self.strategy: Strategy = build_strategy(
            Component(name=arguments.strategy, settings=json.loads(arguments.strategy_settings)), space, arguments.seed
        )
        self.settings = evaluation_settings(arguments)
        self.samples = min(arguments.samples or self.strategy.total, self.strategy.total)

        def trainer(acceleration: Acceleration) -> SupernetTrainer:
            settings = self.settings.model_copy(update={"acceleration": acceleration})
            return SupernetTrainer(SupernetPlan(space, method, settings, arguments.seed, self.strategy.total), dataset, device)

        self.fast = trainer(self.settings.acceleration)
        self.plain = trainer(PLAIN) if arguments.plain_samples else None
        self._every = max(1, self.samples // max(1, arguments.plain_samples))
        self._told = told
        self.figures = Figures(images_of_a_sample(self.settings, len(dataset.train)))

    def run(self) -> None:
        """Search, printing a line a sample."""
        try:
            run_search(self.strategy, LocalEvaluator(self.fast), (), 1, self._note)
        except Enough:
            return

    def _note(self, wave: Wave) -> None:
        (sample,), (evaluation,) = wave.samples, wave.evaluations
        self.figures.fast_s.append(evaluation.seconds)
        line = f"sample {sample.index}: reward {sample.reward:.4f}, loss {evaluation.loss}, {evaluation.seconds:.2f} s"
        if self.plain is not None and sample.index % self._every == self._every - 1:
            started = time.perf_counter()
            plain = self.plain.evaluate(sample.index, sample.genotype).evaluation
            self.figures.plain_s += time.perf_counter() - started
            self.figures.pairs.append((evaluation.seconds, plain.seconds))
            line += f" (plain {plain.seconds:.2f} s)"
        print(line, flush=True)
        self._told(self.figures)
        if len(wave.history) >= self.samples:
            raise Enough


def evaluation_settings(arguments: argparse.Namespace) -> EvaluationSettings:
    """Return how samples are trained: the given JSON, with the batch size and the acceleration of their own options."""
    given: dict[str, Any] = json.loads(arguments.evaluation)
    given.setdefault("batch_size", arguments.batch_size)
    if arguments.eps:
        given.setdefault("adversarial", {"eps": arguments.eps})
    given.setdefault("acceleration", json.loads(arguments.acceleration))
    return EvaluationSettings.model_validate(given)


def images_of_a_sample(settings: EvaluationSettings, available: int) -> int:
    """Return how many images a sample trains on, all its epochs together, as the trainer cuts batches."""
    chosen = max(1, round(available * settings.train_fraction))
    batch = min(settings.batch_size, chosen)
    steps = settings.epochs * (chosen // batch)
    return batch * min(steps, settings.max_steps or steps)


def report(figures: Figures, total_s: float) -> str:
    """Return the figures as Markdown."""
    searched = total_s - figures.plain_s
    samples = len(figures.fast_s)
    rows = [
        ("samples", f"{samples}"),
        ("images trained on in a sample", f"{figures.images}"),
        ("search, wall", f"{searched:.1f} s"),
        ("first sample (compiles most)", f"{figures.fast_s[0]:.2f} s"),
        ("a sample, median", f"{statistics.median(figures.fast_s):.2f} s"),
        ("images/s, everything counted", f"{figures.images * samples / searched:.0f}"),
        ("images/s, median sample", f"{figures.images / statistics.median(figures.fast_s):.0f}"),
    ]
    if figures.pairs:
        ratios = [plain / fast for fast, plain in figures.pairs]
        rows += [
            ("plain samples beside them", f"{len(ratios)}"),
            ("plain images/s, median", f"{figures.images / statistics.median(plain for _, plain in figures.pairs):.0f}"),
            ("ratio to plain, median", f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"),
        ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options that were given, on the command line if None, and the defaults of all others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="abandit")
    parser.add_argument("--space-settings", default="{}", help="JSON")
    parser.add_argument("--method", default="xnor-net")
    parser.add_argument("--strategy", default="abandit")
    parser.add_argument("--strategy-settings", default="{}", help="JSON")
    parser.add_argument("--dataset", default="digits", help="digits are bundled; cifar10 is read from the data root")
    parser.add_argument("--data-root", default=".nas/data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--eps", type=float, default=0.0, help="of one-step FGSM on the images of samples; 8/255 is 0.0314")
    parser.add_argument("--evaluation", default="{}", help="JSON of everything else about a sample")
    parser.add_argument("--acceleration", default="{}", help='JSON, as {"compile": "regions"}; by device where nothing is said')
    parser.add_argument("--samples", type=int, help="stop after so many")
    parser.add_argument("--plain-samples", type=int, default=3, help="paths that are trained plainly too")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(given)


def main() -> None:
    """Search and print what it took."""
    arguments = parsed()
    device = pick_device(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    dataset = open_dataset(Component(name=arguments.dataset), Settings(data_root=Path(arguments.data_root))).without_test()
    search = Search(arguments, dataset, device)
    resolved = search.fast.bench.acceleration
    print(
        f"{conditions()}; {device_name(device)}; {arguments.space}, {arguments.method}, {arguments.strategy}, "
        f"{arguments.dataset}, {search.settings.model_dump_json()}, resolved {resolved.model_dump_json()}\n",
        flush=True,
    )
    started = time.perf_counter()
    search.run()
    print(f"\n{report(search.figures, time.perf_counter() - started)}")


if __name__ == "__main__":
    main()
