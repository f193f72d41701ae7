"""Do searches that trade accuracy under attack find more than random ones? `python -m benchmarks.attacked_search`.

`abandit-mini` on digits: clean accuracies are those of the table of all 729 genotypes (architecture_table.py), of which a search
sees the validation accuracies of a training seed in turn, and is judged by the mean test accuracy. **Accuracies under attack are
made up**: 0.7 of their standard deviation is the clean one's, the rest effects of arms and operations, drawn once; a training
differs from them by as much as clean ones differ between seeds. Scores of short trainings are made up, too: the truth, and noise
of 1.3 of its standard deviation. So this tells whether the choice works with two measured objectives, not what attacks show.

A budget counts whole trainings, short ones as their share. Told is the hypervolume of what is returned, at the truth, as a share
of that of the true Pareto set; the reference is the mean of both accuracies, and 1.1 of the span of OPs. Rivals of equal budgets:

    random    of the service, with the same objectives
    clean     the same strategy, without accuracy under attack: the Pareto set of its whole trainings, as random search tells it

Differences are paired by seeds; p is Wilcoxon's signed-rank test, one-sided.
"""

import argparse
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import wilcoxon

from benchmarks.benches import TABLE
from benchmarks.conditions import conditions
from benchmarks.limited_search import IMAGES, METHOD
from nas_service.arm_costs import arm_costs, format_of
from nas_service.catalogue import build_method, build_space
from nas_service.constraints import Objective
from nas_service.search.aims import Aims, hypervolume
from nas_service.search.history import Sample, derived_random
from nas_service.search.ranking import front_of
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.search.table import ArchitectureTable, Floats
from nas_service.specs import Component
from search_spaces.genotype import Genotype

SPACE = "abandit-mini"
TRADED: dict[str, tuple[Objective, ...]] = {
    "accuracy, attacked accuracy": ("attacked_accuracy",),
    "accuracy, attacked accuracy, OPs": ("attacked_accuracy", "ops"),
}
STRATEGIES_TRIED = ("screen-and-train", "abandit-plus")
CLEAN_SHARE, SHORT_NOISE, KEPT = 0.7, 1.3, 20


@dataclass(frozen=True)
class Landscape:
    """What all genotypes reach.

    Attributes:
        table: Clean accuracies.
        attacked: Made-up accuracies under attack, (rows,).
        noise: Standard deviation of a training's accuracy under attack.
    """

    table: ArchitectureTable
    attacked: Floats
    noise: float

    @property
    def clean(self) -> Floats:
        """Mean test accuracies, (rows,)."""
        return np.asarray(self.table.test.mean(1))


@lru_cache(maxsize=1)
def landscape() -> Landscape:
    """Read the table and make up the rest."""
    table = ArchitectureTable.read(TABLE)
    clean, draw = table.test.mean(1), np.random.RandomState(12)
    keys = sorted({key for genotype in table.genotypes for key in genotype.choices})
    operations = {name: draw.standard_normal() for name in sorted({key.operation for key in keys})}
    effects = {key: operations[key.operation] + draw.standard_normal() for key in keys}
    own = np.array([sum(effects[key] for key in genotype.choices) for genotype in table.genotypes])
    scaled = CLEAN_SHARE * _standard(clean) + math.sqrt(1 - CLEAN_SHARE**2) * _standard(own)
    noise = float(table.test.std(axis=1, ddof=1).mean())
    return Landscape(table, np.clip(0.55 + clean.std() * scaled, 0, 1), noise)


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std())


def _sample(known: Landscape, genotype: Genotype, index: int, fidelity: float, seed: int) -> Sample:
    """Return what a search with this seed is told."""
    row = known.table.rows[genotype]
    draws = np.random.RandomState(int(derived_random(seed, genotype.digest, fidelity).random() * 2**32)).standard_normal(2)
    if fidelity == 1:
        attacked = float(np.clip(known.attacked[row] + known.noise * draws[1], 0, 1))
        return Sample(index, genotype, float(known.table.validation[row, seed % 2]), None, 1.0, attacked)
    scores = [
        _standard(figures)[row] + SHORT_NOISE * draw for figures, draw in zip((known.clean, known.attacked), draws, strict=True)
    ]
    reward, attacked = (float(1 / (1 + np.exp(-score))) for score in scores)
    return Sample(index, genotype, reward, None, fidelity, attacked)


@lru_cache(maxsize=8)
def _aims(names: tuple[Objective, ...]) -> Aims:
    space = build_space(Component(name=SPACE, settings={"template": "shortcut"}))
    return arm_costs(space, format_of(IMAGES[SPACE]), build_method(METHOD).facts.precision).aims(space, names, None)


def search(name: str, names: tuple[Objective, ...], trainings: int, seed: int, *, attacked: bool = True) -> list[Genotype]:
    """Return what a search finds; without accuracy under attack among its aims it is told by what was trained whole."""
    known, space = landscape(), build_space(Component(name=SPACE, settings={"template": "shortcut"}))
    settings = {"trainings" if name == "screen-and-train" else "samples": trainings}
    sought = names if attacked else tuple(each for each in names if each != "attacked_accuracy")
    aims = _aims(sought) if sought else None
    strategy: Strategy = STRATEGIES.get(name).from_settings(space, settings, seed, None, None, aims)
    history: tuple[Sample, ...] = ()
    while suggested := strategy.suggest(history, 1):
        index = len(history)
        history = (*history, _sample(known, suggested[0], index, strategy.fidelity(index), seed))
    if attacked:
        return [entry.genotype for entry in strategy.rank(history, KEPT)]
    whole = [sample for sample in history if sample.fidelity == 1]
    return [entry.genotype for entry in front_of(space, whole, KEPT, _aims(names))]


def volume(names: tuple[Objective, ...], genotypes: Sequence[Genotype]) -> float:
    """Return the hypervolume at the truth."""
    known = landscape()
    rows = [known.table.rows[genotype] for genotype in genotypes]
    figures = [(each - each.mean())[rows].tolist() for each in (known.clean, known.attacked)]
    return hypervolume(_aims(names).points(figures, [genotype.choices for genotype in genotypes], 0.0))


def _told(mine: Sequence[float], others: Sequence[float] | None) -> str:
    if others is None:
        return f"{statistics.fmean(mine):.3f} ± {statistics.stdev(mine) / math.sqrt(len(mine)):.3f}"
    gains = np.subtract(mine, others)
    p = float(wilcoxon(mine, others, alternative="greater").pvalue)
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return f"{gains.mean():+.3f} ± {error:.3f}, {int((gains > 0).sum())} of {len(gains)}, p {p:.2g}"


def main() -> None:
    """Search and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="searches of each kind")
    parser.add_argument("--trainings", type=int, default=24, help="budget, in whole trainings")
    given = parser.parse_args()
    known, seeds = landscape(), range(given.seeds)
    correlation = np.corrcoef(known.clean, known.attacked)[0, 1]
    print(f"{conditions()}; {given.seeds} seeds, {given.trainings} whole trainings; correlation of both: {correlation:.2f}")
    for words, names in TRADED.items():
        whole = volume(names, known.table.genotypes)

        def shares(
            name: str, *, attacked: bool = True, names: tuple[Objective, ...] = names, whole: float = whole
        ) -> list[float]:
            found = [search(name, names, given.trainings, seed, attacked=attacked) for seed in seeds]
            return [volume(names, genotypes) / whole for genotypes in found]

        print(f"\n## {words}\n\n| search | share of the hypervolume | over random | over clean |\n|---|---|---|---|", flush=True)
        random = shares("random")
        print(f"| random | {_told(random, None)} | | |", flush=True)
        for name in STRATEGIES_TRIED:
            own, clean = shares(name), shares(name, attacked=False)
            print(f"| {name} | {_told(own, None)} | {_told(own, random)} | {_told(own, clean)} |", flush=True)
            print(f"| {name}, clean | {_told(clean, None)} | {_told(clean, random)} | |", flush=True)


if __name__ == "__main__":
    main()
