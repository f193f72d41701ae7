"""What the report is made of: its parts, what each is asked for, and what each tells while it runs."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from time import monotonic
from typing import Protocol, cast

import torch

FULL = "full-precision"  # among the names of methods: the same network without signs
Value = float | int | str | None


@dataclass(frozen=True)
class Row:
    """One finding. A later one of the same name takes its place.

    Attributes:
        name: What was measured.
        figures: By column, units in the columns' names.
    """

    name: str
    figures: Mapping[str, Value]


Tell = Callable[[Row], None]


@dataclass(frozen=True)
class Order:
    """What a part is asked for; crosses processes.

    Attributes:
        device: Name of torch's.
        smoke: Whether sizes are tiny, so that a CPU gets through.
        cifar: Folder that holds CIFAR-10; None: images are made up.
        methods: To train with, the most valuable first.
        seeds: Trainings of each method.
        epochs: Of a training; None: as many as fit.
        home: Folder for what is only needed during the run.
        until: When the part is ended by force, on the clock of `time.monotonic`, which all processes share.
    """

    device: str
    smoke: bool
    cifar: str | None
    methods: tuple[str, ...]
    seeds: int
    epochs: int | None
    home: str
    until: float

    @property
    def place(self) -> torch.device:
        """What computes."""
        return torch.device(self.device)

    @property
    def left_s(self) -> float:
        """Seconds until the part is ended."""
        return self.until - monotonic()


class Part(Protocol):
    """A module of this package that measures something."""

    def planned(self, order: Order) -> list[str]:
        """Return the names of the rows that there should be."""
        ...

    def run(self, order: Order, tell: Tell) -> None:
        """Measure, telling every row as it comes; what is raised ends the part."""
        ...


@dataclass(frozen=True)
class PartFacts:
    """What is known of a part before it runs.

    Attributes:
        weight: Its share of the time, against those of the parts after it.
        title: Of its section.
        about: What was done, for readers of the table.
    """

    weight: float
    title: str
    about: str


PARTS: Mapping[str, PartFacts] = {  # the most valuable first
    "cuda_tests": PartFacts(10, "Tests that need CUDA", "Those tests of `tests/` that are skipped where there is no CUDA."),
    "engine": PartFacts(
        32,
        "The supernet engine",
        "Training steps of sampled paths of `abandit` (9 operations, 6 cells, 16 channels) on clean made-up images of 3x32x32. "
        "Each row took turns, round by round, with the eager float32 step on the same paths and the same batch: `to eager` is "
        "the median ratio of the two, after warm-up, with the device waited for. `of floor, %` is the share of the speed that "
        "the step's least memory traffic allows, at the bandwidth of a copy in the same run (`benchmarks/memory_floor.py`). A "
        "CUDA graph needs the fused optimizer, and has it in its row. A shared sign changes nothing in the space's template, "
        "whose blocks normalise their inputs. `together` is what the service uses on a GPU unless it is told otherwise.",
    ),
    "search": PartFacts(
        28,
        "A robust search at the paper's scale",
        "ABanditNAS on `abandit` (9 operations, 6 cells, 16 channels) with XNOR-Net: every sample trains its path for an epoch "
        "over half of the training images, batch 512, attacked by one-step FGSM from a random start with eps 8/255, accelerated "
        "by the defaults of the device, and is scored on the validation images, clean and attacked. All of that is in the time. "
        "Where not all samples fitted in, the whole search is extrapolated: the time so far, and for each that is missing the "
        "mean sample without the first. The paper's 1.94 h are those of one Titan V for about 132 samples: another card, other "
        "code and other settings.",
    ),
    "training": PartFacts(
        30,
        "Methods on CIFAR-10",
        "The reference network `resnet-20` (18 binary 3x3 convolutions, 16 to 64 channels, 267,264 binary weights, in the "
        "authors' order of layers), trained with every method for the epochs asked for, or as many as the time "
        "allowed: Adam at 0.005, cosine, batch 256, crops and flips. So short a training says that a method trains on a GPU, not "
        "which is best. A row "
        "without a test accuracy was cut. Pictures that were kept as JPEG do not have the pixels of the original CIFAR-10: "
        "accuracies on them are not strictly comparable with published ones.",
    ),
}


def load(name: str) -> Part:
    """Import a part: what it needs and this machine lacks is then its own trouble."""
    return cast("Part", import_module(f"benchmarks.gpu_report.{name}"))


@dataclass
class Attempts:
    """Goes on after errors and tells of them in the end.

    Attributes:
        failed: What was tried, with its traceback: as text, since a traceback itself would keep the device's memory.
    """

    failed: list[str] = field(default_factory=list)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep what is raised inside the block, with the name of what was tried."""
        try:
            yield
        except Exception:  # noqa: BLE001 - `finish` tells of it
            self.failed.append(f"in: {name}\n{traceback.format_exc()}")

    def finish(self) -> None:
        """Fail if anything did.

        Raises:
            RuntimeError: With what was kept.
        """
        if self.failed:
            raise RuntimeError("\n".join(["some rows failed", *self.failed]))


def without_rows(planned: Sequence[str], rows: Mapping[str, Row]) -> list[str]:
    """Return the names that were planned and of which nothing was told."""
    return [name for name in planned if name not in rows]
