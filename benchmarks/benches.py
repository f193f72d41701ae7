"""The benches on which searches are judged by trainings: a small space, a data set, a method and a recipe each.

    digits       all genotypes are trained with two seeds and shipped as a table (architecture_table.py)
    cifar10-16   2,048 training, 1,024 validation and 2,048 test images of CIFAR-10, means of 2x2 pixels: trained as they are
                 asked for, and kept line by line in benchmarks/tables/cifar10-16.jsonl
    cifar10-32   8,192 training, 2,048 validation and 4,096 test images of CIFAR-10 as they are: for a GPU

The CIFAR-10 of whoever runs this is read (`--data-root`). The trainings that are kept are of a copy whose JPEG has quality 75;
those of another copy or recipe are told apart and trained anew. Of another torch or processor the last bits differ, so that a
training ends elsewhere, as with another seed: every row names its torch, and a report says how many are whose.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.kept import add_row, read_rows
from nas_service.catalogue import build_dataset, build_method, build_space
from nas_service.data.cache import ImageCache
from nas_service.data.dataset import DATASETS, ImageDataset, assemble
from nas_service.data.decoded import DecodedImages
from nas_service.data.loader import ResidentPart
from nas_service.data.split import Split
from nas_service.recipes.recipe import Recipe
from nas_service.search.liveness import live_genotypes
from nas_service.search.table import ArchitectureTable, Floats
from nas_service.specs import Component
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import accuracy
from search_spaces.genotype import Genotype
from search_spaces.network import network_cost

TABLES = Path(__file__).parent / "tables"
TABLE = TABLES / "abandit-mini-digits.parquet"
CIFAR_PARTS = (2048, 1024, 2048)  # training, validation and test images
LARGER_PARTS = (8192, 2048, 4096)
SEEDS = (0, 1)  # of the trainings that are the truth
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Bench:
    """Where searches are judged.

    Attributes:
        name: On the command line.
        load: Reads the images below a data root.
        space: What is searched.
        method: That binarizes.
        recipe: Of a whole training.
        steps: Of a whole training.
        table: All genotypes, trained with both seeds; None: none is shipped.
    """

    name: str
    load: Callable[[Path], ImageDataset]
    space: Component
    method: Component
    recipe: Recipe
    steps: int
    table: Path | None


def _digits(data_root: Path) -> ImageDataset:
    return DATASETS.get("digits").from_settings({}).load(data_root)


@lru_cache(maxsize=1)
def _small_cifar10(data_root: Path, counts: tuple[int, int, int] = CIFAR_PARTS, *, halved: bool = True) -> ImageDataset:
    """Return so many training, validation and test images of CIFAR-10, with half of the height and width or as they are."""
    dataset = build_dataset(Component(name="cifar10"))
    cache = ImageCache(Path(".nas/bench-images"), 2**30)
    source, decoded = dataset.source(data_root), cache.get(dataset.source(data_root).images)
    chosen, taken = [], 0
    parts = dataset.split(source).parts().values()
    for rows, count in zip(parts, counts, strict=True):
        chosen.append(np.sort(np.random.RandomState(0).permutation(rows)[:count]))
        taken += count
    rows = np.concatenate(chosen)
    pixels = decoded.pixels[rows].astype(np.uint16)
    if halved:
        pixels = (pixels[..., ::2, ::2] + pixels[..., 1::2, ::2] + pixels[..., ::2, 1::2] + pixels[..., 1::2, 1::2] + 2) // 4
    content = hashlib.sha256(f"{decoded.content} {counts}{'' if halved else ' whole'}".encode()).hexdigest()
    small = DecodedImages.counted(pixels.astype(np.uint8), content, ())
    places = np.split(np.arange(taken), np.cumsum(counts)[:-1])
    return assemble(replace(source, labels=source.labels[rows], given={}), Split(*places), small, dataset.augmentation)


# The template is that of the digits' table; the default of cells has changed since.
_SPACE, _METHOD = Component(name="abandit-mini", settings={"template": "shortcut"}), Component(name="xnor-net")
_RECIPE = Recipe(epochs=12, batch_size=128, learning_rate=0.02)
BENCHES = {
    "digits": Bench("digits", _digits, _SPACE, _METHOD, _RECIPE, 96, TABLE),
    "cifar10-16": Bench("cifar10-16", _small_cifar10, _SPACE, _METHOD, _RECIPE, 192, None),
    "cifar10-32": Bench(
        "cifar10-32", partial(_small_cifar10, counts=LARGER_PARTS, halved=False), _SPACE, _METHOD, _RECIPE, 768, None
    ),
}


def train(bench: Bench, data_root: Path, genotype: Genotype, seed: int, device: torch.device = CPU) -> dict[str, Any]:
    """Train one network from scratch and return its accuracies on validation and test images."""
    torch.set_num_threads(1)
    dataset = bench.load(data_root)
    plan = CandidatePlan(build_space(bench.space), genotype, build_method(bench.method), bench.recipe, seed)
    trainer = CandidateTrainer(plan, dataset, device)
    validated = [report.validation_accuracy for report in trainer.fit()][-1]
    assert dataset.test is not None  # noqa: S101 - for the type checker; benches have a test part
    tested = accuracy(trainer.network, ResidentPart.of(dataset.test, device))
    return {"digest": genotype.digest, "seed": seed, "validation": validated, "test": tested, "steps": trainer.steps}


class Truth:
    """What genotypes of a bench reach when they are trained whole: known, or found out when it is first asked for, and kept."""

    def __init__(self, bench: Bench, data_root: Path, kept: Path) -> None:
        """Look at what is known: the bench's table, or the lines of the file `kept`, to which processes add."""
        self.bench, self._data_root, self._kept = bench, data_root, kept
        space, dataset = build_space(bench.space), bench.load(data_root)
        self.genotypes = tuple(live_genotypes(space))
        precision = build_method(bench.method).facts.precision
        costs = [network_cost(space, genotype, dataset.image_format, precision) for genotype in self.genotypes]
        self.ops = np.array([cost.ops for cost in costs])
        self.parameters = np.array([cost.binary_parameters + cost.float_parameters for cost in costs])
        self.rows = {genotype: row for row, genotype in enumerate(self.genotypes)}
        made = f"{bench.space}{dataset.digest}{bench.method}{bench.recipe}"
        self._how = hashlib.sha256(made.encode()).hexdigest()[:8]
        self._known: dict[tuple[str, int], tuple[float, float]] = {}
        if bench.table is not None:
            table = ArchitectureTable.read(bench.table)
            for genotype, row in table.rows.items():
                for seed in SEEDS:
                    self._known[genotype.digest, seed] = float(table.validation[row, seed]), float(table.test[row, seed])

    def of(self, genotype: Genotype, seed: int) -> tuple[float, float]:
        """Return the accuracies on validation and test images after a training with a seed."""
        key = genotype.digest, seed
        if key not in self._known:
            self.refresh()
        if key not in self._known:
            self.keep(train(self.bench, self._data_root, genotype, seed))
        return self._known[key]

    def means(self) -> Floats | None:
        """Return every genotype's mean test accuracy over the seeds; None if not all were trained."""
        keys = [(genotype.digest, seed) for genotype in self.genotypes for seed in SEEDS]
        if not all(key in self._known for key in keys):
            return None
        tests = np.array([self._known[key][1] for key in keys])
        return np.asarray(tests.reshape(len(self.genotypes), len(SEEDS)).mean(1))

    def keep(self, row: dict[str, Any]) -> None:
        """Remember what `train` returned, and add it to the file."""
        add_row(self._kept, {"how": self._how, "torch": torch.__version__, **row})
        self._known[row["digest"], row["seed"]] = row["validation"], row["test"]

    def knows(self, genotype: Genotype, seed: int) -> bool:
        """Return whether a training is known, by this process at least."""
        return (genotype.digest, seed) in self._known

    def refresh(self) -> None:
        """Read what this and other processes have kept."""
        for row in read_rows(self._kept):
            if row["how"] == self._how:
                self._known[row["digest"], row["seed"]] = row["validation"], row["test"]
