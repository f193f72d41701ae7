"""Robustness of a trained network: one suite of attacks, white box, black box, and around masked gradients.

Signs give surrogate gradients, so a white-box attack may fail for want of a gradient and not for want of adversarial images.
Four attacks look behind that: PGD with steps as large as the ball, PGD whose gradients pass every sign unchanged, and two black
boxes, images made against a full-precision network of the same architecture (transfer) and as many random corners of the ball
as PGD takes steps. A network that falls to one of these more often than to every plain white-box attack owes its white-box
figures to masked gradients, and is flagged. Networks trained against one-step attacks often are.

References:
    Athalye, Carlini and Wagner, ICML 2018, arXiv 1802.00420, section 3; Carlini et al., "On Evaluating Adversarial
    Robustness", arXiv 1902.06705.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_service.binarization.layer import binary_layers
from nas_service.data.dataset import ImageDataset
from nas_service.data.loader import ResidentPart
from nas_service.data.part import Part
from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.reports import Beat, RobustnessFigures, no_beat
from nas_service.training.scoring.attacks import Attack, Noise, fgsm, mi_fgsm, pgd
from nas_service.training.scoring.counting import beating, evaluating, standing
from nas_service.training.state.seeding import derived_generator

CLEAN = "clean"
TRANSFER = "transfer-pgd-20"
WHITE_BOX = ("fgsm", "pgd-7", "pgd-20", "mi-fgsm-10")
SELECTION_STEPS = 20  # of the attack that the most robust of several candidates is chosen by


Told = Callable[[str, float], object]  # the name of an attack that ended, and what share of the images stands it


@dataclass(frozen=True)
class _Entry:
    attack: Attack | Noise
    straight_through: bool = False
    from_substitute: bool = False
    draws: int = 1  # for each restart


def _suite(eps: float) -> dict[str, _Entry]:
    return {
        CLEAN: _Entry(Attack(0.0, 0, 0.0)),
        "fgsm": _Entry(fgsm(eps)),
        "pgd-7": _Entry(pgd(eps, 7)),
        "pgd-20": _Entry(pgd(eps, 20)),
        "mi-fgsm-10": _Entry(mi_fgsm(eps, 10)),
        "pgd-20-large-step": _Entry(Attack(eps, steps=20, step_size=eps)),
        "pgd-20-straight-through": _Entry(pgd(eps, 20), straight_through=True),
        TRANSFER: _Entry(pgd(eps, 20), from_substitute=True),
        "noise-20": _Entry(Noise(eps), draws=20),
    }


def tell_nobody(attack: str, accuracy: float) -> None:
    """Tell nobody."""
    del attack, accuracy


@dataclass(frozen=True)
class Robustness:
    """What a network stands.

    Attributes:
        eps: Largest change of a pixel, pixels being in [0, 1].
        restarts: Random starts of every attack that has one.
        images: Number of test images.
        accuracies: By attack, in [0, 1]; an image counts if it is classified correctly after every restart.
        worst: Share of the images that stand every attack there is.
        masked_by: Attacks around masked gradients that do more damage than any plain white-box attack.
    """

    eps: float
    restarts: int
    images: int
    accuracies: dict[str, float]
    worst: float
    masked_by: tuple[str, ...]


@contextmanager
def straight_through_signs(network: nn.Module) -> Iterator[None]:
    """Inside the block, let gradients pass the signs of all inputs unchanged."""
    layers = binary_layers([network])
    try:
        for layer in layers:
            layer.straight_through = True
        yield
    finally:
        for layer in layers:
            layer.straight_through = False


def measure_robustness(  # noqa: PLR0913 - the last two only tell what goes on
    network: nn.Module,
    substitute: nn.Module | None,
    part: Part,
    settings: RobustnessSettings,
    seed: int,
    *,
    beat: Beat = no_beat,
    told: Told = tell_nobody,
) -> Robustness:
    """Attack `network` with the whole suite on test images, on the device it lies on.

    Args:
        network: Trained; it is attacked in evaluation.
        substitute: The full-precision network that transfer attacks follow; without one there is no transfer figure.
        part: Test images and labels.
        settings: eps, restarts, and how many images.
        seed: Of the random starts.
        beat: Called before every forward pass: once for a batch and once for each of an attack's gradient steps.
        told: Called with the name and the accuracy of every attack as it ends.

    Raises:
        ValueError: If a transfer figure is asked for and there is nothing to transfer from.
    """
    if settings.transfer and substitute is None:
        raise ValueError("robustness.transfer needs a full-precision network to attack from")
    device = next(network.parameters()).device
    images = ResidentPart.of(part, device, settings.images)
    forward = beating(network, beat)
    stands: dict[str, Tensor] = {}
    accuracies: dict[str, float] = {}
    with evaluating(network):
        for name, entry in _suite(settings.eps).items():
            if entry.from_substitute and not settings.transfer:
                continue
            attacked = beating(substitute.to(device).eval(), beat) if entry.from_substitute and substitute is not None else None
            starts = _starts(settings, entry, device, seed, name)
            # The forward pass is the same with straight-through gradients: signs stay signs.
            with straight_through_signs(network) if entry.straight_through else nullcontext():
                stood = [standing(forward, entry.attack, images, start, attacked) for start in starts]
            stands[name] = torch.stack(stood).all(0)
            accuracies[name] = int(stands[name].sum()) / len(images)
            told(name, accuracies[name])
    strongest = min(accuracies[name] for name in WHITE_BOX)
    masked_by = tuple(name for name in accuracies if name not in {CLEAN, *WHITE_BOX} and accuracies[name] < strongest)
    worst = int(torch.stack(list(stands.values())).all(0).sum()) / len(images)
    return Robustness(settings.eps, settings.restarts, len(images), accuracies, worst, masked_by)


def _restarts(settings: RobustnessSettings, entry: _Entry) -> int:
    return settings.restarts * entry.draws if entry.attack.random_start and entry.attack.eps > 0 else 1


def _starts(settings: RobustnessSettings, entry: _Entry, device: torch.device, seed: int, name: str) -> list[torch.Generator]:
    return [derived_generator(device, seed, "robustness", name, restart) for restart in range(_restarts(settings, entry))]


def gradient_steps(settings: RobustnessSettings) -> int:
    """Return how many gradient steps the suite takes on one image."""
    wanted = [entry for entry in _suite(settings.eps).values() if settings.transfer or not entry.from_substitute]
    steps = [(entry, entry.attack.steps) for entry in wanted if isinstance(entry.attack, Attack) and entry.attack.eps > 0]
    return sum(count * _restarts(settings, entry) for entry, count in steps)


def selection_accuracy(network: nn.Module, part: Part, settings: RobustnessSettings, seed: int, *, beat: Beat = no_beat) -> float:
    """Return the accuracy on validation images under PGD-20, by which the most robust of several candidates is chosen.

    Arguments as of `measure_robustness`.
    """
    device = next(network.parameters()).device
    images = ResidentPart.of(part, device, settings.images)
    with evaluating(network):
        generator = derived_generator(device, seed, "selection")
        stands = standing(beating(network, beat), pgd(settings.eps, SELECTION_STEPS), images, generator)
    return int(stands.sum()) / len(images)


def robustness_figures(  # noqa: PLR0913 - as `measure_robustness`
    network: nn.Module,
    substitute: nn.Module | None,
    dataset: ImageDataset,
    settings: RobustnessSettings,
    seed: int,
    *,
    beat: Beat = no_beat,
    told: Told = tell_nobody,
) -> RobustnessFigures:
    """Return what is kept of a candidate's robustness: the suite on test images, and the figure that it is chosen by.

    Arguments as of `measure_robustness`.

    Raises:
        ValueError: If the dataset was loaded without its test part, or as `measure_robustness` does.
    """
    if dataset.test is None:
        raise ValueError(f"dataset {dataset.name} was loaded without its test part: there is nothing to attack")
    measured = measure_robustness(network, substitute, dataset.test, settings, seed, beat=beat, told=told)
    selection = selection_accuracy(network, dataset.validation, settings, seed, beat=beat)
    return RobustnessFigures(**vars(measured), validation_pgd_20=selection)
