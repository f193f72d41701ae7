"""The bridge to Ray Tune: runs named trials, and hands on what they tell to a listener in the driver's own process.

Tune wraps what a callback raises into an error of its own. So nothing is raised inside: the first error is kept, all trials
are stopped, and it is raised when Tune has returned.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ray import cloudpickle, tune
from ray.exceptions import RayError, RayTaskError
from ray.tune.error import TuneError
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import ASHAScheduler

from nas_service.errors import UnavailableError
from nas_service.specs import EarlyStopping, TrialResources
from workers.cluster import missing_place
from workers.delivery import Delivery
from workers.reasons import described
from workers.trial import EPOCHS, NEWS, SCORE, CandidateTrial, Done, Failed, News, Trial, TrialSetup, train

PLACE_S = 5.0  # without a running trial, after which somebody asks why


class Listener(Protocol):
    """What a driver wants to know of its trials. What a method raises ends all trials, and is raised by `run_trials`."""

    @property
    def should_end(self) -> bool:
        """Whether all trials should be stopped."""
        ...

    def started(self, name: str) -> None:
        """Take note that a trial has a process, its first one or another."""
        ...

    def told(self, name: str, news: News) -> None:
        """Take note of what a trial told."""
        ...

    def stopped(self, name: str) -> None:
        """Take note that a trial was stopped early because others did better."""
        ...

    def failed(self, name: str, error: str) -> None:
        """Take note that a trial ended with an exception of its own as often as it may."""
        ...

    def holds(self, cpus: float, gpus: float) -> None:
        """Take note of what all trials that run have together."""
        ...

    def wait_for(self, reason: str) -> None:
        """Take note of what keeps every trial from running."""
        ...

    def go_on(self) -> None:
        """Take note that nothing keeps them from it any more."""
        ...


@dataclass(frozen=True)
class TrialRun:
    """What is run.

    Attributes:
        trials: By name.
        setup: What they have in common.
        delivery: Of the dataset that they learn.
        resources: What each takes, how many may run at once, how often one is tried again.
        stopping: Whether weak ones are ended early, and when.
        longest: Epochs of the longest.
        folder: Where Tune may write; whoever made it removes it.
    """

    trials: Mapping[str, Trial]
    setup: TrialSetup
    delivery: Delivery
    resources: TrialResources
    stopping: EarlyStopping | None
    longest: int
    folder: Path


class _NotPickled:
    """Tune pickles its callbacks and stoppers for a restore that we never do (the database is the truth): keep nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Recorder(_NotPickled, tune.Callback):
    """Calls the listener, and keeps the first error.

    Attributes:
        error: What a listener's method raised first, or what a trial ran into that is no fault of its own.
    """

    def __init__(self, listener: Listener, resources: TrialResources) -> None:
        self._listener = listener
        self._resources = resources
        self._over: set[str] = set()  # that said so themselves
        self._idle_since: float | None = None
        self.error: BaseException | None = None

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ANN401 - Tune's own
        del iteration, trials, info
        self._guard(lambda: self._listener.started(trial.config["name"]))

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:  # noqa: ANN401
        del iteration, trials, info
        name, news = trial.config["name"], result[NEWS]
        self._guard(lambda: self._listener.told(name, news))
        if isinstance(news, Done | Failed):
            self._over.add(name)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ANN401
        del iteration, trials, info
        name = trial.config["name"]
        if name not in self._over and not self._listener.should_end:
            self._guard(lambda: self._listener.stopped(name))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ANN401
        """Part a trial's own exception, after which it failed, from accidents, after which another attempt may go on."""
        del iteration, trials, info
        name, error = trial.config["name"], _error_of(trial)
        if not isinstance(error, RayTaskError):
            self._guard(lambda: _raise_away(f"the process of trial {name} died: {described(error)}"))
        elif isinstance(error.cause, OSError | RayError):
            self._guard(lambda: _raise_away(described(error)))
        else:
            self._guard(lambda: self._listener.failed(name, described(error)))

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:  # noqa: ANN401
        """Look whether something runs; where nothing does for a while, say what is missing."""
        del iteration, info
        now, running = time.monotonic(), sum(trial.status == TuneTrial.RUNNING for trial in trials)
        self._listener.holds(running * self._resources.cpus_per_trial, running * self._resources.gpus_per_trial)
        if running or not trials:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > PLACE_S:
            self._idle_since = now
            missing = missing_place(self._resources.cpus_per_trial, self._resources.gpus_per_trial)
            if missing is None:
                self._guard(self._listener.go_on)
            else:
                self._guard(lambda: self._listener.wait_for(missing))

    def _guard(self, call: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised again when Tune has returned
            self.error = error


class _Stop(_NotPickled, tune.Stopper):
    """Stops all trials when the listener wants it, or after an error."""

    def __init__(self, listener: Listener, recorder: _Recorder) -> None:
        self._listener = listener
        self._recorder = recorder

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        del trial_id, result
        return self.stop_all()

    def stop_all(self) -> bool:
        return self._listener.should_end or self._recorder.error is not None


def _raise_away(message: str) -> None:
    raise UnavailableError(message)


def _error_of(trial: TuneTrial) -> Exception:
    """Return what a trial ended with, as the exception it was where Tune kept it: its own ones and the deaths of its process."""
    with suppress(OSError, TypeError, AttributeError):
        return cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())  # type: ignore[no-any-return]  # Tune's own file, written a moment ago
    return TuneError("Ray Tune does not say of what")


class _Halving(ASHAScheduler):
    """Successive halving that leaves controls alone: the mean of those that are left over would not be that of chance."""

    def __init__(self, spared: frozenset[str], **settings: Any) -> None:  # noqa: ANN401 - Ray's own
        super().__init__(**settings)
        self._spared = spared

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:  # noqa: ANN401 - as above
        """Compare candidates that were found with each other, and with nobody else."""
        if trial.config["name"] in self._spared:
            return str(ASHAScheduler.CONTINUE)
        return str(super().on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> None:  # noqa: ANN401 - as above
        """Let only what is compared count."""
        if trial.config["name"] in self._spared:
            self.on_trial_remove(tune_controller, trial)
        else:
            super().on_trial_complete(tune_controller, trial, result)


def _scheduler(run: TrialRun) -> ASHAScheduler | None:
    if run.stopping is None:
        return None
    return _Halving(
        frozenset(name for name, trial in run.trials.items() if isinstance(trial, CandidateTrial) and trial.is_control),
        time_attr=EPOCHS,
        metric=SCORE,
        mode="max",
        max_t=run.longest,
        grace_period=min(run.stopping.grace_epochs, run.longest),
        reduction_factor=run.stopping.reduction_factor,
    )


def run_trials(run: TrialRun, listener: Listener) -> None:
    """Run all trials to their ends.

    Raises:
        UnavailableError: If Ray, or the store for a trial, was away, or the process of a trial died too often.
        Exception: What a method of the listener raised.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the database keeps the results
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"  # a beat has no score
    recorder = _Recorder(listener, run.resources)
    resources = run.resources
    trainable = tune.with_parameters(train, trials=dict(run.trials), setup=run.setup, delivery=run.delivery)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}),
        param_space={"name": tune.grid_search(list(run.trials))},
        tune_config=tune.TuneConfig(max_concurrent_trials=resources.max_concurrent, scheduler=_scheduler(run)),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(run.folder),
            callbacks=[recorder],
            stop=_Stop(listener, recorder),
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except TuneError as error:
        if recorder.error is None:
            raise UnavailableError(f"Ray Tune: {described(error)}") from error
    if recorder.error is not None:
        raise recorder.error
