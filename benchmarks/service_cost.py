"""What REST, Ray and the database add to a search: `python -m benchmarks.service_cost`.

The same spec is carried out by the bare engine in a fresh process and through the service, in turn, so that both sides
see the same machine. The bare wall time is that of the whole process. The service's runs from the POST to the moment a
client that asks twice a second sees the end: driver process and Ray start within it, `nas serve` itself does not. The last
column leaves every start out: from the first sample to the last.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from api.client import NasClient
from api.commands.embedded import embedded_service
from api.progress import POLL_S
from benchmarks.conditions import conditions
from nas_service.catalogue import build_dataset
from nas_service.lifecycle import FINISHED
from nas_service.search.loop import Wave, run_search
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from nas_service.training.supernet.parent_child import path_trainer
from workers.supernet_worker import build_search


def run_bare(spec: SearchSpec) -> dict[str, float]:
    """Carry the spec out in this process; return the time between first and last sample, and their number."""
    plan, strategy = build_search(spec)
    torch.set_num_threads(spec.resources.cpus_per_worker)
    dataset = build_dataset(spec.dataset).load(Settings().data).without_test()
    evaluator = LocalEvaluator(path_trainer(plan, dataset, torch.device("cpu"), with_parent=strategy.needs_parent))
    moments: list[float] = []

    def commit(wave: Wave) -> None:
        del wave
        moments.append(time.perf_counter())

    history = run_search(strategy, evaluator, (), spec.wave, commit)
    return {"samples_s": moments[-1] - moments[0], "samples": len(history)}


def run_service(spec: SearchSpec) -> dict[str, float]:
    """Carry the spec out through a service of its own; return the same figures."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        with embedded_service(settings) as address, NasClient(address) as client:
            started = time.perf_counter()
            job = client.submit_search(spec.model_dump(mode="json"))
            while job.state not in FINISHED:
                time.sleep(POLL_S)
                job = client.search(job.id)
            wall = time.perf_counter() - started
            if job.state != "succeeded":
                raise RuntimeError(f"the search {job.state}: {job.error}")
            moments = [event.created_at for event in client.events(job.id) if event.kind == "wave"]
    return {"wall_s": wall, "samples_s": (moments[-1] - moments[0]).total_seconds(), "samples": len(moments) * spec.wave}


def main() -> None:
    """Run pairs and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2, help="pairs of runs")
    parser.add_argument("--spec", default='{"space": "abandit-general"}', help="JSON of a search")
    parser.add_argument("--bare", action="store_true", help="only run the bare engine and print its figures as JSON")
    arguments = parser.parse_args()
    spec = SearchSpec.model_validate_json(arguments.spec)
    if arguments.bare:
        print(json.dumps(run_bare(spec)))
        return
    print(f"{conditions()}; spec {arguments.spec}, pairs run in turn\n")
    print("| pair | samples | bare, s a sample | bare, wall s | service, wall s | wall ratio | ratio from first to last sample |")
    print("|---|---|---|---|---|---|---|")
    walls, shares = [], []
    for pair in range(1, arguments.pairs + 1):
        command = [sys.executable, "-m", "benchmarks.service_cost", "--bare", "--spec", arguments.spec]
        started = time.perf_counter()
        bare = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        bare["wall_s"] = time.perf_counter() - started
        service = run_service(spec)
        walls.append(service["wall_s"] / bare["wall_s"])
        shares.append(service["samples_s"] / bare["samples_s"])
        each = bare["samples_s"] / (bare["samples"] - 1)
        print(
            f"| {pair} | {bare['samples']} | {each:.2f} | {bare['wall_s']:.1f} | {service['wall_s']:.1f} "
            f"| {walls[-1]:.3f} | {shares[-1]:.3f} |",
            flush=True,
        )
    print(f"\nmedian: wall {statistics.median(walls):.3f}, from first to last sample {statistics.median(shares):.3f}")


if __name__ == "__main__":
    main()
