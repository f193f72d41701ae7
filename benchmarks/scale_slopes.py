"""How times grow with sizes: `scale` measures each of these at several sizes and fits the exponent."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.orm import Session

from api.streams import looks
from benchmarks.scale_drivers import SilentLauncher
from benchmarks.scale_fill import LEASE, Made, add_jobs, add_samples, copy_samples, hold_of, settle
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import at_work, attempts, deletion, jobs, listing, queue, samples, series, timings, watching
from nas_service.storage.listing import JobFilter
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from workers.controller import Controller

BACKGROUND_EACH = 1000  # samples of each search that only makes the table larger
NO_LOGS = looks.Logs(lambda *_: Path(), lambda *_: "")  # nobody watches one


@dataclass
class World:
    """A database that grows while it is measured.

    Attributes:
        settings: Of a controller.
        database: The one that is measured.
        made: What jobs and samples are made of.
        sizes: How many there are, by kind of thing.
        ids: Of the jobs that were added, by kind of thing.
    """

    settings: Settings
    database: Database
    made: Made
    sizes: dict[str, int] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)

    def add_jobs(self, state: str, count: int) -> None:
        """Bring the jobs in a state to so many."""
        known = self.ids.setdefault(state, [])
        known += add_jobs(self.database, self.made, state, count - len(known))

    def add_samples(self, count: int) -> None:
        """Bring the first running search to so many samples."""
        self.add_jobs("running", max(1, len(self.ids.get("running", ()))))
        add_samples(self.database, self.made, self.ids["running"][0], count)

    def add_background(self, count: int) -> None:
        """Bring the table of samples to so many in all, in searches that are over."""
        self.add_samples(BACKGROUND_EACH)
        missing = max(0, count - self.sizes.get("background", 0)) // BACKGROUND_EACH
        targets = add_jobs(self.database, self.made, "succeeded", missing)
        copy_samples(self.database, self.ids["running"][0], targets, BACKGROUND_EACH)
        self.sizes["background"] = self.sizes.get("background", 0) + missing * BACKGROUND_EACH


class Took(NamedTuple):
    """Seconds by the clock, and of this process's processors: those hardly depend on what else the machine does."""

    clock: float
    processor: float


@dataclass(frozen=True)
class Slope:
    """Something whose time may grow with a size.

    Attributes:
        name: What is timed.
        size: What grows.
        sizes: Ascending.
        grow: Brings the world to a size.
        act: Does the thing once and returns seconds; what it leaves behind is taken back untimed.
    """

    name: str
    size: str
    sizes: Sequence[int]
    grow: Callable[[World, int], None]
    act: Callable[[World], Took]


@dataclass(frozen=True)
class Measured:
    """Medians of a slope in seconds by the clock and of our processors, one a size."""

    slope: Slope
    sizes: tuple[int, ...]
    medians: tuple[float, ...]
    processor: tuple[float, ...]

    @property
    def exponent(self) -> float:
        """Of size, over all sizes: 0 does not grow, 1 is proportional."""
        return fitted_exponent(self.sizes, self.medians)

    @property
    def last_exponent(self) -> float:
        """Between the two largest sizes: where fixed costs hide growth at small ones."""
        return fitted_exponent(self.sizes[-2:], self.medians[-2:])

    @property
    def processor_exponent(self) -> float:
        """As `last_exponent`, of processor time."""
        return fitted_exponent(self.sizes[-2:], self.processor[-2:])


def fitted_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the slope of a straight line through the logarithms, by least squares; 0 for a single size."""
    if len(sizes) == 1:
        return 0.0
    return statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(max(value, 1e-9)) for value in seconds]
    ).slope


def measure(world: World, slopes: Sequence[Slope], times: int) -> Iterator[Measured]:
    """Grow and time, one slope after the other; those with the same growth share what is there."""
    for growing in dict.fromkeys((slope.size, tuple(slope.sizes)) for slope in slopes):
        together = [slope for slope in slopes if (slope.size, tuple(slope.sizes)) == growing]
        medians: dict[str, list[Took]] = {slope.name: [] for slope in together}
        for size in growing[1]:
            together[0].grow(world, size)
            settle(world.database)
            taken: dict[str, list[Took]] = {slope.name: [] for slope in together}
            for turn in range(times + 1):  # in turn, so that a busy machine is busy for all of them; the first turn warms up
                for slope in together:
                    took = slope.act(world)
                    taken[slope.name] += [took] if turn else []
            for slope in together:
                medians[slope.name].append(Took(*map(statistics.median, zip(*taken[slope.name], strict=True))))
        for slope in together:
            yield Measured(slope, growing[1], *zip(*medians[slope.name], strict=True))


def slopes_of(jobs_most: int, samples_most: int, held_most: int) -> list[Slope]:
    """Return what is measured, up to these sizes in steps of ten."""
    some, held = decades(jobs_most), decades(held_most)
    long, wide = decades(samples_most), [size for size in decades(10 * samples_most) if size >= BACKGROUND_EACH]
    return [
        *(Slope(name, "jobs in the table", some, _grow_jobs, act) for name, act in _OF_JOBS.items()),
        *(Slope(name, "jobs queued", some, _grow_queue, act) for name, act in _OF_QUEUE.items()),
        *(Slope(name, "jobs held", held, _grow_held, act) for name, act in _OF_HELD.items()),
        *(Slope(name, "samples of the search", long, World.add_samples, act) for name, act in _OF_SAMPLES.items()),
        Slope("commit of a wave of 8", "samples in the table", wide, World.add_background, _commit),
    ]


def decades(most: int) -> list[int]:
    """Return up to four sizes, each a tenth of the next, from the smallest."""
    return [size for size in (most // 10**step for step in (3, 2, 1, 0)) if size >= 1]


@contextmanager
def timed() -> Iterator[Callable[[], Took]]:
    """Give what tells, after the block, how long it took."""
    started, ended = (time.perf_counter(), time.process_time()), [0.0, 0.0]
    yield lambda: Took(ended[0] - started[0], ended[1] - started[1])
    ended[:] = time.perf_counter(), time.process_time()


def _reading(read: Callable[[Session, World], object]) -> Callable[[World], Took]:
    def act(world: World) -> Took:
        with timed() as taken, world.database.read() as session:
            read(session, world)
        return taken()

    return act


def _grow_jobs(world: World, size: int) -> None:
    world.add_jobs("succeeded", size)


def _grow_queue(world: World, size: int) -> None:
    world.add_jobs("queued", size)


def _grow_held(world: World, size: int) -> None:
    world.add_samples(BACKGROUND_EACH)
    before = len(world.ids["running"])
    world.add_jobs("running", size)
    copy_samples(world.database, world.ids["running"][0], world.ids["running"][before:], 64)


def _claim(world: World) -> Took:
    with timed() as taken, world.database.write() as session:
        job = attempts.claim(session, LEASE, most=10**6)
    assert job is not None  # noqa: S101 - the queue was filled
    with world.database.write() as session:
        jobs.request_cancel(session, job.id, jobs.SEARCH)
        jobs.move(session, job.id, JobState.CANCELLED)
    add_jobs(world.database, world.made, "queued", 1)
    return taken()


def _step(world: World) -> Took:
    settings = world.settings.model_copy(update={"max_concurrent_jobs": 1})
    controller = Controller(settings, world.database, SilentLauncher())
    controller.step()  # the first one reports itself
    with timed() as taken:
        controller.step()
    return taken()


def _look_at_all(world: World) -> Took:
    with world.database.read() as session:
        moves = watching.last_move(session)
    plan = looks.Plan({}, moves, watches_all=True, held=frozenset(), logs={})
    with timed() as taken:
        looks.look(world.database, plan, NO_LOGS)
    return taken()


def _commit(world: World) -> Took:
    job_id = world.ids["running"][0]
    with world.database.read() as session:
        done = samples.count_samples(session, job_id)
    history = world.made.wave * (min(done, 200_000) // len(world.made.wave))
    record = world.made.record(done, history)
    with timed() as taken, world.database.write() as session:
        samples.commit_wave(session, hold_of(job_id), record)
    return taken()


def _delete(world: World) -> Took:
    """Time the deletion of a search that is over and as long as the one that runs."""
    source = world.ids["running"][0]
    with world.database.read() as session:
        count = samples.count_samples(session, source)
    (job_id,) = add_jobs(world.database, world.made, "failed", 1)
    copy_samples(world.database, source, [job_id], count)
    with timed() as taken, world.database.write() as session:
        deletion.delete_job(session, job_id, jobs.SEARCH, with_trainings=False)
    return taken()


def _delete_empty(world: World) -> Took:
    (job_id,) = add_jobs(world.database, world.made, "failed", 1)
    with timed() as taken, world.database.write() as session:
        deletion.delete_job(session, job_id, jobs.SEARCH, with_trainings=False)
    return taken()


def _places(session: Session, world: World) -> None:
    shown = session.query(Job).where(Job.id.in_(world.ids["queued"][-100:])).all()
    queue.places(session, shown)


def _like(session: Session, world: World) -> None:
    timings.sample_timing(session, SearchSpec.model_validate(world.made.spec))


_OF_JOBS: dict[str, Callable[[World], Took]] = {
    "list, first page": _reading(lambda session, _: listing.list_rows(session, JobFilter(), limit=50)),
    "list, text in no name": _reading(lambda session, _: listing.list_rows(session, JobFilter(text="nowhere"), limit=50)),
    "counts of a list": _reading(lambda session, _: listing.count_rows(session, JobFilter())),
    "counts of /metrics and /readyz": _reading(lambda session, _: jobs.count_by_state(session)),
    "estimate: like searches": _reading(_like),
    "delete a search without samples": _delete_empty,
}
_OF_QUEUE: dict[str, Callable[[World], Took]] = {
    "claim": _claim,
    "places of the last 100": _reading(_places),
}
_OF_HELD: dict[str, Callable[[World], Took]] = {
    "step of the controller": _step,
    "look for streams of all jobs": _look_at_all,
    "workers of /v1/system": _reading(lambda session, _: at_work.workers_of(session)),
}
_OF_SAMPLES: dict[str, Callable[[World], Took]] = {
    "commit of a wave of 8, long search": _commit,
    "history of an attempt that begins": _reading(lambda session, world: samples.history_of(session, world.ids["running"][0])),
    "series, all columns, unread before": _reading(
        lambda session, world: series.sample_columns(session, world.ids["running"][0])
    ),
    "arms": _reading(lambda session, world: samples.arms_now(session, world.ids["running"][0])),
    "page of 100 samples": _reading(lambda session, world: samples.list_samples(session, world.ids["running"][0], limit=100)),
    "delete a search": _delete,
}
