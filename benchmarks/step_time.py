"""A training step of every method against the plain full-precision step of the same network: `python -m benchmarks.step_time`.

One process, one thread, all methods in turn, round by round; a step is forward, the method's losses and adversary, backward,
optimizer and projections, in as many turns as the method has, run plainly on every device. A second pass over the data (RBCN's)
is not part of a step.
"""

import argparse
import statistics
import time

import torch

from benchmarks.compare_methods import first_genotype
from benchmarks.conditions import conditions
from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.method import METHODS, Method, MethodSettings, Pass
from nas_service.catalogue import build_method, build_space
from nas_service.checking.datasets import open_dataset
from nas_service.recipes.acceleration import PLAIN
from nas_service.recipes.recipe import Recipe
from nas_service.settings import Settings
from nas_service.specs import Component, MethodChoice
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer

FULL = "full precision"


def main() -> None:
    """Measure and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="abandit-general")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="steps a round")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    space = build_space(Component(name=arguments.space))
    genotype, dataset = first_genotype(space, 0), open_dataset(Component(name="digits"), Settings())
    recipe = Recipe(epochs=10, acceleration=PLAIN)
    teacher = FullPrecisionPlan(space, genotype, recipe, "").trainer(dataset, device).network
    methods: dict[str, Method] = {FULL: FullPrecision(MethodSettings())}
    methods |= {name: build_method(MethodChoice(name=name)) for name in METHODS.names()}
    trainers = {
        name: CandidateTrainer(CandidatePlan(space, genotype, method, recipe, 0), dataset, device, teacher)
        for name, method in methods.items()
    }
    images = torch.tensor(dataset.train.images[: recipe.batch_size]).to(device, torch.float32) / 255
    labels = torch.tensor(dataset.train.labels[: recipe.batch_size]).to(device)
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(arguments.rounds + 1):
        for name, trainer in trainers.items():
            started = time.perf_counter()
            with trainer.training(Pass("train")) as step:
                for _ in range(arguments.steps):
                    step(images, labels, 1.0)
            times[name].append((time.perf_counter() - started) / arguments.steps)
    plain = statistics.median(times[FULL][1:])
    print(
        f"{conditions()}; {arguments.space}, batch {recipe.batch_size}, digits, 1 thread, {device}, {arguments.rounds} rounds\n"
    )
    print("| method | ms a step | ratio to full precision |\n|---|---|---|")
    for name, values in times.items():
        median = statistics.median(values[1:])
        print(f"| {name} | {1000 * median:.0f} | {median / plain:.2f} |")


if __name__ == "__main__":
    main()
