"""Operations renamed on every edge: what an operation is worth on one edge then says nothing of the others.

Each edge of each cell type gets a permutation of its operations of its own, drawn from a seed. Accuracies stay what they are,
only what they are told of changes: so a model that takes an operation to be worth the same everywhere is as wrong as it can be,
and one of the arms of single edges is as right as before.
"""

from collections.abc import Sequence

from nas_service.search.history import derived_random, permutation
from nas_service.search.liveness import places
from nas_service.search.loop import Evaluation, Evaluator
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SearchSpace


class Names:
    """What the arms of a space are in truth, for a seed."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        """Draw one permutation an edge and cell type."""
        self._meant: dict[Choice, Choice] = {}
        for keys in places(space):
            order = permutation(derived_random(seed, "names", keys[0].cell, keys[0].edge), len(keys))
            self._meant |= {key: keys[place] for key, place in zip(keys, order, strict=True)}

    def meant(self, genotype: Genotype) -> Genotype:
        """Return the genotype that is meant by `genotype`."""
        return Genotype(genotype.space, tuple(self._meant[Choice(*choice)] for choice in genotype.choices))


class RenamedEvaluator:
    """Answers as another evaluator does of what is meant."""

    def __init__(self, evaluator: Evaluator, names: Names) -> None:
        """Ask `evaluator`."""
        self._evaluator, self._names = evaluator, names

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> Sequence[Evaluation]:
        """Return one evaluation a genotype."""
        return self._evaluator.evaluate(first_index, [self._names.meant(genotype) for genotype in genotypes])
