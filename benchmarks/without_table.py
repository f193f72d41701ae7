"""Does a search beat random search in a space without a table? `python -m benchmarks.without_table`.

Every search is real: `screen-and-train` with trainings of its own, and beside it random search of as many whole trainings. Both
see one training seed, another for every search. Then are trained anew, with seeds that no search saw (`RETRAINED` and up):

    pick        what the search returns
    random      of the random architectures the one with the best validation accuracy
    like        three random architectures whose OPs and parameters are both within 10 % of the pick's; where not one of 1,000
                is, the draw prefers what is likely within them (`nas_service.search.liveness`)

Trainings are jobs of one thread in several processes: of eight searches at a time first their own, then whatever completes the
earliest. Each is kept as a line of a file, with all that the report needs, so that a run that was cut off goes on, and
`--report` tells what there is. On CUDA a step is recorded and replayed, in float32 and without channels_last, whose set-up takes
longer than a short training.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import torch

from benchmarks.benches import BENCHES, TABLES, Bench, train
from benchmarks.conditions import conditions, device_name
from benchmarks.kept import Row, add_row, read_rows, work_off
from benchmarks.without_table_report import RESULT, page
from nas_service.arm_costs import arm_costs, quantity
from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.recipes.acceleration import Acceleration, ActivationType
from nas_service.recipes.recipe import Recipe, ShortScore
from nas_service.search.history import Sample
from nas_service.search.limits import Limits
from nas_service.search.liveness import draw_uniform, places, possible_arms, region_of
from nas_service.search.strategies.screen_and_train import LEAST_WHOLE
from nas_service.search.strategy import Strategy
from nas_service.specs import Component
from nas_service.training.candidate.own import OwnPlan, OwnTrainer
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat
from search_spaces.space import SearchSpace

STRATEGY = "screen-and-train"
PEERS, LIKE, DRAWS = 3, 0.1, 30
RETRAINED = 20_000  # first of the seeds that no search sees
TOGETHER = 8  # searches
QUICK = Acceleration(precision=ActivationType.FLOAT32, channels_last=False)  # to set up
SMOKE = Recipe(epochs=2, batch_size=128, max_steps_per_epoch=2)


@dataclass(frozen=True)
class Setting:
    """What a file of rows is of: rows of another setting do not belong to it.

    Attributes:
        space: What is searched, as JSON of a component.
        bench: Whose images, method and recipe.
        trainings: Budget of a search, in whole trainings.
        device: What computes: cpu or cuda.
        torch: Its version.
        smoke: Whether trainings have next to no steps.
    """

    space: dict[str, Any]
    bench: str
    trainings: int
    device: str
    torch: str
    smoke: bool

    def made(self) -> Bench:
        """Return the bench with this space."""
        bench = BENCHES[self.bench]
        recipe = SMOKE if self.smoke else bench.recipe
        if self.device == "cuda":
            recipe = recipe.model_copy(update={"acceleration": QUICK})
        return replace(bench, space=Component.model_validate(self.space), recipe=recipe, table=None)


@dataclass(frozen=True)
class Job:
    """A training; `role` is searched, drawn (by random search), pick, random or like, `index` the number within it."""

    search: int
    role: str
    index: int
    seed: int
    share: float
    genotype: Genotype = field(compare=False)

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from others of its search."""
        return self.role, self.index, self.seed


def numbers_of(space: SearchSpace, genotype: Genotype) -> list[int]:
    """Return the number of a genotype's arm at every place, short to keep."""
    return [keys.index(choice) for keys, choice in zip(places(space), genotype.choices, strict=True)]


def genotype_of(space: SearchSpace, numbers: Sequence[int]) -> Genotype:
    """Return the genotype of such numbers."""
    return Genotype(space.name, tuple(keys[number] for keys, number in zip(places(space), numbers, strict=True)))


def make(job: Job, bench: Bench, data_root: Path, device: str) -> Row:
    """Train; the figures of a short training are its reward and steps."""
    place, started = torch.device(device), time.perf_counter()
    if job.share == 1:
        row = train(bench, data_root, job.genotype, job.seed, place)
        seconds = time.perf_counter() - started
        return {"reward": row["validation"], "test": row["test"], "steps": row["steps"], "seconds": seconds}
    method, score = build_method(bench.method), ShortScore.TRAIN_LIKELIHOOD
    plan = OwnPlan(build_space(bench.space), method, bench.recipe, score, job.seed, lambda _: job.share)
    done = OwnTrainer(plan, bench.load(data_root).without_test(), place).evaluate(job.index, job.genotype).evaluation
    return {"reward": done.reward, "test": None, "steps": done.steps, "seconds": done.seconds}


class Costs:
    """What architectures of a space cost on images of a format: OPs and parameters."""

    def __init__(self, space: SearchSpace, image: ImageFormat, bench: Bench) -> None:
        """Count arms."""
        self._counted = arm_costs(space, image, build_method(bench.method).facts.precision)

    def of(self, genotype: Genotype) -> tuple[float, float]:
        """Return OPs and parameters."""
        counted = self._counted
        ops, parameters = (
            quantity(counted.base, name) + sum(quantity(counted.more[choice], name) for choice in genotype.choices)
            for name in ("ops", "parameters")
        )
        return ops, parameters

    def around(self, genotype: Genotype) -> Limits:
        """Return limits within which architectures are that have about the OPs and the parameters of one."""
        names, base = ("ops", "parameters"), self._counted.base
        arms = {key: [quantity(cost, name) for name in names] for key, cost in self._counted.more.items()}
        rest = [own - quantity(base, name) for own, name in zip(self.of(genotype), names, strict=True)]
        wide = [LIKE * own for own in self.of(genotype)]
        most = [left + more for left, more in zip(rest, wide, strict=True)]
        least = [left - less for left, less in zip(rest, wide, strict=True)]
        costs = {key: (*figures, *(-figure for figure in figures)) for key, figures in arms.items()}
        return Limits(costs, (*most, *(-figure for figure in least)))


class Study:
    """One search with all that it is compared with; rows that are known say what is left to do."""

    def __init__(self, number: int, bench: Bench, trainings: int, retrainings: int, costs: Costs) -> None:
        """Begin with nothing known; the number is the seed of all but trainings."""
        self._number, self._seeds = number, [RETRAINED + seed for seed in range(retrainings)]
        self._space, self._costs, self._trainings = build_space(bench.space), costs, trainings
        self._strategy = self._build(STRATEGY, {"trainings": trainings})
        self._rewards: dict[tuple[str, int, int], float] = {}
        self._sampled: dict[int, Sample] = {}
        self._suggested: dict[int, Genotype] = {}

    def _build(self, name: str, settings: dict[str, Any]) -> Strategy:
        return build_strategy(Component(name=name, settings=settings), self._space, self._number)

    @property
    def seed(self) -> int:
        """The training seed that the search and its random rival see."""
        return 1_000 + self._number

    def ready(self) -> Iterator[Job]:
        """Yield what can be done now."""
        yield from self._samples()
        for index, genotype in enumerate(self._drawn):
            yield from self._lacking("drawn", index, genotype, [self.seed])
        pick = self._pick()
        if pick is not None:
            yield from self._lacking("pick", 0, pick, self._seeds)
            for index, genotype in enumerate(self._alike(pick)):
                yield from self._lacking("like", index, genotype, self._seeds)
        best = self._best_drawn()
        if best is not None:
            yield from self._lacking("random", 0, best, self._seeds)

    def _lacking(self, role: str, index: int, genotype: Genotype, seeds: list[int]) -> Iterator[Job]:
        jobs = (Job(self._number, role, index, seed, 1.0, genotype) for seed in seeds)
        yield from (job for job in jobs if job.key not in self._rewards)

    def add(self, row: Row, genotype: Genotype) -> None:
        """Take what is known of a training."""
        role, index = row["role"], row["index"]
        self._rewards[role, index, row["seed"]] = row["reward"]
        if role == "searched":
            self._sampled[index] = Sample(index, genotype, row["reward"], None, row["share"])
        elif role == "pick":
            self._found = genotype  # as it was kept: another machine may round otherwise

    def _history(self) -> tuple[Sample, ...]:
        """Return the samples of the search up to the first that is not known."""
        return tuple(self._sampled[index] for index in takewhile(self._sampled.__contains__, count()))

    def _samples(self) -> Iterator[Job]:
        """Yield short trainings, which do not depend on one another, or the next whole one."""
        strategy, history = self._strategy, self._history()
        if len(history) == strategy.total:
            return
        for index in range(strategy.total):
            share = strategy.fidelity(index)
            if index not in self._sampled and (share < 1 or index == len(history)):
                yield Job(self._number, "searched", index, self.seed, share, self._genotype(index, history))

    def _genotype(self, index: int, history: tuple[Sample, ...]) -> Genotype:
        if index not in self._suggested:
            ahead = history if index == len(history) else ()
            new = self._strategy.suggest(ahead, 1 if ahead else index + 1)
            self._suggested |= dict(enumerate(new, len(ahead)))
        return self._suggested[index]

    @cached_property
    def _drawn(self) -> tuple[Genotype, ...]:
        return self._build("random", {"samples": self._trainings}).suggest((), self._trainings)

    def _best_drawn(self) -> Genotype | None:
        rewards = [self._rewards.get(("drawn", index, self.seed)) for index in range(self._trainings)]
        known = [reward for reward in rewards if reward is not None]
        return self._drawn[rewards.index(max(known))] if len(known) == len(rewards) else None

    def _pick(self) -> Genotype | None:
        if self._found is None:
            history = self._history()
            if len(history) == self._strategy.total:
                self._found = self._strategy.rank(history, 1)[0].genotype
        return self._found

    _found: Genotype | None = None

    def _alike(self, pick: Genotype) -> list[Genotype]:
        """Return random architectures that cost about what the pick does."""
        if self._peers is None:
            limits = self._costs.around(pick)
            region, arms = region_of(self._space, limits), possible_arms(self._space, limits)
            found: dict[Genotype, None] = {}
            for number in range(DRAWS):
                genotype = Genotype(self._space.name, draw_uniform(region, arms, self._number, ("like", number)))
                if genotype != pick:
                    found[genotype] = None
                if len(found) == PEERS:
                    break
            self._peers = list(found)
        return self._peers

    _peers: list[Genotype] | None = None


def run(given: argparse.Namespace, setting: Setting, kept: Path) -> None:
    """Do what is not done.

    Raises:
        SystemExit: If the file is of another setting.
    """
    bench, rows = setting.made(), read_rows(kept)
    if not rows:
        place = torch.device(setting.device)
        rows = [{"setting": asdict(setting), "conditions": f"{conditions()}; {device_name(place)}"}]
        add_row(kept, rows[0])
    if rows[0]["setting"] != asdict(setting):
        raise SystemExit(f"{kept} is of another setting: {rows[0]['setting']}")
    space = build_space(bench.space)
    costs = Costs(space, bench.load(given.data_root).image_format, bench)
    numbers = range(given.first, given.first + given.searches)
    studies = {number: Study(number, bench, setting.trainings, given.seeds, costs) for number in numbers}
    for row in rows[1:]:
        if row["search"] in studies:
            studies[row["search"]].add(row, genotype_of(space, row["arms"]))

    def ready() -> list[Job]:
        jobs = (job for study in studies.values() for job in study.ready())
        return sorted(jobs, key=lambda job: ((job.search - given.first) // TOGETHER, job.role != "searched"))

    def done(job: Job, figures: Row) -> None:
        ops, parameters = costs.of(job.genotype)
        told = {"search": job.search, "role": job.role, "index": job.index, "seed": job.seed, "share": job.share}
        row = {**told, **figures, "ops": ops, "parameters": parameters, "arms": numbers_of(space, job.genotype)}
        add_row(kept, row)
        studies[job.search].add(row, job.genotype)

    work_off(given.jobs, ready, partial(make, bench=bench, data_root=given.data_root, device=setting.device), done)


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="abandit-general", help='a name, or JSON such as {"name": "cp-nas", "settings": {}}')
    parser.add_argument("--dataset-bench", choices=BENCHES, default="cifar10-16")
    parser.add_argument("--data-root", type=Path, default=Path(), help="where the bench's images lie (digits are bundled)")
    parser.add_argument("--searches", type=int, default=8)
    parser.add_argument("--first", type=int, default=500, help="seed of the first search")
    parser.add_argument("--trainings", type=int, default=2 * LEAST_WHOLE, help="budget of a search, in whole trainings")
    parser.add_argument("--seeds", type=int, default=2, help="new trainings of each architecture that is compared")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--kept", type=Path, help=f"file of trainings; without it one in {TABLES.name}/, by space, bench and device"
    )
    parser.add_argument("--report", action="store_true", help=f"train nothing; write results/{RESULT.name} from all that is kept")
    parser.add_argument("--smoke", action="store_true", help="trainings of two steps, to see that it runs")
    return parser.parse_args()


def main() -> None:
    """Do what is missing, and report."""
    given = parsed()
    if given.report:
        files = [given.kept] if given.kept else sorted(TABLES.glob("without_table-*.jsonl"))
        RESULT.write_text(page(files))
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that it starts
    one = Component.model_validate_json(given.space) if given.space.startswith("{") else Component(name=given.space)
    space = one.model_dump(mode="json")
    setting = Setting(space, given.dataset_bench, given.trainings, given.device, torch.__version__, given.smoke)
    name = f"without_table-{one.name}-{given.dataset_bench}-{given.device}{'-smoke' if given.smoke else ''}.jsonl"
    kept = given.kept or TABLES / name
    run(given, setting, kept)
    print(page([kept]))


if __name__ == "__main__":
    main()
