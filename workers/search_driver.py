"""Carries out one search: replays what is committed, samples waves on Ray, commits each, ranks what was found."""

import time
from typing import Any, NamedTuple

from nas_service.catalogue import build_method, build_space, search_strategy
from nas_service.choice import choose
from nas_service.data.dataset import ImageDataset
from nas_service.earlier_searches import prior_of
from nas_service.errors import LateResultError, NotReadyError
from nas_service.job_events import EndedEarly
from nas_service.lifecycle import JobState
from nas_service.reports import SearchPhase, SearchProgress
from nas_service.search.bandit import Arm
from nas_service.search.history import History
from nas_service.search.loop import Wave, run_search
from nas_service.search.rounds import Snapshot, arms_to_keep
from nas_service.specs import SearchSpec, TrainingSpec
from nas_service.storage import attempts, events, jobs, litter
from nas_service.storage.architectures import Discovery, add_architectures
from nas_service.storage.file_holds import is_held
from nas_service.storage.keys import supernet_folder, supernet_key
from nas_service.storage.models import Job
from nas_service.storage.samples import WaveRecord, commit_wave, history_of
from nas_service.training.state.checkpoint import Checkpoint
from nas_service.training.state.flat_weights import FlatWeights
from nas_service.training.state.path_weights import Weights
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, network_cost
from workers.cluster import connected
from workers.conclusion import unwanted_trainings
from workers.context import JobContext
from workers.delivery import deliver
from workers.in_order import InOrder
from workers.ray_evaluator import RayEvaluator, SampleFacts
from workers.reading import read_dataset
from workers.supernet_worker import StoreShelf

_TIMED = {SearchPhase.SAMPLING, SearchPhase.CONCLUDING}  # when samples of this attempt may be there


class ArmsAround(NamedTuple):
    """The statistics of every arm before a wave, which a resumed search works out from what is committed, after it, and those
    to be kept.
    """

    before: tuple[Arm, ...]
    after: tuple[Arm, ...]
    kept: tuple[Snapshot, ...]


class SearchDriver:
    """One attempt at one search."""

    def __init__(self, context: JobContext, job: Job) -> None:
        """Build what the spec names."""
        self._context = context
        self._spec = SearchSpec.model_validate(job.spec)
        self._space = build_space(self._spec.space)
        self._precision = build_method(self._spec.method).facts.precision
        with context.database.read() as session:
            self._strategy = search_strategy(self._spec, prior_of(session, self._spec))
        self._started = time.monotonic()
        self._first = 0
        self._arms: tuple[Arm, ...] = ()  # after the last wave that was handed to be committed

    def run(self) -> None:
        """Search to the end.

        Raises:
            JobEndedError: If the search should go on elsewhere, or not at all.
        """
        context = self._context
        history: History
        with context.database.read() as session:
            history = history_of(session, context.hold.job_id)
        arms = self._arms = self._strategy.arms(history)
        context.tell(self._progress(history, arms, SearchPhase.LOADING))
        dataset = self._load(begun=bool(history))
        context.tell(self._progress(history, arms, SearchPhase.PLACING))
        with connected(context.settings) as capacity:
            actors = self._spec.actors(capacity.cpus, capacity.gpus)
            shelf = StoreShelf(context.settings.artifacts, context.hold.job_id)
            samples = SampleFacts(self._strategy.fidelity, shelf)
            delivery = deliver(dataset, context.settings.dataset_by_value_bytes)
            evaluator = RayEvaluator(self._spec, delivery, actors, context, samples=samples)
            self._restore(evaluator, history)
            context.tell(self._progress(history, arms, SearchPhase.SAMPLING))
            with InOrder() as commits:
                history = run_search(
                    self._strategy,
                    evaluator,
                    history,
                    self._spec.wave,
                    # arms are worked out here: a strategy remembers its last replay and belongs to this thread
                    lambda wave: commits.submit(
                        self._commit, wave, self._arms_around(wave), evaluator.weights, dataset.image_format
                    ),
                )
            context.check()
        context.holds(0.0, 0.0)
        self._conclude(history, dataset.image_format)  # the job is held while Ray shuts down, however long that takes

    def _load(self, *, begun: bool) -> ImageDataset:
        """Read the data, without the test part."""
        return read_dataset(self._context, self._spec.dataset, begun=begun).without_test()

    def _restore(self, evaluator: RayEvaluator, history: History) -> None:
        """Load the shared weights that belong to a committed history."""
        context = self._context
        self._first = len(history)
        self._started = time.monotonic()
        if history:
            content = context.store.get(supernet_key(context.hold.job_id, len(history)))
            if content is None:
                message = f"the supernet checkpoint after {len(history)} samples is gone from the artifact store"
                raise NotReadyError(message)
            evaluator.load(FlatWeights.from_checkpoint(Checkpoint.from_bytes(content)).split())

    def _arms_around(self, wave: Wave) -> ArmsAround:
        before = self._arms
        self._arms, kept = arms_to_keep(self._strategy, wave.history, wave.samples[0].index)
        return ArmsAround(before, self._arms, kept)

    def _commit(self, wave: Wave, arms: ArmsAround, weights: Weights, image: ImageFormat) -> None:
        """Make the shared weights durable, then the wave, then forget older weights: no end of a process can part the two.

        Runs beside the next wave. A crash before its end costs that wave too, which will be evaluated again, the same.
        """
        context = self._context
        key = supernet_key(context.hold.job_id, len(wave.history))
        context.store.put(key, FlatWeights.of(weights).to_checkpoint().to_bytes())
        costs = tuple(self._cost(sample.genotype, image) for sample in wave.samples)
        progress = self._progress(wave.history, arms.after, SearchPhase.SAMPLING)
        record = WaveRecord(wave, costs, arms.after, progress, context.usual_s, arms.before, arms.kept)
        state = context.commit(lambda session: commit_wave(session, context.hold, record))
        self._forget_older(key)
        context.note_state(state)

    def _forget_older(self, key: str) -> None:
        """Delete shared weights before those under `key`, unless a backup may need them: the next wave's commit looks again."""
        context = self._context
        with context.database.read() as session:
            if is_held(session):
                return
        for older in context.store.keys(supernet_folder(context.hold.job_id)):
            if older < key:  # a newer one belongs to an attempt that took over
                context.store.delete(older)

    def _cost(self, genotype: Genotype, image: ImageFormat) -> dict[str, Any]:
        return network_cost(self._space, genotype, image, self._precision).to_dict()

    def _progress(self, history: History, arms: tuple[Arm, ...], phase: SearchPhase) -> SearchProgress:
        best = max((sample for sample in history if sample.fidelity == 1), key=lambda sample: sample.reward, default=None)
        total, done = self._strategy.total, len(history)
        new, spent = done - self._first, time.monotonic() - self._started
        is_timed = new > 0 and phase in _TIMED
        left = self._whole_trainings(done, total) / self._whole_trainings(self._first, done) if is_timed else 0.0
        return SearchProgress(
            phase=phase,
            samples=done,
            total=total,
            arms=sum(arm.is_possible for arm in arms),
            arms_left=sum(arm.abandoned_round is None for arm in arms),
            best_reward=None if best is None else best.reward,
            best_digest=None if best is None else best.genotype.digest,
            seconds_per_sample=spent / new if is_timed else None,
            seconds_left=spent * left if is_timed else None,
        )

    def _whole_trainings(self, first: int, end: int) -> float:
        """Return how many whole trainings the samples from `first` up to `end` amount to."""
        return sum(self._strategy.fidelity(index) for index in range(first, end))

    def _conclude(self, history: History, image: ImageFormat) -> None:
        """Keep the best architectures, queue their training, and end the search, all or nothing.

        Raises:
            CancelledError: If somebody asked for the end since the last commit; PausedError likewise.
            LateResultError: If the attempt is over.
        """
        context, spec, taken = self._context, self._spec, len(history)
        ranked = self._strategy.rank(history, spec.keep)
        discoveries = [
            Discovery(entry.genotype, entry.score, self._cost(entry.genotype, image), attacked=entry.attacked) for entry in ranked
        ]
        chosen = None if spec.training is None else choose(spec.training, self._strategy, ranked, image, self._precision)
        controls = () if chosen is None else chosen.controls
        discoveries += [Discovery(one.genotype, 0.0, self._cost(one.genotype, image), one.control) for one in controls]
        progress = self._progress(history, self._strategy.arms(history), SearchPhase.CONCLUDING)
        progress = progress.model_copy(update={"total": taken, "seconds_left": 0.0})
        job_id = context.hold.job_id
        unwanted = unwanted_trainings(context.store, job_id, discoveries)
        with context.database.write() as session:
            if taken < self._strategy.total:
                events.record(session, job_id, EndedEarly(samples=taken, of=self._strategy.total))
            context.note_state(attempts.renew(session, context.hold, progress))
            context.check()
            found = add_architectures(session, job_id, discoveries)
            litter.drop(session, unwanted)
            if spec.training is not None and chosen is not None:
                if spec.training.architectures > 1:
                    events.record(session, job_id, chosen.told)
                training = TrainingSpec(
                    **spec.training.model_dump(exclude={"top_k", "controls"}),
                    name=spec.name,
                    architectures=[found[place].id for place in (*chosen.places, *range(len(ranked), len(found)))],
                    space=spec.space,
                    dataset=spec.dataset,
                )
                jobs.create_job(session, jobs.TRAINING, spec.name, training.model_dump(mode="json"), parent_id=job_id)
            if not jobs.move(session, job_id, JobState.SUCCEEDED, attempt=context.hold.attempt):
                raise LateResultError(f"attempt {context.hold.attempt} of search {job_id} is over")
