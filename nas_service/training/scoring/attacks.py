"""Attacks on images within an L-infinity ball: FGSM, PGD and MI-FGSM, which are one loop with different settings.

Shape legend: N images, C channels, H and W pixels in [0, 1]. sign(0) = 0 here: where no gradient comes back, nothing moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from search_spaces.errors import InvalidFieldError

Forward = Callable[[Tensor], Tensor]  # pixels (N, C, H, W) -> logits (N, classes)


def input_gradient(forward: Forward, images: Tensor, labels: Tensor) -> Tensor:
    """Return d(sum of cross entropies)/d(images), the shape of `images`; weights get no gradient, and none is kept."""
    with torch.enable_grad():
        inputs = images.detach().requires_grad_()
        loss = F.cross_entropy(forward(inputs).float(), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, inputs)
    return gradient


@dataclass(frozen=True)
class Attack:
    """Projected gradient ascent on the cross entropy.

    x_0 = x + u, u uniform in [-eps, eps] with a random start, else u = 0. Then, for every step,

        g   = d L(f(x_t), y) / d x_t
        v   = g, or with momentum mu: v <- mu v + g / mean|g| for each image (MI-FGSM; the mean is the 1-norm up to a constant)
        x_t+1 = clip(x_t + step_size sign(v), max(x - eps, 0), min(x + eps, 1))

    One step of size eps without random start is FGSM; one step of 1.25 eps with it is the "fast" variant that ABanditNAS trains
    with; several steps are PGD.

    Attributes:
        eps: Largest change of a pixel, in pixel units.
        steps: Number of gradient steps.
        step_size: In pixel units.
        random_start: Whether u is drawn.
        momentum: mu; None for none.

    Raises:
        InvalidFieldError: If eps is outside [0, 1], or there is no step to take with eps above 0.

    References:
        Goodfellow et al., ICLR 2015, arXiv 1412.6572; Madry et al., ICLR 2018, arXiv 1706.06083; Dong et al., "Boosting
        Adversarial Attacks with Momentum", CVPR 2018, arXiv 1710.06081 (equations 6 and 7, mu = 1).
    """

    eps: float
    steps: int
    step_size: float
    random_start: bool = True
    momentum: float | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 0 <= self.eps <= 1:
            raise InvalidFieldError("eps", self.eps, "0 to 1: pixels are in [0, 1]")
        if self.eps > 0 and self.steps < 1:
            raise InvalidFieldError("steps", self.steps, f"1 or more with eps {self.eps:g}")
        if self.eps > 0 and self.step_size <= 0:
            raise InvalidFieldError("step_size", self.step_size, f"more than 0 with eps {self.eps:g}")

    def perturb(self, forward: Forward, images: Tensor, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return perturbed copies of `images` (N, C, H, W), detached; the images themselves where eps is 0.

        Args:
            forward: The network under attack, in the mode it should be attacked in.
            images: Pixels in [0, 1].
            labels: True classes, (N,).
            generator: Source of the random start, on the images' device; torch's global one if None.
        """
        if self.eps == 0:
            return images
        low, high = (images - self.eps).clamp_min(0), (images + self.eps).clamp_max(1)
        perturbed = images
        if self.random_start:
            noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
            perturbed = torch.clamp(images + (2 * noise - 1) * self.eps, low, high)
        velocity: Tensor | None = None
        for _ in range(self.steps):
            direction = input_gradient(forward, perturbed, labels)
            if self.momentum is not None:
                direction = direction / direction.abs().mean((1, 2, 3), keepdim=True).clamp_min(torch.finfo(direction.dtype).tiny)
                velocity = direction if velocity is None else self.momentum * velocity + direction
                direction = velocity
            perturbed = torch.clamp(perturbed + self.step_size * direction.sign(), low, high)
        return perturbed.detach()


@dataclass(frozen=True)
class Noise:
    """Random corners of the ball, clip(x +- eps, 0, 1), signs drawn for every pixel: an attack that needs no gradient.

    Attributes:
        eps: Largest change of a pixel, in pixel units.
    """

    eps: float
    random_start: ClassVar[bool] = True

    def perturb(self, forward: Forward, images: Tensor, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return perturbed copies of `images` (N, C, H, W); arguments as of `Attack.perturb`."""
        del forward, labels
        noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
        return (images + self.eps * torch.where(noise < 0.5, -1.0, 1.0)).clamp(0, 1)  # noqa: PLR2004 - a fair coin


def fgsm(eps: float) -> Attack:
    """Return FGSM: one step of eps from the image itself."""
    return Attack(eps, steps=1, step_size=eps, random_start=False)


def fast_fgsm(eps: float) -> Attack:
    """Return FGSM from a random start, a step of 1.25 eps: what ABanditNAS trains against while it searches."""
    return Attack(eps, steps=1, step_size=1.25 * eps)


def pgd(eps: float, steps: int) -> Attack:
    """Return PGD from a random start with steps of eps / 4, as ABanditNAS's evaluation takes (0.0078 at eps 0.031)."""
    return Attack(eps, steps, step_size=eps / 4)


def mi_fgsm(eps: float, steps: int) -> Attack:
    """Return MI-FGSM: momentum 1, steps of eps / `steps` from the image itself (Dong et al., section 3.3)."""
    return Attack(eps, steps, step_size=eps / steps, random_start=False, momentum=1.0)
