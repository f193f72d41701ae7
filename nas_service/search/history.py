"""History: the committed samples of a search in order, all that a strategy may know."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype


@dataclass(frozen=True)
class Sample:
    """One evaluated path.

    Attributes:
        index: Place in the history, from 0.
        genotype: What was evaluated.
        reward: Validation accuracy, or another score of a short training, in [0, 1]; 0 where the training diverged.
        parent_reward: The same of its full-precision parent; None unless the strategy asked for it (`needs_parent`).
        fidelity: Share of a whole training that it was; rewards of different ones are not alike. 1 with shared weights.
        attacked: Validation accuracy under the attack that it was trained against; None where there was none, or it diverged.
    """

    index: int
    genotype: Genotype
    reward: float
    parent_reward: float | None = None
    fidelity: float = 1.0
    attacked: float | None = None


History = Sequence[Sample]


def under_attack(history: History) -> History:
    """Return the samples with their accuracies under attack for rewards: 0 where the training diverged.

    Raises:
        InvalidFieldError: If a sample was not attacked.
    """
    for sample in history:
        if sample.attacked is None and sample.reward > 0:
            raise InvalidFieldError(f"history.{sample.index}.attacked", None, "an accuracy under attack, which is an objective")
    return tuple(replace(sample, reward=sample.attacked or 0.0) for sample in history)


def derived_random(seed: int, *path: object) -> random.Random:
    """Return a generator that depends on `seed` and `path` alone, the same on every machine and Python version.

    Only its `random()` is used by strategies: the other methods may change between Python versions.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))  # noqa: S311 - not for secrets


def permutation(generator: random.Random, length: int) -> list[int]:
    """Return 0..length-1 in random order, from `random()` alone."""
    keys = [generator.random() for _ in range(length)]
    return sorted(range(length), key=keys.__getitem__)
