"""Is everything within limits on what generated C takes? `python -m benchmarks.limited_in_c`.

As `benchmarks.limited_search`, whose spaces and landscapes these are: limits on RAM and on Cortex-M4 instructions, from loose
to one that a hundredth of the architectures keeps. Told is what strategies pick less what random search within the same limit
picks of as many samples, in standard deviations between architectures within the limit; how many architectures were sampled or
ranked; and how many of these broke the limit, counted anew.
"""

import argparse
import statistics
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.limited_search import IMAGES, SHARES, draw, space_of, truth_of
from nas_service.arm_costs import arm_costs, format_of
from nas_service.binarization.method import METHODS
from nas_service.c_figures import c_figures
from nas_service.catalogue import build_method, count_parameters, load_entries
from nas_service.deploy.c_cost import CCosts
from nas_service.search.history import Sample
from nas_service.search.limits import Limits
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import Component
from search_spaces.genotype import Genotype

METHOD = Component(name="xnor-net")
QUANTITIES = {"ram_bytes": "arena_bytes", "cortex_m4_instructions": "cortex_m4_instructions"}
STRATEGIES_TRIED = ("random", "evolution", "abandit-plus", "abandit")
DRAWN = 300


@dataclass(frozen=True)
class Run:
    """What a search within a limit made: the truth of its pick, and its architectures."""

    truth: float
    genotypes: tuple[Genotype, ...]


def limits_of(space: str, quantity: str, most: float) -> Limits:
    """Return a limit for strategies."""
    built, image = space_of(space), format_of(IMAGES[space])
    sums = arm_costs(built, image, build_method(METHOD).facts.precision).limits({})
    return c_figures(built, (METHOD,), image).limits({quantity: most}, sums)


def run(space: str, limits: Limits, name: str, seed: int, samples: int) -> Run:
    """Search for so many samples, or fewer."""
    built, (reward, truth) = space_of(space), truth_of(space)
    settings = {} if name == "abandit" else {"samples": samples}
    made = STRATEGIES.get(name).from_settings(built, settings, seed, lambda one: count_parameters(built, one), limits)
    history: tuple[Sample, ...] = ()
    while len(history) < samples and (suggested := made.suggest(history, 1)):
        value = reward(suggested[0], seed)
        history = (*history, Sample(len(history), suggested[0], value, value))
    ranked = [entry.genotype for entry in made.rank(history, 5)]
    return Run(truth(ranked[0]), (*ranked, *(sample.genotype for sample in history)))


def main() -> None:
    """Search and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="*", choices=IMAGES, default=list(IMAGES))
    parser.add_argument("--searches", type=int, default=1)
    parser.add_argument("--samples", type=int, default=12)
    arguments = parser.parse_args()
    load_entries()
    print(f"{conditions()}; {arguments.searches} searches of {arguments.samples} samples, {DRAWN} architectures drawn\n")
    for space in arguments.spaces:
        for quantity in QUANTITIES:
            told = table(space, quantity, arguments.searches, arguments.samples)
            print(f"Of {space} broke a limit on {quantity}: {told}\n", flush=True)


def table(space: str, quantity: str, searches: int, samples: int) -> int:
    """Print the rows of a space and a quantity, and return how many architectures broke a limit."""
    built, image = space_of(space), format_of(IMAGES[space])
    drawn = [draw(space, None, 5, number) for number in range(DRAWN)]
    figures = [c_figures(built, (METHOD,), image).of(genotype.choices, (quantity,))[0] for genotype in drawn]
    anew, broken = CCosts(built, METHODS.get(METHOD.name).from_settings({}), image), 0
    print(f"| {space}: {quantity} | limit | {' | '.join(STRATEGIES_TRIED[1:])} | looked at | CPU s |")
    print("|" + "---|" * (len(STRATEGIES_TRIED) + 4))
    for share in SHARES:
        most = float(np.quantile(figures, share, method="lower"))
        within = [truth_of(space)[1](genotype) for genotype, figure in zip(drawn, figures, strict=True) if figure <= most]
        spread = statistics.pstdev(within) or 1.0
        begun, limits, found = time.process_time(), limits_of(space, quantity, most), dict[str, list[Run]]()
        for name in STRATEGIES_TRIED:
            found[name] = [run(space, limits, name, 500 + seed, samples) for seed in range(searches)]
        genotypes = {genotype for runs in found.values() for each in runs for genotype in each.genotypes}
        broken += sum(getattr(anew.of(genotype), QUANTITIES[quantity]) > most for genotype in genotypes)
        ahead = [
            statistics.fmean((own.truth - other.truth) / spread for own, other in zip(found[name], found["random"], strict=True))
            for name in STRATEGIES_TRIED[1:]
        ]
        cells = [f"{100 * share:g} %", f"{most:,.0f}", *(f"{figure:+.2f}" for figure in ahead)]
        print("| " + " | ".join([*cells, f"{len(genotypes):,}", f"{time.process_time() - begun:.0f}"]) + " |", flush=True)
    return broken


if __name__ == "__main__":
    main()
