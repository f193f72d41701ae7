"""A training step as one call, run as it is or recorded once and replayed: the same loop serves both."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from nas_service.training.step.attacked import BatchStep
from nas_service.training.step.optimizer import RuledOptimizer

WARM_UP_STEPS = 2  # the first makes the optimizer's state, the second is the first that runs as all later ones do


class TrainingStep(Protocol):
    """Trains on one batch."""

    def __call__(self, images: Tensor, labels: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Train on pixels (N, C, H, W) and labels (N,) with the learning rate's `factor`; return loss and logits, detached."""
        ...


@dataclass(frozen=True)
class EagerStep:
    """Launches every kernel of a step from the host: the reference."""

    batch_step: BatchStep
    optimizer: RuledOptimizer

    def __call__(self, images: Tensor, labels: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """See `TrainingStep`."""
        return self.batch_step.step(images, labels, self.optimizer, factor)


class Recorder(Protocol):
    """Records work on a device without doing it."""

    def warming_up(self) -> AbstractContextManager[None]:
        """Do what is done inside the block where `record` will record, so that all that happens once has happened."""
        ...

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return what does again, on the same tensors, all device work that `work` asks for; nothing is done yet."""
        ...


class ReplayedStep:
    """Does the first steps as they come, records one, and replays it for every later batch.

    Recorded are the device's work and its addresses, not Python: batch, learning rate and weights are read from
    the tensors that they were in. So the step must be the same every time, which a method vouches for by having no reason to
    need eager steps (`MethodFacts.needs_eager`), and batches must have one size.
    """

    def __init__(self, step: EagerStep, recorder: Recorder) -> None:
        """Record nothing yet; the optimizer must be a fused one."""
        self._step = step
        self._recorder = recorder
        self._warm_ups = 0
        self._recorded: _Recorded | None = None

    def __call__(self, images: Tensor, labels: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """See `TrainingStep`.

        Raises:
            RuntimeError: If a batch differs in size from the one that was recorded.
        """
        self._step.optimizer.set_rate(factor)  # outside of what is recorded, which then finds nothing to set
        if self._warm_ups < WARM_UP_STEPS:
            self._warm_ups += 1
            with self._recorder.warming_up():
                return self._step(images, labels, factor)
        if self._recorded is None:
            self._recorded = _Recorded(self._step, self._recorder, images, labels, factor)
        return self._recorded(images, labels)


class _Recorded:
    """A recorded step and the tensors that it reads and writes."""

    def __init__(self, step: EagerStep, recorder: Recorder, images: Tensor, labels: Tensor, factor: float) -> None:
        self._images, self._labels = images.clone(), labels.clone()
        self._outputs: tuple[Tensor, Tensor] | None = None

        def work() -> None:
            self._outputs = step(self._images, self._labels, factor)

        self._replay = recorder.record(work)

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if images.shape != self._images.shape:
            raise RuntimeError(f"a batch of {tuple(images.shape)} does not fit the recorded {tuple(self._images.shape)}")
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._replay()
        assert self._outputs is not None  # noqa: S101 - for the type checker; set while it was recorded
        loss, logits = self._outputs
        return loss.clone(), logits.clone()  # the next replay writes over them
