"""Recipes: how a network's weights are optimised, shared by all methods unless a user says otherwise."""

import math
from enum import StrEnum

from pydantic import Field, ValidationInfo, field_validator

from nas_service.recipes.acceleration import Acceleration
from nas_service.recipes.adversarial import AdversarialSearch, AdversarialTraining
from nas_service.recipes.cp_loss import CpLossSettings
from search_spaces.given import GivenModel

MOST = 1_000_000_000  # of steps and images, where nothing else bounds them
_EXPONENTIAL_END = 3e-4


class OptimizerName(StrEnum):
    """Optimizers on offer."""

    ADAM = "adam"
    SGD = "sgd"  # with Nesterov momentum 0.9


class Schedule(StrEnum):
    """How the learning rate falls from its peak over a phase."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"
    EXPONENTIAL = "exponential"  # to 3e-4 of the peak, as BinaryNet's 1e-3 to 3e-7
    STEP = "step"  # a tenth at every milestone


class TaskLoss(StrEnum):
    """What the labels ask of the logits."""

    CROSS_ENTROPY = "cross-entropy"
    SQUARED_HINGE = "squared-hinge"  # BinaryNet: mean of max(0, 1 - t y)^2 with targets t of -1 and +1


class Recipe(GivenModel):
    """How one candidate is trained.

    Binary networks are usually trained with Adam: its second moment revives weights whose gradients died (AdamBNN, ICML 2021).
    """

    epochs: int = Field(30, ge=1, le=10_000, description="Passes over the training images.")
    batch_size: int = Field(64, ge=2, le=65_536, description="Images in a step.")
    optimizer: OptimizerName = Field(OptimizerName.ADAM, strict=False, description="adam, or sgd with Nesterov momentum 0.9.")
    learning_rate: float = Field(0.005, gt=0, le=10, description="Peak learning rate.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="On weights of convolutions and of the classifier.")
    schedule: Schedule = Field(
        Schedule.COSINE,
        strict=False,
        description="cosine or linear (both to 0), exponential (to 3e-4), step (see milestones) or constant.",
    )
    milestones: tuple[float, ...] = Field(
        (0.5, 0.75), strict=False, description="For step: where the rate falls to a tenth, as shares of a phase."
    )
    warmup_epochs: float = Field(0.0, ge=0, le=1000, description="Linear rise from 0 to the peak, in epochs.")
    loss: TaskLoss = Field(TaskLoss.CROSS_ENTROPY, strict=False, description="cross-entropy, or squared-hinge as in BinaryNet.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Label smoothing of the cross entropy.")
    distillation: float = Field(
        0.0, ge=0, le=1, description="Share of the loss that asks for the teacher's logits; 1: no labels, as ReActNet."
    )
    temperature: float = Field(1.0, gt=0, le=100, description="Of the distillation's softmax.")
    real_weight_stage: float = Field(
        0.0, ge=0, lt=1, description="Share of the epochs in a first stage with binary activations and real weights."
    )
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights, which is then what is scored; 0: none."
    )
    norm_batches: int = Field(
        8,
        ge=0,
        le=1000,
        description="Training batches from which batch norm is re-estimated after every epoch, before the network is scored; "
        "0: the moving averages of the training.",
    )
    augment: bool = Field(True, description="Whether the dataset's augmentation is used.")  # noqa: FBT003 - pydantic's default
    adversarial: AdversarialTraining | None = Field(None, description="Whether training images are perturbed, and how.")
    cp_loss: CpLossSettings | None = Field(
        None,
        description="CP-NAS's own loss beside the task's: latent kernels near their bits, features near their class's mean.",
    )
    max_steps_per_epoch: int | None = Field(None, ge=1, le=MOST, description="Cut epochs short, for quick trials.")
    acceleration: Acceleration = Field(Acceleration(), description="What makes training faster; scoring is always float32.")

    def of_teacher(self) -> "Recipe":
        """Return the recipe of a student's teacher: less what asks for a teacher, for binary weights or for attacks."""
        without = {"distillation": 0.0, "real_weight_stage": 0.0, "ema_decay": 0.0, "temperature": 1.0}
        return self.model_copy(update={**without, "adversarial": None, "cp_loss": None})

    @field_validator("max_steps_per_epoch")
    @classmethod
    def _whole_replays(cls, given: int | None, info: ValidationInfo) -> int | None:
        return _check_replays(given, info)

    @field_validator("milestones")
    @classmethod
    def _ascending_shares(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        if not given or sorted(set(given)) != list(given) or not all(0 < share < 1 for share in given):
            raise ValueError("milestones are shares of a phase, each more than the one before, above 0 and below 1")
        return given

    @field_validator("label_smoothing")
    @classmethod
    def _smooth_cross_entropy_only(cls, given: float, info: ValidationInfo) -> float:
        if given and info.data.get("loss") is TaskLoss.SQUARED_HINGE:
            raise ValueError("squared-hinge has targets of -1 and +1 and nothing to smooth; allowed: 0")
        return given


class ShortScore(StrEnum):
    """What tells how good a short training is, in [0, 1]."""

    TRAIN_LIKELIHOOD = "train-likelihood"  # exp(-training loss of the last epoch)
    LIKELIHOOD = "likelihood"  # exp(-cross-entropy on validation images)
    PROBABILITY = "probability"  # mean probability of the true label, on validation images
    ACCURACY = "accuracy"


class OwnTrainings(GivenModel):
    """Samples that are trainings of their own, from scratch: nothing is shared, and nothing else of `evaluation` has a say."""

    recipe: Recipe | None = Field(
        None,
        description="Of a whole training, whose seed is the search's; null: the one that the methods of `training` share, or the "
        "default one.",
    )
    short_score: ShortScore = Field(
        ShortScore.TRAIN_LIKELIHOOD,
        strict=False,
        description="Reward of a training that has a share of the epochs: train-likelihood, exp(-loss of the last epoch); "
        "likelihood, exp(-cross-entropy on validation images); probability, the mean one of the true label there; accuracy. "
        "That of a whole one is its validation accuracy.",
    )


class EvaluationSettings(GivenModel):
    """How one sampled path of the supernet is trained and scored."""

    epochs: int = Field(1, ge=1, le=1000, description="Epochs a sample trains before it is scored.")
    batch_size: int = Field(64, ge=2, le=65_536, description="Images in a step.")
    train_fraction: float = Field(
        0.5, gt=0, le=1, description="Share of the training images in an epoch, drawn anew for every sample."
    )
    optimizer: OptimizerName = Field(OptimizerName.ADAM, strict=False, description="adam, or sgd with Nesterov momentum 0.9.")
    learning_rate: float = Field(0.005, gt=0, le=10, description="Learning rate of the first sample.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="On weights of convolutions and of the classifier.")
    schedule: Schedule = Field(Schedule.COSINE, strict=False, description="How the rate falls over the samples of the search.")
    calibration_batches: int = Field(
        2, ge=1, le=1000, description="Training batches from which batch norm is re-estimated before a path is scored."
    )
    validation_images: int | None = Field(
        None, ge=1, le=MOST, description="Score on at most so many, always the same; None: on all."
    )
    adversarial: AdversarialSearch | None = Field(
        None, description="Whether samples are trained on perturbed images (ABanditNAS's own way), and what their reward is."
    )
    max_steps: int | None = Field(None, ge=1, le=MOST, description="Most optimizer steps in a sample, for quick trials.")
    acceleration: Acceleration = Field(Acceleration(), description="What makes training, and scoring with it, faster.")
    own: OwnTrainings | None = Field(
        None,
        description="Train every sample from scratch instead of sharing weights. Null: weights are shared, unless the strategy "
        "wants trainings of their own (screen-and-train), which then are as without settings.",
    )

    @field_validator("max_steps")
    @classmethod
    def _whole_replays(cls, given: int | None, info: ValidationInfo) -> int | None:
        return _check_replays(given, info)


def _check_replays(limit: int | None, info: ValidationInfo) -> int | None:
    adversarial = info.data.get("adversarial")
    if adversarial is not None and limit is not None and adversarial.replays > limit:
        raise ValueError(f"at least {adversarial.replays}, the replays of a batch")
    return limit


def schedule_factor(schedule: Schedule, progress: float, milestones: tuple[float, ...] = (0.5, 0.75)) -> float:
    """Return the factor on the peak learning rate at `progress` in [0, 1]."""
    if schedule is Schedule.COSINE:
        return 0.5 * (1 + math.cos(math.pi * progress))
    if schedule is Schedule.LINEAR:
        return 1 - progress
    if schedule is Schedule.EXPONENTIAL:
        return float(_EXPONENTIAL_END**progress)
    if schedule is Schedule.STEP:
        return float(0.1 ** sum(progress >= milestone for milestone in milestones))
    return 1.0
