"""The bridge to Ray Tune: what trials tell reaches the listener, and what a listener raises is raised as it was."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_service.errors import LateResultError, UnavailableError
from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.recipes.recipe import Recipe
from nas_service.reports import EpochReport
from nas_service.settings import Settings
from nas_service.specs import Component, EarlyStopping, TrialResources
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.keys import checkpoint_key, full_precision_key
from nas_service.tasks import CandidateTask, NetworkSource
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype
from workers.cluster import connected
from workers.delivery import Delivery
from workers.trial import Attacked, Began, CandidateTrial, Done, Failed, FullPrecisionTrial, News, Trial, TrialSetup
from workers.tune_bridge import TrialRun, run_trials

pytestmark = pytest.mark.ray

SHORT: dict[str, Any] = {"epochs": 3, "max_steps_per_epoch": 2}


@pytest.fixture(scope="module", autouse=True)
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with connected(Settings(home=tmp_path_factory.mktemp("ray"), object_store_bytes=100_000_000)):
        yield


class _Listener:
    """Keeps what it is told, in words; `react` may raise."""

    def __init__(self, react: Callable[[str, News], None] = lambda _name, _news: None) -> None:
        self.heard: list[tuple[str, str]] = []
        self.news: list[News] = []
        self.should_end = False
        self.held: set[tuple[float, float]] = set()
        self._react = react

    def started(self, name: str) -> None:
        """Keep it."""
        self.heard.append((name, "started"))

    def told(self, name: str, news: News) -> None:
        """Keep it."""
        self.heard.append((name, type(news).__name__))
        self.news.append(news)
        self._react(name, news)

    def stopped(self, name: str) -> None:
        """Keep it."""
        self.heard.append((name, "stopped"))

    def failed(self, name: str, error: str) -> None:
        """Keep it."""
        self.heard.append((name, f"failed: {error}"))

    def holds(self, cpus: float, gpus: float) -> None:
        """Keep it."""
        self.held.add((cpus, gpus))

    def wait_for(self, reason: str) -> None:
        """Keep it."""
        self.heard.append(("", reason))

    def go_on(self) -> None:
        """Keep it."""
        self.heard.append(("", "go on"))

    def of(self, name: str) -> list[str]:
        """Return what was heard of a trial, in order, but for beats: how many there are is a matter of the machine's speed."""
        return [what for who, what in self.heard if who == name and what != "Beat"]


def _candidate(name: str, method: str = "bnn", teacher: NetworkSource | None = None, **recipe: Any) -> CandidateTrial:  # noqa: ANN401 - fields of a recipe
    attacked = recipe.pop("attacked", False)
    task = CandidateTask(
        candidate_id=name,
        space=Component(name="tiny"),
        genotype=tiny_genotype(),
        method=Component(name=method),
        dataset=Component(name="digits"),
        recipe=Recipe.model_validate({**SHORT, **recipe}),
        seed=0,
        bundled_test_bytes=0,
        robustness=RobustnessSettings(eps=0.1, images=4, restarts=1, transfer=False) if attacked else None,
    )
    return CandidateTrial(task, checkpoint_key(name), teacher)


def _run(
    listener: _Listener,
    trials: Mapping[str, Trial],
    folder: Path,
    *,
    url: str | None = None,
    stopping: EarlyStopping | None = None,
    max_failures: int = 0,
) -> ArtifactStore:
    store = url or (folder / "store").as_uri()
    resources = TrialResources(max_concurrent=2, max_failures=max_failures)
    setup = TrialSetup(store, cpus=1, gpus=0.0, checkpoint_every_s=0.0)
    run_trials(TrialRun(trials, setup, Delivery(digits()), resources, stopping, 8, folder / "tune"), listener)
    return ArtifactStore(store)


def test_a_candidate_tells_its_story_and_leaves_its_files(tmp_path: Path) -> None:
    listener = _Listener()
    store = _run(listener, {"a": _candidate("a", attacked=True)}, tmp_path)
    assert listener.held == {(0.0, 0.0), (1.0, 0.0)}, "before it has a process, and then"
    told = listener.of("a")
    attacks = told.count("Attacked")
    expected = ["started", "Began", "EpochReport", "EpochReport", "Attacking", *["Attacked"] * attacks, "Exporting", "Done"]
    assert told == expected
    done = listener.news[-1]
    assert isinstance(done, Done)
    assert done.metrics is not None
    assert done.last.epoch == 2
    assert done.metrics.robustness is not None
    told_of = {news.attack: news.accuracy for news in listener.news if isinstance(news, Attacked)}
    assert told_of.items() >= done.metrics.robustness.accuracies.items()
    assert done.attack_seconds is not None
    assert 0 < done.attack_seconds < done.last.seconds * 1000
    assert {kind: store.exists(stored.key) for kind, stored in done.files.items()} == {"bundle": True, "safetensors": True}
    assert store.get(done.files["bundle"].key) is not None


@pytest.mark.slow
def test_a_full_precision_network_is_kept_under_its_key_and_teaches(tmp_path: Path) -> None:
    plan = FullPrecisionPlan(SPACES.get("tiny"), tiny_genotype(), Recipe.model_validate(SHORT), "digits")
    key = full_precision_key(plan.digest)
    listener = _Listener()
    store = _run(listener, {"f": FullPrecisionTrial(plan, "trainings/t/f.safetensors", key)}, tmp_path)
    assert listener.of("f") == ["started", "Began", "EpochReport", "EpochReport", "Done"]
    assert store.exists(key)
    taught = _Listener()
    trial = _candidate("a", teacher=NetworkSource(key, tiny_genotype()), distillation=0.5)
    _run(taught, {"a": trial}, tmp_path)
    assert taught.of("a")[-1] == "Done"


@pytest.mark.slow
def test_a_trial_goes_on_from_its_checkpoint_and_says_so(tmp_path: Path) -> None:
    """The first run is stopped after an epoch; the second one tells that epoch again and ends as a whole training does."""
    whole = _Listener()
    _run(whole, {"a": _candidate("a", epochs=6)}, tmp_path / "whole")

    def stop(_: str, news: News) -> None:
        if isinstance(news, EpochReport) and news.epoch == 2:
            cut.should_end = True

    cut = _Listener(stop)
    _run(cut, {"a": _candidate("a", epochs=6)}, tmp_path / "cut")
    assert "Done" not in cut.of("a")
    again = _Listener()
    _run(again, {"a": _candidate("a", epochs=6)}, tmp_path / "again", url=(tmp_path / "cut" / "store").as_uri())
    began = again.news[0]
    assert isinstance(began, Began)
    assert began.resumed_from >= 3
    first, second = (
        [news.model_copy(update={"seconds": 0}) for news in run.news if isinstance(news, EpochReport)] for run in (whole, again)
    )
    assert first == second


def test_what_a_listener_raises_first_ends_all_trials_and_is_raised_as_it_was(tmp_path: Path) -> None:
    def refuse(_: str, news: News) -> None:
        if isinstance(news, EpochReport):
            raise LateResultError("attempt 1 is over")

    listener = _Listener(refuse)
    with pytest.raises(LateResultError, match="attempt 1 is over"):
        _run(listener, {name: _candidate(name, epochs=200) for name in "ab"}, tmp_path)
    assert [what for _, what in listener.heard].count("EpochReport") == 1  # nothing is told after it
    assert "Done" not in [what for _, what in listener.heard]


@pytest.mark.slow
def test_a_wish_to_end_stops_all_trials_without_a_word_about_them(tmp_path: Path) -> None:
    def end(_: str, news: News) -> None:
        listener.should_end = listener.should_end or isinstance(news, EpochReport)

    listener = _Listener(end)
    _run(listener, {name: _candidate(name, epochs=200) for name in "ab"}, tmp_path)
    assert not {"Done", "stopped"} & {what for _, what in listener.heard}


@pytest.mark.slow
def test_what_is_wrong_with_a_candidate_itself_is_told_at_once_and_not_tried_again(tmp_path: Path) -> None:
    gone = NetworkSource("teachers/gone.safetensors", tiny_genotype())
    listener = _Listener()
    trials = {"a": _candidate("a", teacher=gone, distillation=0.5), "b": _candidate("b")}
    _run(listener, trials, tmp_path, max_failures=5)
    assert listener.of("a") == ["started", "Failed"]
    (failed,) = [news for news in listener.news if isinstance(news, Failed)]
    assert failed.error == "the artifact store has lost the network teachers/gone.safetensors"
    assert listener.of("b")[-1] == "Done"


@pytest.mark.slow
def test_a_trial_whose_process_dies_too_often_ends_the_attempt_and_did_not_fail(tmp_path: Path) -> None:
    """Memory, a node or somebody ended it: another attempt at the training may go on, with the others as they are."""

    def kill(name: str, news: News) -> None:
        if name == "a" and isinstance(news, Began):
            os.kill(int(news.worker.rpartition(":")[2]), signal.SIGKILL)

    listener = _Listener(kill)
    trials = {"a": _candidate("a", epochs=200), "b": _candidate("b", epochs=10_000)}
    with pytest.raises(UnavailableError, match=r"^the process of trial a died: [A-Za-z]+: The actor died"):
        _run(listener, trials, tmp_path, max_failures=1)
    assert listener.of("a") == ["started", "Began"] * 2
    assert not {"failed", "stopped", "Done"} & {what.partition(":")[0] for what in listener.of("b")}


@pytest.mark.slow
def test_an_exception_of_a_trials_own_is_a_failure_in_its_own_words(tmp_path: Path) -> None:
    listener = _Listener()
    _run(listener, {"a": _candidate("a", "no-such-method"), "b": _candidate("b")}, tmp_path)
    (failed,) = [what for what in listener.of("a") if what.startswith("failed")]
    assert failed.startswith("failed: unknown binarization method 'no-such-method'")
    assert listener.of("b")[-1] == "Done"


@pytest.mark.slow
def test_a_store_that_is_away_is_no_fault_of_the_candidate(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    listener = _Listener()
    with pytest.raises(UnavailableError):
        _run(listener, {"a": _candidate("a")}, tmp_path, url=(tmp_path / "file" / "below").as_uri())
    assert not [what for _, what in listener.heard if what.startswith("failed")]


@pytest.mark.slow
def test_weak_trials_are_stopped_early_and_told_of(tmp_path: Path) -> None:
    weak = _candidate("weak", "xnor-net", learning_rate=1e-9, epochs=8, max_steps_per_epoch=8)
    trials = {"good": _candidate("good", epochs=8, max_steps_per_epoch=8), "weak": weak}
    listener = _Listener()
    _run(listener, trials, tmp_path, stopping=EarlyStopping(grace_epochs=1, reduction_factor=2))
    assert listener.of("good")[-1] in {"Done", "stopped"}
    assert {listener.of(name)[-1] for name in trials} == {"Done", "stopped"}


@pytest.mark.slow
def test_a_control_is_not_ended_early_and_ends_nobody(tmp_path: Path) -> None:
    """The weak one goes on though it is worse than the good one at every rung; alone among those compared, that one does too."""
    weak = _candidate("weak", "xnor-net", learning_rate=1e-9, epochs=8, max_steps_per_epoch=8)
    trials = {"good": _candidate("good", epochs=8, max_steps_per_epoch=8), "weak": replace(weak, is_control=True)}
    listener = _Listener()
    _run(listener, trials, tmp_path, stopping=EarlyStopping(grace_epochs=1, reduction_factor=2))
    assert [listener.of(name)[-1] for name in trials] == ["Done", "Done"]
