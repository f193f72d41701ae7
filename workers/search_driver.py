"""Carries out one search: replays what is committed, samples waves on Ray, commits each, ranks what was found."""

import time
from typing import Any

from nas_service.catalogue import build_dataset
from nas_service.data.dataset import ImageDataset
from nas_service.errors import LateResultError, NotReadyError
from nas_service.lifecycle import JobState
from nas_service.search.bandit import Arm
from nas_service.search.history import History
from nas_service.search.loop import Wave, run_search
from nas_service.specs import SearchSpec, TrainingSpec
from nas_service.storage import events, jobs
from nas_service.storage.architectures import Discovery, add_architectures
from nas_service.storage.models import Job
from nas_service.storage.samples import WaveRecord, commit_wave, history_of
from nas_service.training.state.checkpoint import Checkpoint
from nas_service.training.state.flat_weights import FlatWeights
from nas_service.training.state.path_weights import Weights
from search_spaces.genotype import Genotype
from search_spaces.network import network_cost
from workers.cluster import connected
from workers.conclusion import checkpoint_folder, checkpoint_key, forget_checkpoints
from workers.context import JobContext
from workers.in_order import InOrder
from workers.ray_evaluator import RayEvaluator
from workers.supernet_worker import build_search


class SearchDriver:
    """One attempt at one search."""

    def __init__(self, context: JobContext, job: Job) -> None:
        """Build what the spec names and read the data, without the test part."""
        self._context = context
        self._spec = SearchSpec.model_validate(job.spec)
        self._plan, self._strategy = build_search(self._spec)
        self._dataset: ImageDataset = build_dataset(self._spec.dataset).load(context.settings.data).without_test()
        self._started = time.monotonic()
        self._first = 0

    def run(self) -> None:
        """Search to the end.

        Raises:
            JobEndedError: If the search should go on elsewhere, or not at all.
        """
        context = self._context
        with connected(context.settings) as capacity:
            actors = self._spec.actors(capacity.cpus, capacity.gpus)
            evaluator = RayEvaluator(self._spec, self._dataset, actors, context.check)
            history = self._restore(evaluator)
            with InOrder() as commits:
                history = run_search(
                    self._strategy,
                    evaluator,
                    history,
                    self._spec.wave,
                    # arms are worked out here: a strategy remembers its last replay and belongs to this thread
                    lambda wave: commits.submit(self._commit, wave, self._strategy.arms(wave.history), evaluator.weights),
                )
            context.check()
            self._conclude(history)
        forget_checkpoints(context.store, context.job_id)

    def _restore(self, evaluator: RayEvaluator) -> History:
        """Return the committed history, with the shared weights that belong to it loaded."""
        context = self._context
        with context.database.read() as session:
            history = history_of(session, context.job_id)
        self._first = len(history)
        self._started = time.monotonic()
        if history:
            content = context.store.get(checkpoint_key(context.job_id, len(history)))
            if content is None:
                message = f"the supernet checkpoint after {len(history)} samples is gone from the artifact store"
                raise NotReadyError(message)
            evaluator.load(FlatWeights.from_checkpoint(Checkpoint.from_bytes(content)).split())
        return history

    def _commit(self, wave: Wave, arms: tuple[Arm, ...], weights: Weights) -> None:
        """Make the shared weights durable, then the wave, then forget older weights: no end of a process can part the two.

        Runs beside the next wave. A crash before its end costs that wave too, which will be evaluated again, the same.
        """
        context = self._context
        key = checkpoint_key(context.job_id, len(wave.history))
        context.store.put(key, FlatWeights.of(weights).to_checkpoint().to_bytes())
        record = WaveRecord(
            wave, tuple(self._cost(sample.genotype) for sample in wave.samples), arms, self._progress(wave.history, arms)
        )
        state = context.commit(lambda session: commit_wave(session, context.job_id, context.attempt, context.lease, record))
        for older in context.store.keys(checkpoint_folder(context.job_id)):
            if older < key:  # a newer one belongs to an attempt that took over
                context.store.delete(older)
        context.note_state(state)

    def _cost(self, genotype: Genotype) -> dict[str, Any]:
        return network_cost(self._plan.space, genotype, self._dataset.image_format, self._plan.method.precision).to_dict()

    def _progress(self, history: History, arms: tuple[Arm, ...]) -> dict[str, Any]:
        best = max(history, key=lambda sample: sample.reward)
        total, done = self._strategy.total, len(history)
        seconds_per_sample = (time.monotonic() - self._started) / (done - self._first)
        return {
            "samples": done,
            "total": total,
            "arms": len(arms),
            "arms_left": sum(arm.abandoned_round is None for arm in arms),
            "best_reward": best.reward,
            "best_digest": best.genotype.digest,
            "seconds_per_sample": seconds_per_sample,
            "seconds_left": seconds_per_sample * (total - done),
        }

    def _conclude(self, history: History) -> None:
        """Keep the best architectures, queue their training, and end the search, all or nothing.

        Raises:
            CancelledError: If somebody asked for the end since the last commit.
            LateResultError: If the attempt is over.
        """
        context, spec, taken = self._context, self._spec, len(history)
        ranked = self._strategy.rank(history, spec.keep)
        discoveries = [Discovery(entry.genotype, entry.score, self._cost(entry.genotype)) for entry in ranked]
        with context.database.write() as session:
            progress = None
            if taken < self._strategy.total:
                events.record(session, context.job_id, "search.ended_early", {"samples": taken, "of": self._strategy.total})
                progress = jobs.get_job(session, context.job_id).progress | {"total": taken, "seconds_left": 0.0}
            context.note_state(jobs.renew(session, context.job_id, context.attempt, context.lease, progress))
            context.check()
            found = add_architectures(session, context.job_id, discoveries)
            if spec.training is not None:
                training = TrainingSpec(
                    **spec.training.model_dump(exclude={"top_k"}),
                    name=spec.name,
                    architectures=[row.id for row in found[: spec.training.top_k]],
                    space=spec.space,
                    dataset=spec.dataset,
                )
                jobs.create_job(session, jobs.TRAINING, spec.name, training.model_dump(mode="json"), parent_id=context.job_id)
            if not jobs.move(session, context.job_id, JobState.SUCCEEDED, attempt=context.attempt):
                raise LateResultError(f"attempt {context.attempt} of search {context.job_id} is over")
