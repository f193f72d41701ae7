"""Trains every genotype of a small space, so that search strategies can be compared on real accuracies in milliseconds.

    python -m benchmarks.architecture_table --processes 2

trains all 729 genotypes of `abandit-mini` on digits with xnor-net and two seeds with this service's own trainer (about an hour
of two cores), scores all of them with the shared weights of a supernet, and writes benchmarks/tables/abandit-mini-digits.parquet.
What is trained is kept beside it line by line, so that a run that was cut off goes on, if it trains as it did.
"""

import argparse
import hashlib
import json
import time
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.benches import BENCHES, TABLE, train
from benchmarks.conditions import conditions
from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.search.liveness import live_genotypes
from nas_service.search.loop import run_search
from nas_service.search.table import ArchitectureTable
from nas_service.specs import Component
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer
from search_spaces.genotype import Genotype
from search_spaces.network import network_cost

BENCH = BENCHES["digits"]
SPACE, METHOD, RECIPE, DATASET = BENCH.space, BENCH.method, BENCH.recipe, BENCH.name
EVALUATION = EvaluationSettings(batch_size=128, learning_rate=0.02)


class Training(NamedTuple):
    """One genotype with one seed."""

    genotype: Genotype
    seed: int


def _train(training: Training) -> dict[str, Any]:
    return train(BENCH, Path(), training.genotype, training.seed)


def train_all(kept: Path, seeds: int, processes: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Train what `kept` does not hold yet, adding a line to it for each, and return all results by digest and seed."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    whole = kept.read_text().rpartition("\n")[0] if kept.exists() else ""  # a line that was cut off is trained again
    kept.write_text(f"{whole}\n" if whole else "")
    lines = whole.splitlines()
    done = {(row["digest"], row["seed"]): row for row in map(json.loads, lines)}
    wanted = [Training(genotype, seed) for seed in range(seeds) for genotype in live_genotypes(build_space(SPACE))]
    left = [training for training in wanted if (training.genotype.digest, training.seed) not in done]
    started = time.monotonic()
    with kept.open("a") as file, get_context("spawn").Pool(processes) as pool:
        for count, row in enumerate(pool.imap_unordered(_train, left, chunksize=4), start=1):
            done[row["digest"], row["seed"]] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
            if count % 50 == 0:
                each = (time.monotonic() - started) / count
                print(f"{count} of {len(left)}, {each * (len(left) - count) / 60:.0f} minutes left", flush=True)
    return done


def supernet_scores(samples: int) -> dict[str, float]:
    """Train a supernet on random paths, half an epoch each; return every genotype's validation accuracy with its weights."""
    torch.set_num_threads(1)
    space, dataset = build_space(SPACE), BENCH.load(Path()).without_test()
    strategy = build_strategy(Component(name="random", settings={"samples": samples}), space, 0)
    plan = SupernetPlan(space, build_method(METHOD), EVALUATION, 0, samples)
    trainer = SupernetTrainer(plan, dataset, torch.device("cpu"))
    run_search(strategy, LocalEvaluator(trainer), (), 1, lambda _: None)
    counts = {genotype.digest: trainer.count(0, trainer.course(genotype))[0] for genotype in live_genotypes(space)}
    return {digest: int(correct) / len(trainer.bench.validation) for digest, correct in counts.items()}


def assemble(rows: dict[tuple[str, int], dict[str, Any]], seeds: int, scores: dict[str, float]) -> ArchitectureTable:
    """Return the table of what was trained."""
    space, method, image = build_space(SPACE), build_method(METHOD), BENCH.load(Path()).image_format
    genotypes = tuple(live_genotypes(space))
    costs = [network_cost(space, genotype, image, method.facts.precision) for genotype in genotypes]
    made = {
        "space": SPACE.name,
        "dataset": DATASET,
        "method": METHOD.name,
        "recipe": RECIPE.model_dump(mode="json"),
        "seeds": list(range(seeds)),
        "supernet": {"strategy": "random", "evaluation": EVALUATION.model_dump(mode="json")},
        "versions": {name: version(name) for name in ("torch", "nas-service")},
        "command": "python -m benchmarks.architecture_table",
    }
    return ArchitectureTable(
        genotypes,
        np.array([[rows[genotype.digest, seed]["validation"] for seed in range(seeds)] for genotype in genotypes]),
        np.array([[rows[genotype.digest, seed]["test"] for seed in range(seeds)] for genotype in genotypes]),
        np.array([scores[genotype.digest] for genotype in genotypes]),
        {
            "ops": np.array([round(cost.ops) for cost in costs]),
            "packed_bytes": np.array([cost.packed_bytes for cost in costs]),
            "parameters": np.array([cost.binary_parameters + cost.float_parameters for cost in costs]),
        },
        made,
    )


def report(table: ArchitectureTable) -> str:
    """Return the figures that describe a table, as markdown."""
    means = table.test.mean(1)
    between = kendalltau(table.test[:, 0], table.test[:, 1]).statistic
    lines = [
        conditions(),
        "",
        "| figure | value |",
        "|---|---|",
        f"| genotypes, training seeds | {len(table.genotypes)}, {table.test.shape[1]} |",
        f"| test accuracy, mean of seeds: worst, median, best | {means.min():.3f}, {np.median(means):.3f}, {means.max():.3f} |",
        f"| standard deviation between genotypes | {means.std(ddof=1):.3f} |",
        f"| standard deviation between seeds of a genotype | {table.test.std(axis=1, ddof=1).mean():.3f} |",
        f"| Kendall's tau between the test accuracies of seeds 0 and 1 | {between:.3f} |",
        f"| Kendall's tau, supernet score and mean test accuracy | {kendalltau(table.supernet_score, means).statistic:.3f} |",
        f"| Spearman's rho of the same | {spearmanr(table.supernet_score, means).statistic:.3f} |",
        f"| Kendall's tau, OPs and mean test accuracy | {kendalltau(table.costs['ops'], means).statistic:.3f} |",
    ]
    return "\n".join(lines)


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2, help="Training seeds of every genotype.")
    parser.add_argument("--samples", type=int, default=141, help="Random paths that the supernet is trained on.")
    parser.add_argument("--output", type=Path, default=TABLE)
    given = parser.parse_args()
    how = hashlib.sha256(f"{SPACE}{DATASET}{METHOD}{RECIPE}{version('torch')}".encode()).hexdigest()[:8]
    rows = train_all(given.output.with_suffix(f".{how}.jsonl"), given.seeds, given.processes)
    table = assemble(rows, given.seeds, supernet_scores(given.samples))
    table.check(build_space(SPACE))
    table.write(given.output)
    print(report(table))


if __name__ == "__main__":
    main()
