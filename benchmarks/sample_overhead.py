"""What a sample costs beside its training: `python -m benchmarks.sample_overhead [--against CHECKOUT]`.

A sample of one step of two images, calibrated on two and scored on one, is next to nothing but its overhead: choosing the path's
parameters, copying them, making an optimizer, switching between training and evaluation, resetting statistics, putting weights
back, and loading them into the supernet as a search does. With another checkout of this repository the two take turns,
each run in a process of its own, so that both see the same machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.checking.datasets import open_dataset
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.settings import Settings
from nas_service.specs import Component
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer


def median_ms(space_name: str, samples: int, device: torch.device) -> float:
    """Return the median milliseconds of a sample and the loading of its weights, after one to warm up."""
    space = build_space(Component(name=space_name))
    dataset = open_dataset(Component(name="digits"), Settings()).without_test()
    settings = EvaluationSettings(max_steps=1, batch_size=2, validation_images=1, calibration_batches=1)
    method = build_method(Component(name="xnor-net"))
    trainer = SupernetTrainer(SupernetPlan(space, method, settings, 0, samples), dataset, device)
    times = []
    for index, genotype in enumerate(build_strategy(Component(name="random"), space, 0).suggest((), samples + 1)):
        started = time.perf_counter()
        trainer.load(trainer.evaluate(index, genotype).weights)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[1:])


def main() -> None:
    """Measure, in turn with the other checkout if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="abandit-general")
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.against is None:
        torch.set_num_threads(1)
        print(f"{median_ms(arguments.space, arguments.samples, torch.device(arguments.device)):.1f}")
        return
    command = [sys.executable, str(Path(__file__).resolve()), "--space", arguments.space]
    command += ["--samples", str(arguments.samples), "--device", arguments.device]
    here = Path(__file__).resolve().parents[1]
    print("| pair | other checkout, ms a sample | this one | ratio |\n|---|---|---|---|")
    ratios = []
    for pair in range(1, arguments.pairs + 1):
        other, this = (
            float(
                subprocess.run(
                    command, check=True, capture_output=True, text=True, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}
                ).stdout
            )
            for tree in (arguments.against.resolve(), here)
        )
        ratios.append(other / this)
        print(f"| {pair} | {other:.0f} | {this:.0f} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nmedian ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
