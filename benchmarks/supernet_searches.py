"""Do searches with real shared weights find what is good when it is trained alone? `python -m benchmarks.supernet_searches`.

Every strategy searches `abandit-mini` on digits as the service does it, one supernet a search, 141 samples, and its pick is
looked up in the table of all 729 genotypes trained alone (benchmarks/architecture_table.py): the share of genotypes whose mean
test accuracy is lower. Chance is 0.5, and 729 trainings are what the answer costs otherwise. Unlike those of
benchmarks/strategy_bench.py, rewards come from shared weights: they are noisy, they drift while the supernet trains, and they
rank architectures otherwise than training alone does.

Every search is judged by the strategy's own pick and by that of one posterior which is given all samples alike. CP-NAS trains
the full-precision parents too and takes 132 samples. Histories are kept line by line, so that a run that was cut off goes on.
"""

import argparse
import json
import statistics
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.architecture_table import DATASET, EVALUATION, METHOD, SPACE
from benchmarks.benches import TABLE
from benchmarks.conditions import conditions
from nas_service.catalogue import build_dataset, build_method, build_space, build_strategy
from nas_service.search.history import Sample
from nas_service.search.loop import run_search
from nas_service.search.picks import posterior_pick
from nas_service.search.strategy import STRATEGIES
from nas_service.search.table import ArchitectureTable
from nas_service.specs import Component
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from nas_service.training.supernet.parent_child import path_trainer
from nas_service.training.supernet.trainer import SupernetPlan
from search_spaces.genotype import Genotype


class Task(NamedTuple):
    """One search."""

    strategy: str
    seed: int


def search(task: Task) -> dict[str, Any]:
    """Search and return the strategy's pick with the history."""
    torch.set_num_threads(1)
    space, dataset = build_space(SPACE), build_dataset(Component(name=DATASET)).load(Path()).without_test()
    strategy = build_strategy(Component(name=task.strategy), space, task.seed)
    plan = SupernetPlan(space, build_method(METHOD), EVALUATION, task.seed, strategy.total)
    trainer = path_trainer(plan, dataset, torch.device("cpu"), with_parent=strategy.needs_parent)
    history = run_search(strategy, LocalEvaluator(trainer), (), 1, lambda _: None)
    samples = [(sample.genotype.digest, sample.reward) for sample in history]
    return {**task._asdict(), "pick": strategy.rank(history, 1)[0].genotype.digest, "history": samples}


def percentile(table: ArchitectureTable, genotype: Genotype) -> float:
    """Return the share of all other genotypes whose mean test accuracy is lower, half of the equal ones."""
    means = table.test.mean(1)
    own = means[table.rows[genotype]]
    below, equal = int((means < own).sum()), int((means == own).sum()) - 1
    return (below + equal / 2) / (len(means) - 1)


def report(rows: list[dict[str, Any]]) -> str:
    """Return the table of what was searched, as markdown."""
    table, space = ArchitectureTable.read(TABLE), build_space(SPACE)
    means, found = table.test.mean(1), []
    known = {genotype.digest: genotype for genotype in table.genotypes}
    for row in rows:
        history = [Sample(index, known[digest], reward) for index, (digest, reward) in enumerate(row["history"])]
        for pick, genotype in (("own", known[row["pick"]]), ("posterior", posterior_pick(space, history).genotype)):
            found.append((row["strategy"], pick, percentile(table, genotype), 100 * means[table.rows[genotype]]))
    lines = [
        conditions(),
        "",
        "| strategy | pick | searches | percentile | test accuracy when trained alone, % |",
        "|---|---|---|---|---|",
    ]
    groups = {key: [entry[2:] for entry in found if entry[:2] == key] for key in dict.fromkeys(entry[:2] for entry in found)}
    for (strategy, pick), entries in sorted(groups.items(), key=lambda item: -statistics.fmean(entry[0] for entry in item[1])):
        cells = [_mean([entry[0] for entry in entries], 3), _mean([entry[1] for entry in entries], 2)]
        lines.append(f"| {strategy} | {pick} | {len(entries)} | {' | '.join(cells)} |")
    lines += ["", f"Of all 729: mean {100 * means.mean():.2f} %, best {100 * means.max():.2f} %."]
    return "\n".join(lines)


def _mean(values: list[float], digits: int) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{statistics.fmean(values):.{digits}f} ± {error:.{digits}f}"


def main() -> None:
    """Search with every strategy and seed, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES.names(), default=STRATEGIES.names())
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kept", type=Path, default=Path("supernet_searches.jsonl"), help="Searches that were done.")
    given = parser.parse_args()
    whole = given.kept.read_text().rpartition("\n")[0] if given.kept.exists() else ""  # a line that was cut off is searched again
    given.kept.write_text(f"{whole}\n" if whole else "")
    rows = [json.loads(line) for line in whole.splitlines()]
    done = {(row["strategy"], row["seed"]) for row in rows}
    tasks = [Task(strategy, seed) for seed in range(given.seeds) for strategy in given.strategies]
    left = [task for task in tasks if task not in done]
    with given.kept.open("a") as file, get_context("spawn").Pool(given.processes) as pool:
        for row in pool.imap_unordered(search, left):
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{len(rows)} of {len(tasks)}", flush=True)
    print(report([row for row in rows if (row["strategy"], row["seed"]) in set(tasks)]))


if __name__ == "__main__":
    main()
