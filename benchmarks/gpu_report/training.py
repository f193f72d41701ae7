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
_SEED = 0


def planned(order: Order) -> list[str]:
    """Return the methods."""
    return list(order.methods)


def share_epochs(left_s: float, methods: int, overhead_s: float, epoch_s: float) -> tuple[int, int]:
    """Return how many epochs to train, and with how many of the methods: all, if each then gets `LEAST_EPOCHS`.

    Args:
        left_s: Seconds for all of them.
        methods: How many there are.
        overhead_s: Seconds of a training beside its epochs.
        epoch_s: Of an epoch of the first method.
    """
    epochs = 1
    for count in range(methods, 0, -1):
        epochs = max(1, int((left_s / count - overhead_s) / (_SPARE * epoch_s)))
        if epochs >= LEAST_EPOCHS or count == 1:
            return min(epochs, MOST_EPOCHS), count
    return epochs, methods


class _Course:
    """What all methods are trained on."""

    def __init__(self, order: Order) -> None:
        """Read the images."""
        self.dataset: ImageDataset = open_images(order)
        self.space = build_space(Component(name="resnet-20", settings={"channels": 4} if order.smoke else {}))
        (self.genotype,) = build_strategy(Component(name="random"), self.space, _SEED).suggest((), 1)  # the only one there is
        self.device = order.place
        self.smoke = order.smoke

    def trainer(self, name: str, epochs: int) -> CandidateTrainer:
        method = FullPrecision(MethodSettings()) if name == FULL else build_method(Component(name=name))
        recipe = Recipe(epochs=epochs, batch_size=8 if self.smoke else 256, max_steps_per_epoch=2 if self.smoke else None)
        return CandidateTrainer(CandidatePlan(self.space, self.genotype, method, recipe, _SEED), self.dataset, self.device)

    def test_accuracy(self, trainer: CandidateTrainer) -> float:
        """Return the trained network's accuracy on the test images, in [0, 1]."""
        assert self.dataset.test is not None  # noqa: S101 - for the type checker; it was not taken away here
        return accuracy(trainer.network, ResidentPart.of(self.dataset.test, self.device))


def run(order: Order, tell: Tell) -> None:
    """Time two epochs of the first method, then train as many methods for as many epochs as fit.

    Raises:
        RuntimeError: If trainings failed; the others are told.
    """
    course, attempts = _Course(order), Attempts()
    probe_s = [report.seconds for report in course.trainer(order.methods[0], _PROBE_EPOCHS).fit()]
    overhead_s, epoch_s = max(0.0, probe_s[0] - probe_s[-1]), probe_s[-1]
    epochs, count = share_epochs(order.left_s, len(order.methods), overhead_s, epoch_s)
    if order.smoke:
        epochs = min(epochs, _PROBE_EPOCHS)
    for name in order.methods[:count]:
        with attempts.of(name):
            trainer = course.trainer(name, epochs)
            reports = []
            for report in trainer.fit():
                report.require_finite()
                reports.append(report)
                tell(_row(order, name, epochs, reports, None))
            tell(_row(order, name, epochs, reports, course.test_accuracy(trainer)))
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
