"""Recipes: how a network's weights are optimised, shared by all methods unless a user says otherwise."""

import math
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class OptimizerName(StrEnum):
    """Optimizers on offer."""

    ADAM = "adam"
    SGD = "sgd"  # with Nesterov momentum 0.9


class Schedule(StrEnum):
    """How the learning rate falls from its peak over a phase."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"


class Recipe(BaseModel):
    """How one candidate is trained.

    Binary networks are usually trained with Adam: its second moment revives weights whose gradients died (AdamBNN, ICML 2021).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(30, ge=1, le=10_000, description="Passes over the training images.")
    batch_size: int = Field(64, ge=2, le=65_536, description="Images in a step.")
    optimizer: OptimizerName = Field(OptimizerName.ADAM, description="adam, or sgd with Nesterov momentum 0.9.")
    learning_rate: float = Field(0.005, gt=0, le=10, description="Peak learning rate.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="On weights of convolutions and of the classifier.")
    schedule: Schedule = Field(Schedule.COSINE, description="cosine, linear (both to 0) or constant.")
    warmup_epochs: float = Field(0.0, ge=0, le=1000, description="Linear rise from 0 to the peak, in epochs.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Label smoothing of the cross entropy.")
    augment: bool = Field(True, description="Whether the dataset's augmentation is used.")  # noqa: FBT003 - pydantic's default
    max_steps_per_epoch: int | None = Field(None, ge=1, description="Cut epochs short, for quick trials.")


class EvaluationSettings(BaseModel):
    """How one sampled path of the supernet is trained and scored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(1, ge=1, le=1000, description="Epochs a sample trains before it is scored.")
    batch_size: int = Field(64, ge=2, le=65_536, description="Images in a step.")
    train_fraction: float = Field(
        0.5, gt=0, le=1, description="Share of the training images in an epoch, drawn anew for every sample."
    )
    optimizer: OptimizerName = Field(OptimizerName.ADAM, description="adam, or sgd with Nesterov momentum 0.9.")
    learning_rate: float = Field(0.005, gt=0, le=10, description="Learning rate of the first sample.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="On weights of convolutions and of the classifier.")
    schedule: Schedule = Field(Schedule.COSINE, description="How the rate falls over the samples of the search.")
    max_steps: int | None = Field(None, ge=1, description="Most optimizer steps in a sample, for quick trials.")
    calibration_batches: int = Field(
        2, ge=1, le=1000, description="Training batches from which batch norm is re-estimated before a path is scored."
    )
    validation_images: int | None = Field(None, ge=1, description="Score on the first so many; None: on all.")


def schedule_factor(schedule: Schedule, progress: float) -> float:
    """Return the factor on the peak learning rate at `progress` in [0, 1]."""
    if schedule is Schedule.COSINE:
        return 0.5 * (1 + math.cos(math.pi * progress))
    if schedule is Schedule.LINEAR:
        return 1 - progress
    return 1.0
