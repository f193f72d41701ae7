"""CIFAR-10 training of ResNet-20 with several methods, for as many epochs as the time that is left allows."""

from benchmarks.gpu_report.images import images_said, open_images
from benchmarks.gpu_report.parts import FULL, Attempts, Order, Row, Tell
from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.method import MethodSettings
from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.data.dataset import ImageDataset
from nas_service.data.loader import ResidentPart
from nas_service.recipes.recipe import Recipe
from nas_service.reports import EpochReport
from nas_service.specs import Component
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import accuracy

LEAST_EPOCHS, MOST_EPOCHS = 10, 200
_SPARE = 1.3  # how much slower than the first method another may be
_PROBE_EPOCHS = 2  # the second is one of many


def planned(order: Order) -> list[str]:
    """Return the methods, with their seeds."""
    return [_row_name(order, *training) for training in _trainings(order)]


def _trainings(order: Order) -> list[tuple[str, int]]:
    """Return methods and seeds, one seed of all methods before the next."""
    return [(name, seed) for seed in range(order.seeds) for name in order.methods]


def _row_name(order: Order, name: str, seed: int) -> str:
    return name if order.seeds == 1 else f"{name}, seed {seed}"


def share_epochs(left_s: float, trainings: int, overhead_s: float, epoch_s: float) -> tuple[int, int]:
    """Return the epochs of a training, and how many trainings to make: all, if each then gets `LEAST_EPOCHS`.

    Args:
        left_s: Seconds for all of them.
        trainings: How many there should be.
        overhead_s: Seconds of a training beside its epochs.
        epoch_s: Of an epoch of the first method.
    """
    epochs = 1
    for count in range(trainings, 0, -1):
        epochs = max(1, int((left_s / count - overhead_s) / (_SPARE * epoch_s)))
        if epochs >= LEAST_EPOCHS or count == 1:
            return min(epochs, MOST_EPOCHS), count
    return epochs, trainings


class _Course:
    """What all methods are trained on."""

    def __init__(self, order: Order) -> None:
        """Read the images."""
        self.dataset: ImageDataset = open_images(order)
        self.space = build_space(Component(name="resnet-20", settings={"channels": 4} if order.smoke else {}))
        (self.genotype,) = build_strategy(Component(name="random"), self.space, 0).suggest((), 1)  # the only one there is
        self.device = order.place
        self.smoke = order.smoke

    def trainer(self, name: str, seed: int, epochs: int) -> CandidateTrainer:
        method = FullPrecision(MethodSettings()) if name == FULL else build_method(Component(name=name))
        recipe = Recipe(epochs=epochs, batch_size=8 if self.smoke else 256, max_steps_per_epoch=2 if self.smoke else None)
        return CandidateTrainer(CandidatePlan(self.space, self.genotype, method, recipe, seed), self.dataset, self.device)

    def test_accuracy(self, trainer: CandidateTrainer) -> float:
        """Return the trained network's accuracy on the test images, in [0, 1]."""
        assert self.dataset.test is not None  # noqa: S101 - for the type checker; it was not taken away here
        return accuracy(trainer.network, ResidentPart.of(self.dataset.test, self.device))


def run(order: Order, tell: Tell) -> None:
    """Train all methods and seeds for the epochs that are asked for, or as many as fit, timed with two of the first method.

    Raises:
        RuntimeError: If trainings failed; the others are told.
    """
    course, attempts = _Course(order), Attempts()
    trainings = _trainings(order)
    epochs, count = order.epochs, len(trainings)
    if epochs is None:
        probe_s = [report.seconds for report in course.trainer(order.methods[0], 0, _PROBE_EPOCHS).fit()]
        epochs, count = share_epochs(order.left_s, len(trainings), max(0.0, probe_s[0] - probe_s[-1]), probe_s[-1])
    if order.smoke:
        epochs = min(epochs, _PROBE_EPOCHS)
    for name, seed in trainings[:count]:
        row = _row_name(order, name, seed)
        with attempts.of(row):
            trainer = course.trainer(name, seed, epochs)
            reports = []
            for report in trainer.fit():
                report.require_finite()
                reports.append(report)
                tell(_row(order, row, epochs, reports, None))
            tell(_row(order, row, epochs, reports, course.test_accuracy(trainer)))
    attempts.finish()


def _row(order: Order, name: str, epochs: int, reports: list[EpochReport], test: float | None) -> Row:
    last = reports[-1]
    return Row(
        name,
        {
            "test, %": None if test is None else 100 * test,
            "validation, %": 100 * last.validation_accuracy,
            "epochs": len(reports),
            "of": epochs,
            "training loss": last.train_loss,
            "sign flips in the last epoch, %": 100 * last.flip_ratio,
            "last epoch, s": last.seconds,
            "all, s": sum(report.seconds for report in reports),
            "images": images_said(order),
        },
    )
