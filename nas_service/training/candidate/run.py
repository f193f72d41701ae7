"""The epochs of one network, with everything that is needed to go on after any of them."""

from collections.abc import Iterator

from nas_service.reports import EpochReport
from nas_service.training.candidate.trainer import CandidateTrainer
from nas_service.training.state.checkpoint import Checkpoint


class TrainingRun:
    """The epochs of one network, cut off and gone on with as often as need be.

    Attributes:
        trainer: That carries them out.
        reports: Of the epochs that are done.
    """

    def __init__(self, trainer: CandidateTrainer) -> None:
        """Begin before the first epoch."""
        self.trainer = trainer
        self.reports: list[EpochReport] = []

    @property
    def is_done(self) -> bool:
        """Whether no epoch is left."""
        return self.trainer.epoch == self.trainer.recipe.epochs

    def train(self) -> Iterator[EpochReport]:
        """Train what is left, yielding after every epoch.

        Raises:
            FloatingPointError: If the training diverged.
        """
        for report in self.trainer.fit():
            report.require_finite()
            self.reports.append(report)
            yield report

    def checkpoint(self) -> bytes:
        """Return everything that is needed to go on."""
        checkpoint = self.trainer.checkpoint()
        checkpoint.facts["reports"] = [report.model_dump() for report in self.reports]
        return checkpoint.to_bytes()

    def restore(self, content: bytes) -> None:
        """Go on from what `checkpoint` gave."""
        checkpoint = Checkpoint.from_bytes(content)
        self.trainer.restore(checkpoint)
        self.reports = [EpochReport.model_validate(report) for report in checkpoint.facts["reports"]]

    def weights(self) -> bytes:
        """Return the network's latent weights as a file, to be trained further or to be looked at."""
        return Checkpoint(self.trainer.network.state_dict(), {}).to_bytes()
