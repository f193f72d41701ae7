"""A search in one plain process, without Ray and without a database."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from nas_service.search.loop import Evaluation
from nas_service.training.supernet.parent_child import PathTrainer
from nas_service.training.supernet.trainer import merge
from search_spaces.genotype import Genotype


class LocalEvaluator:
    """Evaluates the samples of a wave one after another in this process; the result is that of any number of actors."""

    def __init__(self, trainer: PathTrainer) -> None:
        """Keep the trainer, which holds the shared weights."""
        self.trainer = trainer

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> Sequence[Evaluation]:
        """Train and score each path from the same weights, then load the merged ones."""
        paths = [self.trainer.evaluate(first_index + offset, genotype) for offset, genotype in enumerate(genotypes)]
        merged: Mapping[str, Tensor] = merge([path.weights for path in paths])
        self.trainer.load(merged)
        return [path.evaluation for path in paths]
