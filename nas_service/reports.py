"""What a job, an epoch and a candidate tell: frozen, typed values without torch, the same from driver to screen."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from statistics import fmean
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

MATRIX_CLASSES = 100  # of more a confusion matrix is not kept: this one takes about 20 kB of JSON

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
    arms: int = Field(description="That some architecture of the space can hold, within the limits if there are any.")
    arms_left: int = Field(description="That are not abandoned.")
    best_reward: float | None = Field(
        None,
        description="Of a sample, in [0, 1]; null before the first. Short trainings, whose scores are their own, do not count.",
    )
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
    digest: str | None = Field(None, description="Of images, classes and split: a job that finds others is refused.")


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


class ClassFigures(Report):
    """How a network classifies the images of each class: exact counts and their ratios, all in the order of `names`."""

    names: tuple[str, ...] = Field(description="Names of all classes, in the order of the labels.")
    images: tuple[int, ...] = Field(description="Images of each class.")
    correct: tuple[int, ...] = Field(description="Those that are classified correctly.")
    accuracies: tuple[float | None, ...] = Field(
        description="correct / images, in [0, 1]; null for a class without images, of which nothing is known."
    )
    confused_with: tuple[int | None, ...] = Field(
        description="The wrong class, as a place in `names`, that most images of this class were taken for (the first of equal "
        "ones); null where none was taken for another."
    )
    confused: tuple[int, ...] = Field(description="How many images were taken for that class.")
    covered: int = Field(description="Classes that have images: the balanced accuracy is the mean of so many accuracies.")
    missing: tuple[str, ...] = Field(description="Names of the classes without images.")
    confusion: tuple[tuple[int, ...], ...] | None = Field(
        None,
        description="Confusion matrix: entry j of row i counts the images of class i (the true one) that were classified as "
        f"class j. Null with more than {MATRIX_CLASSES} classes, where it would be too large: the counts by class are kept.",
    )

    @classmethod
    def count(cls, names: Sequence[str], labels: Iterable[int], predicted: Iterable[int]) -> Self:
        """Count images by their true and their predicted class, both places in `names`.

        Raises:
            ValueError: If there are not as many labels as predictions.
        """
        pairs = Counter(zip(labels, predicted, strict=True))
        rows: list[dict[int, int]] = [{} for _ in names]
        for (label, guess), times in sorted(pairs.items()):
            rows[label][guess] = times
        images = tuple(sum(row.values()) for row in rows)
        correct = tuple(row.get(label, 0) for label, row in enumerate(rows))
        wrong = [{guess: times for guess, times in row.items() if guess != label} for label, row in enumerate(rows)]
        places = range(len(names))
        return cls(
            names=tuple(names),
            images=images,
            correct=correct,
            accuracies=tuple(right / count if count else None for right, count in zip(correct, images, strict=True)),
            confused_with=tuple(max(row, key=row.__getitem__, default=None) for row in wrong),
            confused=tuple(max(row.values(), default=0) for row in wrong),
            covered=sum(count > 0 for count in images),
            missing=tuple(name for name, count in zip(names, images, strict=True) if count == 0),
            confusion=tuple(tuple(row.get(place, 0) for place in places) for row in rows)
            if len(names) <= MATRIX_CLASSES
            else None,
        )

    @property
    def accuracy(self) -> float:
        """Share of all images that are classified correctly, in [0, 1]."""
        return sum(self.correct) / sum(self.images)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the accuracies of the classes that have images, in [0, 1]."""
        return fmean(share for share in self.accuracies if share is not None)

    @property
    def worst(self) -> tuple[int, ...]:
        """Places of the classes that have images, the lowest accuracy first; equal ones in the order of `names`."""
        known = [(share, place) for place, share in enumerate(self.accuracies) if share is not None]
        return tuple(place for _, place in sorted(known))


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
    validation_balanced_accuracy: float | None = Field(
        None, description="As `test_balanced_accuracy`, on validation images; null where an earlier version trained."
    )
    test_balanced_accuracy: float | None = Field(
        None,
        description="Mean of the accuracies of the classes that have test images (`test_classes.covered` says how many), in "
        "[0, 1]: a rare class counts as much as a frequent one. Null where an earlier version trained.",
    )
    test_classes: ClassFigures | None = Field(
        None, description="The test images by class; null where an earlier version trained, and in lists of candidates."
    )
    robustness: RobustnessFigures | None = None
    method_revision: int = Field(
        1, ge=1, description="Of the method's arithmetic: networks of different revisions were not trained alike."
    )

    @classmethod
    def of(
        cls,
        last: EpochReport,
        validation: ClassFigures,
        test: ClassFigures,
        robustness: RobustnessFigures | None,
        *,
        method_revision: int = 1,
    ) -> "CandidateMetrics":
        """Put together what the last epoch, the frozen network's scores and the attacks say."""
        return cls(
            train_loss=last.train_loss,
            train_accuracy=last.train_accuracy,
            flip_ratio=last.flip_ratio,
            sign_balance=last.sign_balance,
            bimodality=last.bimodality,
            validation_accuracy=validation.accuracy,
            validation_correct=sum(validation.correct),
            validation_images=sum(validation.images),
            test_accuracy=test.accuracy,
            test_correct=sum(test.correct),
            test_images=sum(test.images),
            validation_balanced_accuracy=validation.balanced_accuracy,
            test_balanced_accuracy=test.balanced_accuracy,
            test_classes=test,
            robustness=robustness,
            method_revision=method_revision,
        )
