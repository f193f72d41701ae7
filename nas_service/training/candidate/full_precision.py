"""Full-precision networks of a candidate's genotype: what it learns from, and what transfer attacks follow.

One depends on its plan alone, so it is trained once, kept under the digest of the plan, and shared by methods and seeds.
"""

import hashlib
import json
from dataclasses import dataclass

import torch

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.method import Method, MethodSettings
from nas_service.binarization.network import binary_network
from nas_service.data.dataset import ImageDataset
from nas_service.recipes.recipe import Recipe
from nas_service.reports import Beat, no_beat
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.state.checkpoint import Checkpoint
from search_spaces.genotype import Genotype
from search_spaces.network import CellStack, ImageFormat
from search_spaces.space import SearchSpace

_SEED = 0


@dataclass(frozen=True)
class FullPrecisionPlan:
    """The candidate's genotype and recipe, less what asks for a teacher, for binary weights or for attacks.

    Attributes:
        space: As it was searched.
        genotype: The architecture.
        recipe: Of the candidates.
        dataset: Digest of all that it is shown (`ImageDataset.lesson`).
    """

    space: SearchSpace
    genotype: Genotype
    recipe: Recipe
    dataset: str

    @property
    def own_recipe(self) -> Recipe:
        """How the network itself is trained."""
        return self.recipe.of_teacher()

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the network depends on, in hexadecimal."""
        facts = [repr(self.space), self.genotype.to_dict(), self.own_recipe.model_dump(mode="json"), self.dataset, _SEED]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def trainer(self, dataset: ImageDataset, device: torch.device, beat: Beat = no_beat) -> CandidateTrainer:
        """Return what trains it."""
        method = FullPrecision(MethodSettings())
        plan = CandidatePlan(self.space, self.genotype, method, self.own_recipe, _SEED)
        return CandidateTrainer(plan, dataset, device, beat=beat)


def load_network(space: SearchSpace, genotype: Genotype, method: Method | None, image: ImageFormat, content: bytes) -> CellStack:
    """Return the network whose weights `content` holds: full precision without a `method`, else one that it trained."""
    network = binary_network(space, genotype, method or FullPrecision(MethodSettings()), image)
    network.load_state_dict(Checkpoint.from_bytes(content).tensors)
    return network.eval()
