"""Carries out one training: architectures x methods x seeds as Ray Tune trials; every epoch lands in the database."""

import os
import shutil
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from nas_service.catalogue import build_dataset, build_recipe, needs_teacher
from nas_service.errors import NasError
from nas_service.lifecycle import JobState
from nas_service.recipes.recipe import Recipe
from nas_service.reports import EpochReport
from nas_service.specs import MethodChoice, TrainingSpec
from nas_service.storage import candidates, events, jobs
from nas_service.storage.architectures import get_architecture
from nas_service.storage.artifacts import get_artifact, record_artifact
from nas_service.storage.candidates import CandidateState, Outcome, PlannedCandidate
from nas_service.storage.models import Candidate, Job
from workers.candidate_trial import EPOCHS, SCORE, TrialTask, checkpoint_key, train_candidate
from workers.cluster import connected
from workers.context import JobContext
from workers.teachers import TeacherSource, prepare_teachers

_OVER = {CandidateState.SUCCEEDED.value, CandidateState.STOPPED.value}


class _NotPickled:
    """Tune pickles its callbacks and stoppers for a restore that we never do (the database is the truth): keep nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Stop(_NotPickled, tune.Stopper):
    """Stops all trials when the job should end here."""

    def __init__(self, context: JobContext) -> None:
        self._context = context

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        del trial_id, result
        return self._context.should_end

    def stop_all(self) -> bool:
        return self._context.should_end


class _Recorder(_NotPickled, tune.Callback):
    """Writes what trials report into the database, in the driver's own process."""

    def __init__(self, driver: "TrainingDriver") -> None:
        self._driver = driver

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ANN401 - Tune's own
        del iteration, trials, info
        self._driver.note_end(trial.config["candidate_id"], trial.last_result or {})

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:  # noqa: ANN401
        del iteration, trials, info
        self._driver.record(trial.config["candidate_id"], result)


class TrainingDriver:
    """One attempt at one training."""

    def __init__(self, context: JobContext, job: Job) -> None:
        """Read the spec and the data, and write down the candidates if this is the first attempt."""
        self._context = context
        self._spec = TrainingSpec.model_validate(job.spec)
        self._attacked: set[str] = set()  # candidates that are under attack
        self._best: float | None = job.progress.get("best_validation_accuracy")  # of any epoch
        self._dataset = build_dataset(self._spec.dataset).load(context.settings.data)
        spec = self._spec
        planned = [
            PlannedCandidate(architecture, method.model_dump(), seed)
            for architecture in spec.architectures
            for method in spec.methods
            for seed in spec.seeds
        ]
        with context.database.write() as session:
            self._candidates = candidates.plan_candidates(session, context.job_id, planned)
            self._genotypes = {key: get_architecture(session, key) for key in set(spec.architectures)}

    def run(self) -> None:
        """Train the candidates that are not done; the training fails if one of them does.

        Raises:
            JobEndedError: If the training should go on elsewhere, or not at all.
            NasError: If candidates failed.
        """
        context = self._context
        left = [row for row in self._candidates if row.state not in _OVER]
        if left:
            with connected(context.settings):
                self._train(left)
        context.check()
        with context.database.read() as session:
            failed = [row for row in candidates.candidates_of(session, context.job_id) if row.state not in _OVER]
        if failed:
            message = f"{len(failed)} of {len(self._candidates)} candidates failed; the first: {failed[0].error}"
            raise NasError(message)
        context.finish(JobState.SUCCEEDED)

    def record(self, candidate_id: str, result: dict[str, Any]) -> None:
        """Write an epoch, or the end of a candidate, with the job's progress, in one transaction."""
        context = self._context
        with context.database.write() as session:
            candidates.add_epoch(session, candidate_id, EpochReport(**result["report"]))
            if "resumed_from" in result:
                told = {"candidate": candidate_id, "epochs": result["resumed_from"]}
                events.record(session, context.job_id, "trial.resumed", told)
            self._attacked.discard(candidate_id)
            if result["kind"] == "attacking":
                self._attacked.add(candidate_id)
                events.record(session, context.job_id, "trial.attacking", {"candidate": candidate_id})
            if result["kind"] == "done":
                metrics = result["metrics"]
                outcome = Outcome(metrics["validation_accuracy"], metrics["test_accuracy"], metrics, result["cost"])
                candidates.finish_candidate(session, candidate_id, outcome)
                for kind, stored in result["files"].items():
                    record_artifact(session, candidate_id, kind, stored)
            rows = candidates.candidates_of(session, context.job_id)
            state = jobs.renew(session, context.job_id, context.attempt, context.lease, self._progress(rows))
        if result["kind"] == "done":
            context.store.delete(checkpoint_key(candidate_id))
        context.note_state(state)

    def _progress(self, rows: list[Candidate]) -> dict[str, Any]:
        seen = [self._best, *(row.validation_accuracy for row in rows)]
        self._best = max((accuracy for accuracy in seen if accuracy is not None), default=None)
        return {
            "candidates": len(rows),
            "finished": sum(row.state in _OVER for row in rows),
            "epochs": sum(row.epochs_done for row in rows),
            "total": sum(self._recipe(row).epochs for row in rows),
            "best_validation_accuracy": self._best,
            "under_attack": len(self._attacked),
        }

    def _recipe(self, row: Candidate) -> Recipe:
        return build_recipe(self._spec.recipe, MethodChoice.model_validate(row.method))

    @property
    def _transfers(self) -> bool:
        """Whether candidates are attacked from full-precision networks."""
        return self._spec.robustness is not None and self._spec.robustness.transfer

    def _full_precision(self, rows: list[Candidate]) -> dict[str, TeacherSource]:
        """Return a full-precision network of every architecture of which a row needs one, to learn from or to attack from."""
        context, spec = self._context, self._spec
        wanted = {row.architecture_id for row in rows if self._transfers or (spec.teacher is None and self._taught(row))}
        genotypes = {key: self._genotypes[key].genotype for key in sorted(wanted)}
        store = context.settings.artifacts
        trained = prepare_teachers(spec, genotypes, self._dataset, store, context.check, self._note_teachers)
        if trained.accuracies:
            with context.database.write() as session:
                for architecture, accuracy in trained.accuracies.items():
                    told = {"architecture": architecture, "validation_accuracy": accuracy}
                    events.record(session, context.job_id, "teacher.trained", told)
        return trained.sources

    def _note_teachers(self, left: int) -> None:
        """Show that full-precision networks are trained before the candidates."""
        context = self._context
        with context.database.write() as session:
            rows = candidates.candidates_of(session, context.job_id)
            progress = self._progress(rows) | {"teachers_left": left}
            state = jobs.tell(session, context.job_id, context.attempt, context.lease, progress)
        context.note_state(state)

    def _taught(self, row: Candidate) -> bool:
        return needs_teacher(self._recipe(row), row.method)

    def _named_teacher(self) -> TeacherSource | None:
        if self._spec.teacher is None:
            return None
        with self._context.database.read() as session:
            teacher = candidates.get_candidate(session, self._spec.teacher)
            key = get_artifact(session, teacher.id, "safetensors").key
            return TeacherSource(key, get_architecture(session, teacher.architecture_id).genotype, teacher.method)

    def _task(self, row: Candidate, teacher: TeacherSource | None, full_precision: TeacherSource | None) -> TrialTask:
        spec, settings = self._spec, self._context.settings
        architecture = self._genotypes[row.architecture_id]
        return TrialTask(
            candidate_id=row.id,
            space=spec.space.model_dump(),
            genotype=architecture.genotype,
            method=row.method,
            dataset=spec.dataset.model_dump(),
            recipe=self._recipe(row).model_dump(mode="json"),
            seed=row.seed,
            search={"search_id": architecture.job_id, "rank": architecture.rank, "score": architecture.score},
            artifact_url=settings.artifacts,
            bundled_test_bytes=settings.bundled_test_bytes,
            cpus=spec.resources.cpus_per_trial,
            gpus=spec.resources.gpus_per_trial,
            checkpoint_every_s=settings.checkpoint_s,
            teacher=(teacher or full_precision) if self._taught(row) else None,
            robustness=None if spec.robustness is None else spec.robustness.model_dump(mode="json"),
            substitute=full_precision if self._transfers else None,
        )

    def _train(self, rows: list[Candidate]) -> None:
        resources = self._spec.resources
        folder = self._context.settings.home.resolve() / "tune"
        name = f"{self._context.job_id}-{self._context.attempt}"
        full_precision, teacher = self._full_precision(rows), self._named_teacher()
        tasks = {row.id: self._task(row, teacher, full_precision.get(row.architecture_id)) for row in rows}
        trainable = tune.with_parameters(train_candidate, tasks=tasks, dataset=self._dataset)
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the database keeps the results
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}),
            param_space={"candidate_id": tune.grid_search(list(tasks))},
            tune_config=tune.TuneConfig(max_concurrent_trials=resources.max_concurrent, scheduler=self._scheduler(rows)),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(folder),
                callbacks=[_Recorder(self)],
                stop=_Stop(self._context),
                failure_config=tune.FailureConfig(max_failures=resources.max_failures),
                verbose=0,
            ),
        )
        try:
            results = tuner.fit()
        finally:
            shutil.rmtree(folder / name, ignore_errors=True)
        for result in (results[index] for index in range(len(results))):
            if result.error is not None and result.config is not None:
                self._fail(result.config["candidate_id"], str(result.error).strip().splitlines()[-1])

    def _scheduler(self, rows: list[Candidate]) -> ASHAScheduler | None:
        stopping = self._spec.early_stopping
        if stopping is None:
            return None
        longest = max(self._recipe(row).epochs for row in rows)
        return ASHAScheduler(
            time_attr=EPOCHS,
            metric=SCORE,
            mode="max",
            max_t=longest,
            grace_period=min(stopping.grace_epochs, longest),
            reduction_factor=stopping.reduction_factor,
        )

    def note_end(self, candidate_id: str, last: dict[str, Any]) -> None:
        """Keep that a trial was ended early, at once; one that was interrupted goes on in another attempt."""
        context = self._context
        if self._spec.early_stopping is None or context.should_end or last.get("kind") != "epoch":
            return
        with context.database.write() as session:
            context.note_state(jobs.renew(session, context.job_id, context.attempt, context.lease))  # refused if it is over
            candidates.stop_candidate(session, candidate_id)
        context.store.delete(checkpoint_key(candidate_id))

    def _fail(self, candidate_id: str, error: str) -> None:
        context = self._context
        with context.database.write() as session:
            context.note_state(jobs.renew(session, context.job_id, context.attempt, context.lease))  # as above
            candidates.fail_candidate(session, candidate_id, error)
