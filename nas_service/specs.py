"""Specs: what a user submits, as frozen pydantic models. `catalogue.py` checks the names in them."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, model_validator

from nas_service.constraints import ATTACKED, Constraints, Objective
from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.search.aims import MOST_AIMS
from search_spaces.given import GivenModel

Item = TypeVar("Item")

MAX_SEED = 2**53 - 1  # what JSON readers keep exactly
MAX_CANDIDATES = 1000  # of a training: architectures x methods x seeds
MAX_SAMPLES = 1_000_000  # of a search, whatever the strategy


def _check_once(given: list[Item]) -> list[Item]:
    for index, entry in enumerate(given):
        if entry in given[:index]:
            message = f"entry {index} repeats entry {given.index(entry)}; every entry may be given once"
            raise ValueError(message)
    return given


def _check_gpus(count: float) -> float:
    if count > 1 and not count.is_integer():
        message = "above 1 only whole numbers are allowed: Ray shares out parts of a single GPU"
        raise ValueError(message)
    return count


EachOnce = AfterValidator(_check_once)
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Gpus = Annotated[float, Field(ge=0, le=16), AfterValidator(_check_gpus)]


class Component(GivenModel):
    """A registered thing by name, with its settings; a bare string stands for a name with default settings."""

    name: str = Field(min_length=1, max_length=100)
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: object) -> object:
        if not isinstance(given, str | dict | Component):
            raise ValueError("a name, or an object with a `name`")  # noqa: TRY004 - pydantic tells this one
        return {"name": given} if isinstance(given, str) else given


class _Spec(GivenModel):
    """Base of what is submitted: a component that is given settings but no name is the default one."""

    @model_validator(mode="before")
    @classmethod
    def _name_defaults(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        named = dict(given)
        for field, info in cls.model_fields.items():
            if isinstance(info.default, Component) and isinstance(named.get(field), dict):
                named[field] = {"name": info.default.name, **named[field]}
        return named


class MethodChoice(Component):
    """A method of a training, and where its recipe differs from the one that all methods share."""

    recipe: dict[str, Any] = Field(
        default_factory=dict,
        description='Fields of the recipe for this method only; "preset": "paper" begins from its authors\' own recipe, '
        "other names from others published.",
    )

    @property
    def component(self) -> Component:
        """The method without its recipe."""
        return Component(name=self.name, settings=self.settings)


class EarlyStopping(GivenModel):
    """Ends weak trainings early: asynchronous successive halving (ASHA, Li et al., MLSys 2020, arXiv 1810.05934)."""

    grace_epochs: int = Field(5, ge=1, le=10_000, description="Epochs that every candidate trains at least.")
    reduction_factor: int = Field(3, ge=2, le=100, description="One in so many goes on at every rung.")


class WorkerResources(GivenModel):
    """What the actors of a search take."""

    workers: int | None = Field(
        None, ge=1, le=1024, description="Ray actors; None: as many as fit, at most one a sample of the wave."
    )
    cpus_per_worker: int = Field(1, ge=1, le=1024, description="Threads of an actor; part of what makes results repeat.")
    gpus_per_worker: Gpus = Field(0.0, description="GPUs of an actor; fractions share one.")


class TrialResources(GivenModel):
    """What the trials of a training take."""

    cpus_per_trial: int = Field(1, ge=1, le=1024, description="Threads of a trial; part of what makes results repeat.")
    gpus_per_trial: Gpus = Field(0.0, description="GPUs of a trial; fractions share one.")
    max_concurrent: int = Field(2, ge=1, le=1024, description="Trials that may run at once.")
    max_failures: int = Field(
        2,
        ge=0,
        le=100,
        description="Times a trial whose process died, or that ended with an exception of its own, is tried again within an "
        "attempt at the training. After one more death another attempt goes on; after one more exception the candidate failed.",
    )


class TrainingSection(GivenModel):
    """How the best architectures are trained: architectures x methods x seeds."""

    methods: Annotated[list[MethodChoice], EachOnce] = Field(min_length=1, max_length=100, description="Binarization methods.")
    seeds: Annotated[list[Seed], EachOnce] = Field(
        [0], min_length=1, max_length=100, description="Seeds of weights and order of images."
    )
    recipe: Recipe = Field(Recipe(), description="Shared by all methods.")
    early_stopping: EarlyStopping | None = Field(None, description="Whether weak candidates are ended early, and when.")
    robustness: RobustnessSettings | None = Field(
        None, description="Whether trained candidates are attacked on the test images, and how hard."
    )
    resources: TrialResources = TrialResources()


class SearchTraining(TrainingSection):
    """The training that a search starts when it ends."""

    top_k: int = Field(
        1,
        ge=1,
        le=100,
        description="How many of the kept architectures are trained: the best, and those in order of rank that differ from all "
        "before on half of the edges or more; the best of the others where there are too few.",
    )
    controls: int = Field(
        0,
        ge=0,
        le=100,
        description="Random architectures that are trained alike, to compare with: half of them drawn uniformly, half with "
        "OPs and parameters within 10 % of the best.",
    )

    @property
    def architectures(self) -> int:
        """How many are trained, controls included."""
        return self.top_k + self.controls


class FromSearch(GivenModel):
    """Another search whose samples are a prior of this one; a bare string stands for its id."""

    search: str = Field(min_length=1, max_length=100, description="Id of the search.")
    samples: int | None = Field(
        None,
        ge=1,
        le=MAX_SAMPLES,
        description="Its first so many samples; null: all that are committed when this search is submitted, filled in then.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_id(cls, given: object) -> object:
        if not isinstance(given, str | dict | FromSearch):
            raise ValueError("the id of a search, or an object with it as `search`")  # noqa: TRY004 - as above
        return {"search": given} if isinstance(given, str) else given


class SearchSpec(_Spec):
    """One search."""

    name: str = Field("", max_length=200, description="For people; the service does not read it.")
    space: Component = Field(Component(name="abandit-general"), description="Search space.")
    dataset: Component = Field(Component(name="digits"), description="Dataset: built in or registered.")
    method: Component = Field(
        Component(name="xnor-net"),
        description="Method that binarizes the networks of samples; left out with `evaluation.own` and a training: the first of "
        "its methods.",
    )
    strategy: Component = Field(
        Component(name="abandit"),
        description="Search strategy; left out: ABanditNAS as published (Chen et al., ECCV 2020). What beats random search at "
        "equal steps, where that was measured, is screen-and-train.",
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Everything random in the search derives from it.")
    wave: int = Field(
        1,
        ge=1,
        le=1024,
        description="W, samples trained together; 1 is the published algorithm. A wave ends early where a round does.",
    )
    evaluation: EvaluationSettings = Field(EvaluationSettings(), description="How a sample is trained and scored.")
    from_search: FromSearch | None = Field(
        None,
        description="Another search, whose samples the models of abandit-plus and screen-and-train believe as far as this search "
        "bears them out.",
    )
    constraints: Constraints | None = Field(None, description="At most so much: nothing that costs more is sampled or returned.")
    objectives: Annotated[list[Objective], EachOnce] = Field(
        [],
        max_length=MOST_AIMS,
        description="One or two aims beside a high reward: costs that should be low, or a high `attacked_accuracy`, on "
        "validation images under the attack that samples are trained against; the reward is of clean images then. A Pareto set "
        "is sought and kept in place of one best. Empty: the reward alone counts.",
    )
    resources: WorkerResources = WorkerResources()
    keep: int = Field(5, ge=1, le=1000, description="How many architectures are kept, ranked.")
    training: SearchTraining | None = Field(None, description="What to train when the search ends.")

    @property
    def trades_attacked(self) -> bool:
        """Whether the accuracy under attack is an objective."""
        return ATTACKED in self.objectives

    def actors(self, cpus: float, gpus: float) -> int:
        """Return the number of Ray actors for a cluster: as asked, else as many as fit, never more than a wave needs."""
        wanted = self.resources.workers
        if wanted is None:
            wanted = int(cpus // self.resources.cpus_per_worker)
            if self.resources.gpus_per_worker:
                wanted = min(wanted, int(gpus / self.resources.gpus_per_worker))
        return max(1, min(wanted, self.wave))


class TrainingSpec(TrainingSection):
    """One training of architectures that a search found."""

    name: str = Field("", max_length=200, description="For people; the service does not read it.")
    architectures: Annotated[list[str], EachOnce] = Field(min_length=1, max_length=1000, description="Ids of architectures.")
    space: Component = Field(description="The space of the architectures, as it was searched.")
    teacher: str | None = Field(
        None,
        description="Candidate that teaches where a method or recipe needs a teacher; null: a full-precision network of the "
        "same architecture is trained first.",
    )
    dataset: Component = Field(description="Dataset: built in or registered.")


class HandMadeSpec(GivenModel):
    """A network of the literature, to be trained beside what was found."""

    network: str = Field("resnet-20", max_length=100, description="A reference network: a space of one architecture.")
    channels: int | None = Field(
        None,
        ge=2,
        le=1024,
        description="Width of its first cells; null: that with which its OPs are nearest to those of the training's first "
        "architecture, counted for the first method.",
    )
    methods: Annotated[list[str], EachOnce] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Names of those methods of the training that it is trained with; null: the first, and all with which the "
        "OPs are alike at its width.",
    )


class RegistrationSpec(GivenModel):
    """A folder or file under the data root, to be known by a name."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100, description="Lower-case words joined by hyphens.")
    kind: str = Field(
        min_length=1, max_length=100, description="A built-in dataset that reads files: image-folder, parquet or cifar10."
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the kind.")

    @property
    def component(self) -> Component:
        """What the name will stand for."""
        return Component(name=self.kind, settings=self.settings)


class LocalTrainingSpec(_Spec):
    """One training in this process, without a service."""

    space: Component = Field(Component(name="abandit-general"), description="Search space of the genotype.")
    dataset: Component = Field(Component(name="digits"), description="Built-in dataset.")
    method: MethodChoice = Field(MethodChoice(name="xnor-net"), description="Binarization method.")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Seed of weights and order of images.")
    recipe: Recipe = Field(Recipe(), description="How it is trained.")
    robustness: RobustnessSettings | None = Field(None, description="Whether it is attacked on the test images, and how hard.")
