"""Tasks: what is to be trained, as typed, plain values that cross processes. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.recipes.recipe import Recipe
from nas_service.specs import Component
from search_spaces.genotype import Genotype


@dataclass(frozen=True)
class CandidateTask:
    """A candidate, from its architecture to its bundle.

    Attributes:
        candidate_id: Id in the service that makes it; empty outside of one.
        space: As it was searched.
        genotype: The architecture.
        method: That binarizes it.
        dataset: That it learns.
        recipe: How it is trained.
        seed: Of weights and order of images.
        robustness: How it is attacked when it is trained; None: not at all.
        search: Facts about the search that found the architecture, if one did.
        bundled_test_bytes: Test images up to this size go into the bundle.
    """

    candidate_id: str
    space: Component
    genotype: Genotype
    method: Component
    dataset: Component
    recipe: Recipe
    seed: int
    bundled_test_bytes: int
    robustness: RobustnessSettings | None = None
    search: Mapping[str, Any] | None = None

    @property
    def transfers(self) -> bool:
        """Whether it is attacked from a full-precision network."""
        return self.robustness is not None and self.robustness.transfer


@dataclass(frozen=True)
class NetworkSource:
    """Where a trained network lies.

    Attributes:
        key: Its weights, in the artifact store.
        genotype: Its architecture.
        method: That it was trained with; None: full precision.
    """

    key: str
    genotype: Genotype
    method: Component | None = None
