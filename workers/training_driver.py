"""Carries out one training: architectures x methods x seeds as Ray Tune trials; every epoch lands in the database."""

from collections.abc import Sequence

from nas_service.catalogue import build_method, build_recipe, build_space, needs_teacher
from nas_service.data.dataset import ImageDataset
from nas_service.errors import NasError
from nas_service.lifecycle import CANDIDATE_FINISHED, CandidateState
from nas_service.recipes.recipe import Recipe
from nas_service.reports import PROGRESS, TrainingPhase, TrainingProgress
from nas_service.specs import EarlyStopping, MethodChoice, TrainingSpec
from nas_service.storage import attempts, candidates
from nas_service.storage.architectures import get_architecture, origin_of
from nas_service.storage.artifacts import get_artifact
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.keys import (
    checkpoint_key,
    full_precision_checkpoint_key,
    full_precision_key,
    whole_training_key,
    whole_trainings_folder,
)
from nas_service.storage.models import Architecture, Candidate, Job
from nas_service.tasks import CandidateTask, NetworkSource
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan
from search_spaces.genotype import Genotype
from workers.cluster import connected
from workers.context import JobContext
from workers.delivery import deliver
from workers.reading import read_dataset
from workers.scratch import scratch_of
from workers.training_tally import TrainingTally
from workers.trial import CandidateTrial, FullPrecisionTrial, Trial, TrialSetup
from workers.trial_listeners import CandidateListener, FullPrecisionListener
from workers.tune_bridge import Listener, TrialRun, run_trials

_WELL = {CandidateState.SUCCEEDED.value, CandidateState.STOPPED.value}
_OVER = {state.value for state in CANDIDATE_FINISHED}


class TrainingDriver:
    """One attempt at one training."""

    def __init__(self, context: JobContext, job: Job) -> None:
        """Read the spec, and write down the candidates if this is the first attempt."""
        self._context = context
        spec = self._spec = TrainingSpec.model_validate(job.spec)
        self._space = build_space(spec.space)
        planned = [
            PlannedCandidate(architecture, method.model_dump(), seed)
            for architecture in spec.architectures
            for method in spec.methods
            for seed in spec.seeds
        ]
        with context.database.write() as session:
            context.note_state(attempts.renew(session, context.hold))  # refuses an attempt that is over
            self._rows = candidates.plan_candidates(session, job.id, planned)
            self._architectures = {key: get_architecture(session, key) for key in set(spec.architectures)}
        self._recipes = {row.id: self._recipe(row) for row in self._rows}
        epochs = {key: recipe.epochs for key, recipe in self._recipes.items()}
        told = PROGRESS.validate_python(job.progress) if job.progress else None
        best = told.best_validation_accuracy if isinstance(told, TrainingProgress) else None
        controls = {row.id for row in self._rows if self._is_control(row)}
        self._tally = TrainingTally(self._rows, epochs, best, controls)

    def run(self) -> None:
        """Train the candidates that are not over; the training fails if one of them did.

        Raises:
            JobEndedError: If the training should go on elsewhere, or not at all.
            NasError: If candidates failed.
        """
        context = self._context
        left = [row for row in self._rows if row.state not in _OVER]
        if left:
            context.tell(self._tally.progress(TrainingPhase.LOADING))
            dataset = read_dataset(context, self._spec.dataset, begun=any(row.epochs_done for row in self._rows))
            with connected(context.settings):
                sources = self._train_full_precision(left, dataset)
                self._train(left, sources, dataset)
        context.check()
        with context.database.read() as session:
            failed = [row for row in candidates.candidates_of(session, context.hold.job_id) if row.state not in _WELL]
        if failed:
            message = f"{len(failed)} of {len(self._rows)} candidates failed; the first: {failed[0].error}"
            raise NasError(message)
        context.finish()

    def _recipe(self, row: Candidate) -> Recipe:
        return build_recipe(self._spec.recipe, MethodChoice.model_validate(row.method))

    def _is_control(self, row: Candidate) -> bool:
        return self._architectures[row.architecture_id].control is not None

    def _is_taught(self, row: Candidate) -> bool:
        return needs_teacher(self._recipes[row.id], row.method)

    @property
    def _transfers(self) -> bool:
        """Whether candidates are attacked from full-precision networks."""
        return self._spec.robustness is not None and self._spec.robustness.transfer

    def _run_trials(
        self, trials: dict[str, Trial], listener: Listener, dataset: ImageDataset, stopping: EarlyStopping | None = None
    ) -> None:
        """Run trials, and raise why the job should end if they were stopped for that."""
        settings, resources = self._context.settings, self._spec.resources
        setup = TrialSetup(settings.artifacts, resources.cpus_per_trial, resources.gpus_per_trial, settings.checkpoint_s)
        longest = max(recipe.epochs for recipe in self._recipes.values())
        delivery = deliver(dataset, settings.dataset_by_value_bytes)
        with scratch_of(settings, self._context.hold.job_id, self._context.hold.attempt) as folder:
            run_trials(TrialRun(trials, setup, delivery, resources, stopping, longest, folder / "tune"), listener)
        self._context.holds(0.0, 0.0)
        self._context.check()

    def _train_full_precision(self, rows: Sequence[Candidate], dataset: ImageDataset) -> dict[str, NetworkSource]:
        """Return a full-precision network of every architecture of which a row needs one, to learn from or to attack from."""
        context, spec = self._context, self._spec
        wanted = {row.architecture_id for row in rows if self._transfers or (spec.teacher is None and self._is_taught(row))}
        sources: dict[str, NetworkSource] = {}
        trials: dict[str, Trial] = {}
        for key in sorted(wanted):
            genotype = self._space.parse(self._architectures[key].genotype)
            plan = FullPrecisionPlan(self._space, genotype, spec.recipe, dataset.lesson)
            sources[key] = NetworkSource(full_precision_key(plan.digest), genotype)
            known = {trial.key for trial in trials.values() if isinstance(trial, FullPrecisionTrial)}  # of an equal architecture
            if sources[key].key not in known and not context.store.exists(sources[key].key):
                checkpoint = full_precision_checkpoint_key(context.hold.job_id, plan.digest)
                trials[key] = FullPrecisionTrial(plan, checkpoint, sources[key].key)
        if trials:
            self._tally.full_precision_left = len(trials)
            context.tell(self._tally.progress(TrainingPhase.FULL_PRECISION))
            self._run_trials(trials, FullPrecisionListener(context, self._tally), dataset)
        return sources

    def _train(self, rows: Sequence[Candidate], sources: dict[str, NetworkSource], dataset: ImageDataset) -> None:
        context, teacher = self._context, self._named_teacher()
        context.tell(self._tally.progress(TrainingPhase.CANDIDATES))
        trials: dict[str, Trial] = {}
        found = self._found(rows, dataset)
        for row in rows:
            full_precision = sources.get(row.architecture_id)
            trials[row.id] = CandidateTrial(
                task=self._task(row, self._architectures[row.architecture_id]),
                checkpoint=checkpoint_key(row.id),
                found=found.get(row.id),
                teacher=(teacher or full_precision) if self._is_taught(row) else None,
                substitute=full_precision if self._transfers else None,
                is_control=self._is_control(row),
            )
        self._run_trials(trials, CandidateListener(context, self._tally), dataset, self._spec.early_stopping)

    def _found(self, rows: Sequence[Candidate], dataset: ImageDataset) -> dict[str, str]:
        """Return the keys of trainings that the searches made of these candidates, alike and to the end, by candidate."""
        store, found = self._context.store, dict[str, str]()
        device = "cuda" if self._spec.resources.gpus_per_trial else "cpu"
        searches = {entry.job_id for entry in self._architectures.values()}
        made = {f"{key}/" for search_id in searches for key in store.keys(whole_trainings_folder(search_id))}
        for row in rows:
            architecture = self._architectures[row.architecture_id]
            if whole_trainings_folder(architecture.job_id, architecture.digest) not in made:
                continue
            genotype = self._space.parse(architecture.genotype)
            method = build_method(MethodChoice.model_validate(row.method))
            plan = CandidatePlan(self._space, genotype, method, self._recipes[row.id], row.seed)
            key = whole_training_key(architecture.job_id, architecture.digest, plan.digest(dataset.lesson, device))
            if not plan.needs_teacher and store.exists(key):
                found[row.id] = key
        return found

    def _named_teacher(self) -> NetworkSource | None:
        """Return where the candidate that the spec names as teacher lies, if it names one."""
        if self._spec.teacher is None:
            return None
        with self._context.database.read() as session:
            row = candidates.get_candidate(session, self._spec.teacher)
            genotype = Genotype.from_dict(get_architecture(session, row.architecture_id).genotype)
            method = MethodChoice.model_validate(row.method).component
            return NetworkSource(get_artifact(session, row.id, "safetensors").key, genotype, method)

    def _task(self, row: Candidate, architecture: Architecture) -> CandidateTask:
        spec = self._spec
        return CandidateTask(
            candidate_id=row.id,
            space=spec.space,
            genotype=self._space.parse(architecture.genotype),
            method=MethodChoice.model_validate(row.method).component,
            dataset=spec.dataset,
            recipe=self._recipes[row.id],
            seed=row.seed,
            bundled_test_bytes=self._context.settings.bundled_test_bytes,
            robustness=spec.robustness,
            search={"search_id": architecture.job_id, **origin_of(architecture)},
        )
