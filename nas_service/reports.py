"""What a job, an epoch and a candidate tell: frozen, typed values without torch, the same from driver to screen."""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Beat = Callable[[], None]  # called by the thread that works, after every step or batch: a process that hangs falls silent


def no_beat() -> None:
    """Tell nobody."""


class Report(BaseModel):
    """Base: plain, frozen, and readable from what an earlier version wrote."""

    model_config = ConfigDict(frozen=True)


class SearchPhase(StrEnum):
    """What a search is doing."""

    LOADING = "loading"  # the data are read
    PLACING = "placing"  # actors are started
    SAMPLING = "sampling"
    CONCLUDING = "concluding"


class SearchProgress(Report):
    """How far a search is."""

    kind: Literal["search"] = "search"
    phase: SearchPhase
    samples: int = Field(description="Committed.")
    total: int = Field(description="Of the whole search.")
    arms: int = Field(description="In the space.")
    arms_left: int = Field(description="That are not abandoned.")
    best_reward: float | None = Field(None, description="Of a sample, in [0, 1]; null before the first.")
    best_digest: str | None = Field(None, description="Of the genotype that got it.")
    seconds_per_sample: float | None = Field(None, description="Mean over this attempt; null before its first wave.")
    seconds_left: float | None = None


class TrainingPhase(StrEnum):
    """What a training is doing."""

    LOADING = "loading"  # the data are read
    FULL_PRECISION = "full-precision"  # networks to learn from or to attack from are trained first
    CANDIDATES = "candidates"


class TrainingProgress(Report):
    """How far a training is."""

    kind: Literal["training"] = "training"
    phase: TrainingPhase
    candidates: int
    finished: int = Field(description="Candidates that succeeded or were stopped early.")
    failed: int = 0
    under_attack: int = 0
    epochs: int = Field(description="Done, of all candidates together.")
    total: int = Field(description="Epochs of all candidates together.")
    best_validation_accuracy: float | None = Field(None, description="Of any epoch; null before the first.")
    full_precision_left: int = Field(0, description="Full-precision networks that are still in training.")


class RegistrationPhase(StrEnum):
    """What a registration is doing."""

    LISTING = "listing"  # files, labels and classes are looked at, and files that nobody saw before are read once
    DECODING = "decoding"
    CONCLUDING = "concluding"  # some images are drawn for people


class RegistrationProgress(Report):
    """How far a registration is."""

    kind: Literal["registration"] = "registration"
    phase: RegistrationPhase
    images: int = Field(0, description="Decoded.")
    total: int = Field(0, description="Images of the whole dataset; 0 until they are listed.")


AnyProgress = SearchProgress | TrainingProgress | RegistrationProgress
Progress = Annotated[AnyProgress, Field(discriminator="kind")]
PROGRESS: TypeAdapter[AnyProgress] = TypeAdapter(Progress)


class DatasetReport(Report):
    """What was counted of a dataset when it was registered; null where an earlier version did not count it."""

    class_names: tuple[str, ...] | None = Field(None, description="Of all classes.")
    channels: int | None = Field(None, description="1 (grey) or 3 (RGB).")
    height: int | None = Field(None, description="Of an image, in pixels.")
    width: int | None = Field(None, description="Of an image, in pixels.")
    train: int | None = Field(None, description="Images to train with.")
    validation: int | None = Field(None, description="Images to score with while searching and training.")
    test: int | None = Field(None, description="Images of the test part.")
    by_class: dict[str, tuple[int, ...]] | None = Field(
        None, description="How many images each class has, in the order of `class_names`, by part."
    )
    skipped: dict[str, int] | None = Field(None, description="How many files were left out, by reason.")
    warnings: tuple[str, ...] | None = Field(None, description="What people should know before they train.")


class EpochReport(Report):
    """Figures of one epoch of a candidate's training."""

    epoch: int = Field(description="From 0.")
    phase: str = Field(description="Of the method.")
    train_loss: float = Field(description="Mean over the epoch's steps, the method's own losses included.")
    train_accuracy: float = Field(description="Share of the augmented images classified correctly while training, in [0, 1].")
    validation_accuracy: float = Field(description="After the epoch, in [0, 1].")
    flip_ratio: float = Field(description="Share of the binary weights whose sign changed over the epoch.")
    sign_balance: float = Field(description="Share of +1 among the binary weights.")
    bimodality: float = Field(
        description="Sarle's coefficient of the latent weights, the mean over layers: 0.33 for one normal mode, 1 for two points."
    )
    seconds: float = Field(description="Wall time, validation included.")
    extra: dict[str, float] = Field(description="The method's own figures.")

    def require_finite(self) -> None:
        """Refuse to go on where training makes no sense any more.

        Raises:
            FloatingPointError: If the loss is not finite.
        """
        if not math.isfinite(self.train_loss):
            raise FloatingPointError(f"training diverged: the loss of epoch {self.epoch} is {self.train_loss}")


class RobustnessFigures(Report):
    """What a network stands."""

    eps: float = Field(description="Largest change of a pixel, pixels being in [0, 1].")
    restarts: int = Field(description="Random starts of every attack that has one.")
    images: int = Field(description="Number of test images.")
    accuracies: dict[str, float] = Field(
        description="By attack, in [0, 1]; an image counts if it is classified correctly after every restart."
    )
    worst: float = Field(description="Share of the images that stand every attack there is.")
    masked_by: tuple[str, ...] = Field(
        description="Attacks around masked gradients that do more damage than any plain white-box attack."
    )
    validation_pgd_20: float = Field(
        description="On validation images under PGD-20: by which the most robust candidate is chosen."
    )


class CountedAccuracy(Report):
    """An accuracy as the ratio that it is."""

    correct: int
    images: int

    @property
    def accuracy(self) -> float:
        """In [0, 1]."""
        return self.correct / self.images


class CandidateMetrics(Report):
    """What is known of a trained candidate; the accuracies are those of the frozen network."""

    train_loss: float
    train_accuracy: float
    flip_ratio: float
    sign_balance: float
    bimodality: float
    validation_accuracy: float
    validation_correct: int
    validation_images: int
    test_accuracy: float
    test_correct: int
    test_images: int
    robustness: RobustnessFigures | None = None

    @classmethod
    def of(
        cls, last: EpochReport, validation: CountedAccuracy, test: CountedAccuracy, robustness: RobustnessFigures | None
    ) -> "CandidateMetrics":
        """Put together what the last epoch, the frozen network's scores and the attacks say."""
        return cls(
            train_loss=last.train_loss,
            train_accuracy=last.train_accuracy,
            flip_ratio=last.flip_ratio,
            sign_balance=last.sign_balance,
            bimodality=last.bimodality,
            validation_accuracy=validation.accuracy,
            validation_correct=validation.correct,
            validation_images=validation.images,
            test_accuracy=test.accuracy,
            test_correct=test.correct,
            test_images=test.images,
            robustness=robustness,
        )
