"""Where VGG's max pools should stand, before a block's batch norm or behind it: `python -m benchmarks.pool_places`.

Trains the two VGGs of the reference networks with either place, several methods and seeds each, all with one recipe, one after
the other on one thread. Prints the table of `docs/reference-networks.md`.
"""

import argparse
import statistics
from dataclasses import replace
from itertools import product

import torch

from benchmarks.compare_methods import first_genotype
from benchmarks.conditions import conditions
from nas_service.catalogue import build_method
from nas_service.checking.datasets import open_dataset
from nas_service.recipes.acceleration import PLAIN
from nas_service.recipes.recipe import Recipe
from nas_service.settings import Settings
from nas_service.specs import Component, MethodChoice
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.space import SPACES, Chain

NETWORKS = ("vgg-binarynet", "vgg-small")
PLACES = {Chain.POOLED_INSIDE: "before the norm", Chain.POOLED: "behind the norm"}


def accuracy(network: str, chain: Chain, method: str, seed: int, arguments: argparse.Namespace) -> float:
    """Return the validation accuracy after the last epoch of one training."""
    space = replace(SPACES.get(network), chain=chain, channels=arguments.channels)
    recipe = Recipe(epochs=arguments.epochs, acceleration=PLAIN)
    plan = CandidatePlan(space, first_genotype(space, 0), build_method(MethodChoice(name=method)), recipe, seed)
    dataset = open_dataset(Component(name=arguments.dataset), Settings())
    return [report.validation_accuracy for report in CandidateTrainer(plan, dataset, torch.device("cpu")).fit()][-1]


def row(network: str, chain: Chain, arguments: argparse.Namespace) -> str:
    """Return a line of the table: mean ± standard deviation over the seeds, per cent."""
    cells = []
    for method in arguments.methods:
        reached = [100 * accuracy(network, chain, method, seed, arguments) for seed in range(arguments.seeds)]
        cells.append(f"{statistics.fmean(reached):.1f} ± {statistics.stdev(reached):.1f}")
    own = " (as it is)" if SPACES.get(network).chain is chain else ""
    return " | ".join((f"| `{network}`", f"{PLACES[chain]}{own}", *cells)) + " |"


def main() -> None:
    """Train all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=["bnn", "xnor-net"])
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each, two at least")
    parser.add_argument("--dataset", default="digits")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(conditions())
    print(" | ".join(("| network", "pools", *(f"`{name}`" for name in arguments.methods))) + " |")
    print("|" + "---|" * (2 + len(arguments.methods)))
    for network, chain in product(NETWORKS, PLACES):
        print(row(network, chain, arguments), flush=True)


if __name__ == "__main__":
    main()
