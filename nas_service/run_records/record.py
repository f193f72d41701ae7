"""RunRecord: all that is known of one candidate, flat, for the files that other tools read. No SQL, no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from nas_service.reports import EpochReport

Value = str | int | float | bool | datetime | None
FIGURES = ("train_loss", "train_accuracy", "validation_accuracy", "flip_ratio", "sign_balance", "bimodality", "seconds")


@dataclass(frozen=True)
class RunRecord:
    """One candidate of a training.

    Attributes:
        candidate: Its id.
        training: Id of its training.
        dataset: Name of the training's dataset.
        architecture: Id of its architecture.
        search: Id of the search that found the architecture.
        rank: Of the architecture among what that search found, 1 best.
        score: What the search thought of it, in the unit of its strategy; None of a control.
        control: Which kind of control the architecture is; None of one that was found.
        method: Label: name, with the settings that were given.
        method_name: Name alone.
        seed: Of weights and order of images.
        state: As of now.
        epochs_done: Trained so far.
        epochs_total: That it is trained.
        validation_accuracy: Of the last epoch; when it succeeded, of the frozen network.
        test_accuracy: Of the frozen network, as what follows.
        test_balanced_accuracy: Mean over the classes with test images.
        attack_eps: Largest change of a pixel by the attacks, pixels being in [0, 1].
        attack_restarts: Random starts of an attack.
        attack_images: Test images that were attacked.
        attacked_worst: Share of them that stand every attack.
        seconds: Of its epochs.
        attack_seconds: Of the attacks.
        worker: Host and process of its last trial.
        device: Of its last trial.
        error: Why it failed, if it did.
        created_at: When it was planned.
        started_at: When its first trial began.
        finished_at: When it was over.
        attacked: Share of the test images that stand an attack, by the attack's name.
        cost: As `Cost.to_dict`.
        epochs: Its curve.
    """

    candidate: str
    training: str
    dataset: str
    architecture: str
    search: str
    rank: int
    score: float | None
    control: str | None
    method: str
    method_name: str
    seed: int
    state: str
    epochs_done: int
    epochs_total: int | None
    validation_accuracy: float | None
    test_accuracy: float | None
    test_balanced_accuracy: float | None
    attack_eps: float | None
    attack_restarts: int | None
    attack_images: int | None
    attacked_worst: float | None
    seconds: float
    attack_seconds: float | None
    worker: str | None
    device: str | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attacked: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    epochs: Sequence[EpochReport] = ()

    def flat(self) -> dict[str, Value]:
        """Return all but the curve by name: `attacked.pgd-20` and `cost.ops` among others."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in _NESTED}
        own |= {f"attacked.{name}": share for name, share in self.attacked.items()}
        return own | {f"cost.{name}": float(value) for name, value in self.cost.items()}

    def results(self) -> dict[str, float]:
        """Return what came out, by name: the numbers of `flat` that are known only when it is trained."""
        known = self.flat()
        names = [name for name in known if name in _RESULTS or name.startswith(("attacked.", "cost."))]
        return {name: float(value) for name in names if isinstance(value := known[name], int | float)}

    @property
    def began(self) -> float:
        """When training began, in seconds since 1970; when an epoch ended follows from their seconds, rests are not kept."""
        return (self.started_at or self.created_at).timestamp()


_NESTED = {"attacked", "cost", "epochs"}
_RESULTS = {"test_accuracy", "test_balanced_accuracy", "attacked_worst", "attack_seconds"}


def figures_of(report: EpochReport) -> dict[str, float]:
    """Return the figures of an epoch by name, the method's own as `extra.NAME`."""
    return {name: getattr(report, name) for name in FIGURES} | {f"extra.{name}": own for name, own in report.extra.items()}
