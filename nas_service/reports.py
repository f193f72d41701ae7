"""What long work tells: that it lives, and what one epoch of a candidate's training did, a plain value that crosses processes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

Beat = Callable[[], None]  # called by the thread that works, after every step or batch: a process that hangs falls silent


def no_beat() -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class EpochReport:
    """Figures of one epoch.

    Attributes:
        epoch: From 0.
        phase: Name of the method's phase.
        train_loss: Mean over the epoch's steps, the method's own losses included.
        train_accuracy: Share of the epoch's augmented images classified correctly while training.
        validation_accuracy: After the epoch, in [0, 1].
        flip_ratio: Share of binary weights whose sign changed over the epoch.
        sign_balance: Share of +1 among the binary weights.
        bimodality: Sarle's coefficient of the latent weights, the mean over layers: 0.33 for one normal mode, 1 for two points.
        seconds: Wall time, validation included.
        extra: The method's own figures.
    """

    epoch: int
    phase: str
    train_loss: float
    train_accuracy: float
    validation_accuracy: float
    flip_ratio: float
    sign_balance: float
    bimodality: float
    seconds: float
    extra: dict[str, float]

    def require_finite(self) -> None:
        """Refuse to go on where training makes no sense any more.

        Raises:
            FloatingPointError: If the loss is not finite.
        """
        if not math.isfinite(self.train_loss):
            raise FloatingPointError(f"training diverged: the loss of epoch {self.epoch} is {self.train_loss}")

    def figures(self) -> dict[str, float]:
        """Return what a manifest says of the last epoch."""
        return {
            name: getattr(self, name) for name in ("train_loss", "train_accuracy", "flip_ratio", "sign_balance", "bimodality")
        }
