"""Waves on real Ray actors: the result is that of one plain process, whoever answers first and whoever dies."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from nas_service.data.dataset import ImageDataset
from nas_service.search.loop import Evaluation
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.training.state.path_weights import Weights
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from nas_service.training.supernet.trainer import SupernetTrainer
from search_spaces.genotype import Genotype
from tests.samples import digits, random_genotype
from workers.cluster import connected
from workers.delivery import Delivery
from workers.ray_evaluator import RayEvaluator, SampleFacts
from workers.supernet_worker import StoreShelf, build_search

pytestmark = pytest.mark.ray

SPEC = SearchSpec.model_validate(
    {"space": "tiny", "wave": 4, "evaluation": {"max_steps": 2, "train_fraction": 0.2, "validation_images": 120}}
)
SPACE = build_search(SPEC)[0].space
WAVES = [[random_genotype(SPACE, seed) for seed in (1, 2, 3)], [random_genotype(SPACE, seed) for seed in (4, 5)]]


@pytest.fixture(scope="module")
def dataset() -> ImageDataset:
    return digits().without_test()


@pytest.fixture(scope="module", autouse=True)
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home: Path = tmp_path_factory.mktemp("ray")
    with connected(Settings(home=home, object_store_bytes=100_000_000)):
        yield


@pytest.fixture(scope="module")
def expected(dataset: ImageDataset) -> tuple[list[tuple[float, float | None]], Weights]:
    """Return rewards, losses and final weights of the same waves in this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(SPEC.resources.cpus_per_worker)
    evaluator = LocalEvaluator(SupernetTrainer(build_search(SPEC)[0], dataset, torch.device("cpu")))
    evaluations = _run(evaluator, WAVES)
    torch.set_num_threads(threads)
    return _figures(evaluations), evaluator.trainer.weights()


def _run(evaluator: LocalEvaluator | RayEvaluator, waves: Sequence[Sequence[Genotype]]) -> list[Evaluation]:
    evaluations: list[Evaluation] = []
    for wave in waves:
        evaluations += evaluator.evaluate(len(evaluations), wave)
    return evaluations


def _figures(evaluations: Sequence[Evaluation]) -> list[tuple[float, float | None]]:
    return [(evaluation.reward, evaluation.loss) for evaluation in evaluations]


def _equal(left: Weights, right: Weights) -> bool:
    return set(left) == set(right) and all(torch.equal(left[name], right[name]) for name in left)


class _Holder:
    """Holds a processor."""


class _Watch:
    """Never asks a wait to end, and keeps what it was told."""

    def __init__(self) -> None:
        self.marks = 0
        self.took: list[float] = []
        self.waits: list[str] = []
        self.held: list[tuple[float, float]] = []

    def check(self) -> None:
        """Let it go on."""

    def mark(self, took_s: float | None = None, *, known: bool | None = None) -> None:
        """Count."""
        self.marks += 1
        assert (took_s is not None) == (known is True)
        self.took += [] if took_s is None else [took_s]

    def holds(self, cpus: float, gpus: float) -> None:
        """Keep it."""
        self.held.append((cpus, gpus))

    def wait_for(self, reason: str) -> None:
        """Keep the reason."""
        self.waits.append(reason)

    def go_on(self) -> None:
        """Take no note of it."""


@pytest.mark.parametrize("slow", [None, pytest.param(0, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.slow)])
def test_the_result_is_that_of_one_process_whichever_actor_answers_first(
    slow: int | None, dataset: ImageDataset, expected: tuple[list[tuple[float, float | None]], Weights]
) -> None:
    evaluator = RayEvaluator(SPEC, Delivery(dataset), 2, _Watch())
    ray.get([worker.__ray_ready__.remote() for worker in evaluator._workers])
    if slow is not None:
        evaluator._workers[slow].__ray_call__.remote(lambda _: time.sleep(4))
    evaluations = _run(evaluator, WAVES)
    assert _figures(evaluations) == expected[0]
    assert _equal(evaluator.weights, expected[1])
    if slow is None:  # else the other actor may have done everything before the slow one was ready for a sample
        assert len({evaluation.worker for evaluation in evaluations}) == 2
    for worker in evaluator._workers:
        assert _equal(ray.get(worker.weights.remote()).split(), expected[1])


@pytest.mark.slow
def test_what_is_usual_is_counted_in_the_longest_samples(dataset: ImageDataset) -> None:
    """Else the first whole training after many short ones would be taken for a stall."""
    plain, short = _Watch(), _Watch()
    for watch, share in ((plain, 1.0), (short, 1e-6)):
        evaluator = RayEvaluator(SPEC, Delivery(dataset), 1, watch, samples=SampleFacts(lambda _, share=share: share))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        evaluator.evaluate(0, WAVES[1])
    assert min(short.took) > 1000 * max(plain.took)


@pytest.mark.slow
def test_a_training_that_is_taken_up_says_nothing_of_how_long_one_takes(dataset: ImageDataset, tmp_path: Path) -> None:
    """Else the next one, which has to be made, would be taken for a stall."""
    own = {"own": {"recipe": {"epochs": 1, "max_steps_per_epoch": 2}}}
    spec = SearchSpec.model_validate({"space": "tiny", "strategy": "random", "evaluation": own})
    samples = SampleFacts(shelf=StoreShelf(str(tmp_path), "search"))
    found = []
    for wave, took in ((WAVES[0][:2], 2), (WAVES[0], 1)):
        watch = _Watch()
        found.append(RayEvaluator(spec, Delivery(dataset), 1, watch, samples=samples).evaluate(0, wave))
        assert len(watch.took) == took
    assert [entry.taken_up for entry in found[1]] == [True, True, False]
    assert _figures(found[0]) == _figures(found[1][:2])


@pytest.mark.slow
def test_an_actor_that_finds_no_place_does_not_stop_the_search(
    dataset: ImageDataset, expected: tuple[list[tuple[float, float | None]], Weights]
) -> None:
    """Somebody else's actor holds the second processor for good."""
    holder: Any = ray.remote(_Holder).options(num_cpus=1).remote()
    ray.get(holder.__ray_ready__.remote())
    evaluator = RayEvaluator(SPEC, Delivery(dataset), 2, _Watch())
    evaluations = _run(evaluator, WAVES)
    assert _figures(evaluations) == expected[0]
    assert len({evaluation.worker for evaluation in evaluations}) == 1
    ray.kill(holder)


def test_an_actor_that_dies_is_replaced_and_its_sample_evaluated_anew(
    dataset: ImageDataset, expected: tuple[list[tuple[float, float | None]], Weights]
) -> None:
    watch = _Watch()
    evaluator = RayEvaluator(SPEC, Delivery(dataset), 2, watch)
    first = list(evaluator.evaluate(0, WAVES[0]))
    assert max(watch.held) > watch.held[0] == (0, 0)
    ray.kill(evaluator._workers[1])
    second = list(evaluator.evaluate(3, WAVES[1]))
    assert all(held == (held[0], 0) and held[0] in {0, 1, 2} for held in watch.held), "a CPU an actor that is there"
    assert _figures(first + second) == expected[0]
    assert _equal(evaluator.weights, expected[1])


@pytest.mark.slow
def test_samples_are_signs_of_progress_and_a_missing_place_is_said(dataset: ImageDataset) -> None:
    """Both processors are taken for good: it waits, says for what, and goes on when one is given back."""
    holders: list[Any] = [ray.remote(_Holder).options(num_cpus=1).remote() for _ in range(2)]
    ray.get([holder.__ray_ready__.remote() for holder in holders])
    watch = _GivesBack(holders)
    evaluator = RayEvaluator(SPEC, Delivery(dataset), 1, watch)
    assert watch.waits == ["a place on the cluster: 1 CPU(s) are not free, other work has them"]
    assert watch.marks > 0
    assert watch.took == []  # that an actor is there and has given its weights says nothing of how long a sample takes
    evaluations = evaluator.evaluate(0, WAVES[0])
    assert [took >= evaluation.seconds for took, evaluation in zip(watch.took, evaluations, strict=True)] == [True] * 3
    ray.kill(evaluator._workers[0])


@pytest.mark.slow
def test_a_sample_took_as_long_as_its_actor_had_it_whatever_others_answered(dataset: ImageDataset) -> None:
    watch = _Watch()
    evaluator = RayEvaluator(SPEC, Delivery(dataset), 2, watch)
    evaluator.evaluate(0, WAVES[0])
    ray.get(list(evaluator._loading))
    evaluator._workers[0].__ray_call__.remote(lambda _: time.sleep(4))
    watch.took.clear()
    evaluator.evaluate(3, WAVES[0])
    assert max(watch.took) > 3.9  # the others came meanwhile


class _GivesBack(_Watch):
    """Ends those that hold the processors when it is told that they are missing."""

    def __init__(self, holders: list[Any]) -> None:
        super().__init__()
        self._holders = holders

    def wait_for(self, reason: str) -> None:
        super().wait_for(reason)
        while self._holders:
            ray.kill(self._holders.pop())


class _EndError(Exception):
    """A wish to end."""


class _Impatient(_Watch):
    """Asks for the end when it is first asked after `armed`, which says when that was."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = False
        self.asked = 0

    def check(self) -> None:
        if self.armed:
            self.asked += 1
            raise _EndError


@pytest.mark.slow
def test_a_wish_to_end_is_heard_while_a_sample_runs(dataset: ImageDataset) -> None:
    watch = _Impatient()
    evaluator = RayEvaluator(SPEC, Delivery(dataset), 1, watch)
    sleeping = evaluator._workers[0].__ray_call__.remote(lambda _: time.sleep(60))
    watch.armed = True
    with pytest.raises(_EndError):
        evaluator.evaluate(0, WAVES[0])
    assert ray.wait([sleeping], timeout=0)[0] == []  # it sleeps on, and nobody waited for it
    ray.kill(evaluator._workers[0])


class _Hanging:
    """Is placed, and does not get ready."""

    def __init__(self, *_: object) -> None:
        time.sleep(30)


class _GoesOn(_GivesBack):
    """Asks for the end when it hears that nothing is missing any more."""

    def __init__(self, holders: list[Any]) -> None:
        super().__init__(holders)
        self.gone_on = False

    def check(self) -> None:
        if self.gone_on:
            raise _EndError

    def go_on(self) -> None:
        self.gone_on = True


@pytest.mark.slow
def test_an_actor_that_has_its_place_and_is_silent_waits_for_none_although_nothing_is_free(dataset: ImageDataset) -> None:
    """It takes every processor, and nobody else has any."""
    holders: list[Any] = [ray.remote(_Holder).options(num_cpus=1).remote() for _ in range(2)]
    ray.get([holder.__ray_ready__.remote() for holder in holders])
    processors = int(ray.cluster_resources()["CPU"])  # type: ignore[no-untyped-call]  # Ray does not annotate it
    greedy = SPEC.model_copy(update={"resources": SPEC.resources.model_copy(update={"cpus_per_worker": processors})})
    watch = _GoesOn(holders)
    with pytest.raises(_EndError):
        RayEvaluator(greedy, Delivery(dataset), 1, watch, _Hanging)
    assert len(watch.waits) == 1
