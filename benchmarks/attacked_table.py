"""Trains every genotype of a small space against an attack, and tells what each reaches on clean images and under it.

    python -m benchmarks.attacked_table

trains the 64 genotypes of `abandit-mini` with four of its operations, one cell of 4 channels, on digits, xnor-net, against
one-step FGSM from a random start (eps 8/255): whole trainings of 6 epochs with two seeds, and short ones of one epoch with others
(a few CPU minutes). It writes benchmarks/tables/attacked-mini-digits.parquet: one row a training. What is trained is kept beside
it line by line, so that a run that was cut off goes on.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from benchmarks.benches import BENCHES, TABLES
from benchmarks.conditions import conditions
from benchmarks.kept import Row, add_row, one_thread, read_rows
from nas_service.catalogue import build_method, build_space
from nas_service.data.loader import ResidentPart
from nas_service.recipes.adversarial import AdversarialTraining
from nas_service.search.liveness import live_genotypes
from nas_service.specs import Component
from nas_service.training.candidate.own import short_recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import ATTACK_BATCH, accuracy, evaluating, likelihoods, standing
from nas_service.training.state.seeding import derived_generator
from nas_service.training.step.attacked import scoring_attack
from search_spaces.genotype import Genotype

TABLE = TABLES / "attacked-mini-digits.parquet"
BENCH = BENCHES["digits"]
OPERATIONS = ["max-pool-3x3", "dilated-conv-5x5", "gabor-conv-3x3", "denoise"]
SPACE = Component(name=BENCH.space.name, settings={**BENCH.space.settings, "operations": OPERATIONS, "channels": 4, "cells": 1})
ATTACK = AdversarialTraining()
RECIPE = BENCH.recipe.model_copy(update={"epochs": 6, "norm_batches": 4, "adversarial": ATTACK})
WHOLE = RECIPE.epochs
# Epochs and seed; the most wanted first. Whole trainings have two seeds, of which a search sees one.
TRAININGS = ((WHOLE, 0), (1, 10), (1, 11), (WHOLE, 1))
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Job:
    """One training."""

    genotype: Genotype
    epochs: int
    seed: int


def wanted() -> Iterator[Job]:
    """Yield all trainings."""
    for epochs, seed in TRAININGS:
        for genotype in live_genotypes(build_space(SPACE)):
            yield Job(genotype, epochs, seed)


def work(job: Job) -> Row:
    """Train one network; a whole one is tested, too."""
    dataset = BENCH.load(Path())
    recipe = short_recipe(RECIPE, job.epochs / WHOLE)
    plan = CandidatePlan(build_space(SPACE), job.genotype, build_method(BENCH.method), recipe, job.seed)
    began, trainer = time.process_time(), CandidateTrainer(plan, dataset, _CPU)
    last = list(trainer.fit())[-1]
    network, validation = trainer.network, trainer.bench.validation
    row: Row = {
        "digest": job.genotype.digest,
        "genotype": job.genotype.to_json(),
        "epochs": job.epochs,
        "seed": job.seed,
        "steps": trainer.steps,
        "train_loss": last.train_loss,
        "validation": last.validation_accuracy,
        "attacked": _standing(network, validation, job.seed),
    }
    row["cpu_s"] = round(time.process_time() - began, 2)
    with evaluating(network):
        row["likelihood"] = math.exp(float(likelihoods(network, validation).mean()))
        row["attacked_likelihood"] = math.exp(float(_perturbed(network, validation, job.seed).mean()))
    assert dataset.test is not None  # noqa: S101 - for the type checker; digits have a test part
    test = ResidentPart.of(dataset.test, _CPU)
    row["test"], row["test_attacked"] = accuracy(network, test), _standing(network, test, 100 + job.seed)
    return row


def _standing(network: nn.Module, part: ResidentPart, seed: int) -> float:
    generator = derived_generator(_CPU, seed, "validation attack")
    with evaluating(network):
        return int(standing(network, scoring_attack(ATTACK), part, generator).sum()) / len(part)


def _perturbed(network: nn.Module, part: ResidentPart, seed: int) -> Tensor:
    """Return the logarithm of the true label's probability on every attacked image."""
    generator, attack = derived_generator(_CPU, seed, "validation attack"), scoring_attack(ATTACK)
    found = []
    for pixels, labels in part.batches(ATTACK_BATCH):
        logits = network(attack.perturb(network, pixels, labels, generator))
        found.append(-nn.functional.cross_entropy(logits.double(), labels, reduction="none"))
    return torch.cat(found)


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=Path, default=TABLE.with_suffix(".jsonl"))
    given = parser.parse_args()
    one_thread()
    rows = {(row["digest"], row["epochs"], row["seed"]): row for row in read_rows(given.kept)}
    for job in wanted():
        key = job.genotype.digest, job.epochs, job.seed
        if key not in rows:
            rows[key] = work(job)
            add_row(given.kept, rows[key])
    made = {
        "conditions": conditions(),
        "space": SPACE.model_dump(mode="json"),
        "dataset": BENCH.name,
        "method": BENCH.method.name,
        "recipe": RECIPE.model_dump(mode="json"),
        "command": "python -m benchmarks.attacked_table",
    }
    table = pa.Table.from_pylist(list(rows.values()))
    pq.write_table(table.replace_schema_metadata({"nas-service": json.dumps(made)}), TABLE, compression="zstd")


if __name__ == "__main__":
    main()
