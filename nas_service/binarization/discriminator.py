"""Discriminators: small networks that learn to tell a teacher's features from a student's, one for each tapped module.

D maps features (N, C, H, W), averaged over H and W, through Linear and LeakyReLU layers to a probability: 1 for "real" (the
teacher, R), 0 for "fake" (the student, T). It climbs

    log D(R) + log(1 - D(T))                                 and, with `doubt`, + log D(T),

the means over images; with doubt the best answer to a fake is 1/2, so that D cannot win by certainty. What the student
minimises is the least-squares form (1 - D(T))^2. Outside `ascend` the parameters of D need no gradient, so that a
student's backward pass leaves none on them; `ascend` sees detached features, so that D's leaves none on the student.

References:
    Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, arXiv 1406.2661; Mao et al., "Least Squares Generative
    Adversarial Networks", ICCV 2017, arXiv 1611.04076; Lin et al., "Towards Optimal Structured CNN Pruning via Generative
    Adversarial Learning", CVPR 2019, arXiv 1903.09291 (the term log D(T)).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

_LEAK = 0.2  # slope of the LeakyReLU below zero
_BETAS = (0.5, 0.999)  # of Adam, as is usual for adversaries since DCGAN


class Discriminators(nn.Module):
    """A discriminator for each tap, and the optimizer of them all.

    Attributes:
        names: Of the taps.
        optimizer: Adam; steps in `ascend` alone.
        real_score: Mean D(R) of the last `ascend`, a scalar.
        fake_score: Mean D(T) of the last `ascend`, a scalar.
    """

    def __init__(self, channels: Mapping[str, int], widths: Sequence[int], learning_rate: float) -> None:
        """Make one for each tap of `channels`, with hidden layers of `widths`."""
        super().__init__()
        self.names = tuple(channels)
        self.stacks = nn.ModuleList(_stack([count, *widths]) for count in channels.values())
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate, betas=_BETAS)
        self.real_score = torch.full((), 0.5)
        self.fake_score = torch.full((), 0.5)
        self.requires_grad_(requires_grad=False)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the log-odds of "real", (taps, N), of features (N, C, H, W) by tap."""
        dtype = next(self.parameters()).dtype
        pooled = (features[name].to(dtype).mean((2, 3)) for name in self.names)
        return torch.stack([stack(entry).squeeze(1) for stack, entry in zip(self.stacks, pooled, strict=True)])

    def ascend(self, real: Mapping[str, Tensor], fake: Mapping[str, Tensor], *, doubt: bool = False) -> None:
        """Take one step uphill on detached features, with the term log D(T) if `doubt`."""
        both = {name: torch.cat([real[name].detach(), fake[name].detach()]) for name in self.names}
        self.requires_grad_(requires_grad=True)
        of_real, of_fake = self(both).split([len(real[self.names[0]]), len(fake[self.names[0]])], dim=1)
        # -log D = softplus(-l) and -log(1 - D) = softplus(l) of log-odds l.
        falls = F.softplus(-of_real).mean(1) + F.softplus(of_fake).mean(1)
        if doubt:
            falls = falls + F.softplus(-of_fake).mean(1)
        falls.sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.requires_grad_(requires_grad=False)
        self.real_score, self.fake_score = of_real.detach().sigmoid().mean(), of_fake.detach().sigmoid().mean()

    def generator_loss(self, fake: Mapping[str, Tensor]) -> Tensor:
        """Return the mean of (1 - D(T))^2 over images and taps, a scalar; its gradient reaches the features alone."""
        loss: Tensor = (1 - self(fake).sigmoid()).square().mean()
        return loss


def _stack(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(_LEAK)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))
