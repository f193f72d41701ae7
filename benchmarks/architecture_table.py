"""Trains every genotype of a small space, so that search strategies can be compared on real accuracies in milliseconds.

    python -m benchmarks.architecture_table --processes 2

trains all 729 genotypes of `abandit-mini` on digits with xnor-net and two seeds with this service's own trainer (about an hour
of two cores), scores all of them with the shared weights of a supernet, and writes benchmarks/tables/abandit-mini-digits.parquet.
What is trained is kept beside it line by line, so that a run that was cut off goes on.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nas_service.catalogue import build_method, build_space
from nas_service.data.dataset import DATASETS, ImageDataset
from nas_service.data.loader import ResidentPart
from nas_service.specs import Component
from nas_service.training.engine import CandidatePlan, CandidateTrainer
from nas_service.training.evaluation import accuracy
from nas_service.training.recipes import Recipe
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace

SPACE, DATASET, METHOD = Component(name="abandit-mini"), "digits", Component(name="xnor-net")
RECIPE = Recipe(epochs=12, batch_size=128, learning_rate=0.02)
TABLE = Path(__file__).parent / "tables" / "abandit-mini-digits.parquet"


class Training(NamedTuple):
    """One genotype with one seed."""

    genotype: Genotype
    seed: int


def every_genotype(space: SearchSpace) -> Iterator[Genotype]:
    """Yield all live genotypes of a space, the last edge changing fastest."""
    places = [(cell.name, edge) for cell in space.cell_types for edge in space.edges]
    for operations in itertools.product(*(edge.operations for _, edge in places)):
        yield space.genotype({(cell, edge.name): name for (cell, edge), name in zip(places, operations, strict=True)})


def _dataset() -> ImageDataset:
    return DATASETS.get(DATASET).from_settings({}).load(Path())


def train(training: Training) -> dict[str, Any]:
    """Train one network and return its accuracies on validation and test images."""
    torch.set_num_threads(1)
    dataset, device = _dataset(), torch.device("cpu")
    plan = CandidatePlan(build_space(SPACE), training.genotype, build_method(METHOD), RECIPE, training.seed)
    trainer = CandidateTrainer(plan, dataset, device)
    validated = [report.validation_accuracy for report in trainer.fit()][-1]
    assert dataset.test is not None  # noqa: S101 - for the type checker; digits have a test part
    tested = accuracy(trainer.network, ResidentPart.of(dataset.test, device))
    return {"digest": training.genotype.digest, "seed": training.seed, "validation": validated, "test": tested}


def train_all(kept: Path, seeds: int, processes: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Train what `kept` does not hold yet, adding a line to it for each, and return all results by digest and seed."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text().splitlines() if kept.exists() else []
    done = {(row["digest"], row["seed"]): row for row in map(json.loads, lines)}
    wanted = [Training(genotype, seed) for seed in range(seeds) for genotype in every_genotype(build_space(SPACE))]
    left = [training for training in wanted if (training.genotype.digest, training.seed) not in done]
    started = time.monotonic()
    with kept.open("a") as file, get_context("spawn").Pool(processes) as pool:
        for count, row in enumerate(pool.imap_unordered(train, left, chunksize=4), start=1):
            done[row["digest"], row["seed"]] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
            if count % 50 == 0:
                each = (time.monotonic() - started) / count
                print(f"{count} of {len(left)}, {each * (len(left) - count) / 60:.0f} minutes left", flush=True)
    return done


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2, help="Training seeds of every genotype.")
    parser.add_argument("--output", type=Path, default=TABLE)
    given = parser.parse_args()
    train_all(given.output.with_suffix(".jsonl"), given.seeds, given.processes)


if __name__ == "__main__":
    main()
