"""Teachers: full-precision networks of the same genotype that students look at while they train.

A teacher depends on its plan alone, so it is trained once, kept under the digest of the plan, and shared by methods and seeds.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.method import Method, MethodSettings
from nas_service.binarization.network import binary_network
from nas_service.data.dataset import ImageDataset
from nas_service.recipes.recipe import Recipe
from nas_service.reports import EpochReport
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.state.checkpoint import Checkpoint
from search_spaces.genotype import Genotype
from search_spaces.network import CellStack, ImageFormat
from search_spaces.space import SearchSpace

_SEED = 0


@dataclass(frozen=True)
class TeacherPlan:
    """What a teacher is: the student's genotype and recipe, less what asks for a teacher, for binary weights or for attacks.

    So the same network also serves transfer attacks: it is trained on clean images.

    Attributes:
        space: As it was searched.
        genotype: The architecture.
        recipe: Of the student.
        dataset: Name and settings, as JSON.
    """

    space: SearchSpace
    genotype: Genotype
    recipe: Recipe
    dataset: str

    @property
    def own_recipe(self) -> Recipe:
        """How the teacher itself is trained."""
        return self.recipe.of_teacher()

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the teacher depends on, in hexadecimal."""
        facts = [repr(self.space), self.genotype.to_dict(), self.own_recipe.model_dump(mode="json"), self.dataset, _SEED]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class TeacherTrainer:
    """Trains a teacher."""

    def __init__(self, plan: TeacherPlan, dataset: ImageDataset, device: torch.device) -> None:
        """Build the network."""
        method = FullPrecision(MethodSettings())
        self._trainer = CandidateTrainer(
            CandidatePlan(plan.space, plan.genotype, method, plan.own_recipe, _SEED), dataset, device
        )

    def fit(self) -> Iterator[EpochReport]:
        """Train, yielding after every epoch."""
        return self._trainer.fit()

    @property
    def network(self) -> CellStack:
        """The teacher."""
        return self._trainer.network

    def to_bytes(self) -> bytes:
        """Return the weights as a file."""
        return Checkpoint(self._trainer.network.state_dict(), {}).to_bytes()


def load_teacher(space: SearchSpace, genotype: Genotype, method: Method | None, image: ImageFormat, content: bytes) -> CellStack:
    """Return the network whose weights `content` holds: full precision without a `method`, else one that it trained."""
    network = binary_network(space, genotype, method or FullPrecision(MethodSettings()), image)
    network.load_state_dict(Checkpoint.from_bytes(content).tensors)
    return network.eval()
