"""The search loop: ask the strategy, evaluate a wave, commit, repeat. Knows neither torch nor Ray nor a database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nas_service.search.history import History, Sample
from nas_service.search.strategy import Strategy
from search_spaces.genotype import Genotype


@dataclass(frozen=True)
class Evaluation:
    """What came of one sampled path.

    Attributes:
        reward: Validation accuracy, or another score of a short training, in [0, 1]; 0 if the training diverged.
        loss: Mean training loss; None if the training diverged.
        diverged: Whether loss or weights stopped being finite; the weights were not kept.
        seconds: Wall time of training and scoring, when that was done.
        worker: Who did it.
        clean_accuracy: On validation, in [0, 1]; None if the training diverged.
        attacked_accuracy: The same under attack; None without adversarial training, or if it diverged.
        parent_reward: Validation accuracy of the full-precision parent, where the strategy asks for it (`needs_parent`).
        steps: Optimizer steps that it took.
        taken_up: Whether it was trained before, so that nothing was to be done but to look it up.
    """

    reward: float
    loss: float | None
    diverged: bool
    seconds: float
    worker: str = "local"
    clean_accuracy: float | None = None
    attacked_accuracy: float | None = None
    parent_reward: float | None = None
    steps: int = 0
    taken_up: bool = False


@dataclass(frozen=True)
class Wave:
    """Samples that were evaluated together from the same shared weights, and the history that now ends with them."""

    samples: tuple[Sample, ...]
    evaluations: tuple[Evaluation, ...]
    history: History


class Evaluator(Protocol):
    """Evaluates a wave and merges its weights, so that the next wave starts from them."""

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> Sequence[Evaluation]:
        """Return one evaluation a genotype, in order; sample indices count up from `first_index`."""
        ...


def run_search(
    strategy: Strategy, evaluator: Evaluator, history: History, wave_size: int, commit: Callable[[Wave], None]
) -> History:
    """Carry a search from `history` to its end and return the whole history.

    `commit` is called after every wave; what it raises ends the search there.
    """
    done = tuple(history)
    while genotypes := strategy.suggest(done, wave_size):
        evaluations = tuple(evaluator.evaluate(len(done), genotypes))
        samples = tuple(
            Sample(index, genotype, one.reward, one.parent_reward, strategy.fidelity(index), one.attacked_accuracy)
            for index, (genotype, one) in enumerate(zip(genotypes, evaluations, strict=True), len(done))
        )
        done = (*done, *samples)
        commit(Wave(samples, evaluations, done))
    return done
