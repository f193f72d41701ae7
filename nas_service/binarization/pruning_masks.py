"""Soft masks on the filters of layers, learnt by FISTA, until the wanted share of the filters is exactly zero.

A mask M (Co,) multiplies the outputs of a layer. With the accelerated proximal gradient method (FISTA), step size eta, l1
weight lambda, a_1 = 1 and M_1 = 1:

    a_{k+1} = (1 + sqrt(1 + 4 a_k^2)) / 2
    y_k     = M_k + ((a_k - 1) / a_{k+1}) (M_k - M_{k-1})
    M_{k+1} = prox(y_k - eta dL/dy_k),    prox(z) = sign(z) max(|z| - eta lambda_k, 0).

A training step's forward pass runs at y_k, everything else at M_k. So that not more filters vanish than are wanted,
lambda_k is the given lambda or what makes the q smallest |z| zero, whichever is less; q is the number of filters allowed to be
zero so far. A layer's largest mask is spared by the prox if it would be the layer's last.

References:
    Beck, Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems", SIAM J. Imaging Sciences
    2009.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.taps import Taps


class FilterMask(nn.Module):
    """The soft mask of one layer's filters.

    Attributes:
        values: M_k, (Co,).
        point: y_k, (Co,).
        pruned: Whether a filter is gone for good, (Co,). An average of networks keeps a filter pruned that was pruned once.
        learning: Whether training runs at y_k.
        leaf: y_k of the last forward pass in training, from which gradients are taken; None before one.
    """

    values: Tensor
    point: Tensor
    pruned: Tensor

    def __init__(self, filters: int) -> None:
        """Start with ones."""
        super().__init__()
        self.register_buffer("values", torch.ones(filters))
        self.register_buffer("point", torch.ones(filters))
        self.register_buffer("pruned", torch.zeros(filters, dtype=torch.bool))
        self.learning = False
        self.leaf: Tensor | None = None

    def forward(self, *, moves: bool = False) -> Tensor:
        """Return the mask, (Co,): a fresh leaf at y_k where it is learnt and `moves`, otherwise M_k."""
        if self.learning and moves:
            self.leaf = self.point.detach().requires_grad_()
            return self.leaf
        return self.values.masked_fill(self.pruned, 0)


class Fista(nn.Module):
    """The iteration on several masks at once.

    Attributes:
        momentum: a_k, a scalar.
    """

    momentum: Tensor

    def __init__(self, step_size: float, sparsity: float) -> None:
        """Start with a_1 = 1; `step_size` is eta, `sparsity` is lambda."""
        super().__init__()
        self._step_size = step_size
        self._threshold = step_size * sparsity
        self.register_buffer("momentum", torch.ones((), dtype=torch.float64))

    @torch.no_grad()
    def start(self, masks: Sequence[FilterMask]) -> None:
        """Begin anew with masks of one."""
        self.momentum.fill_(1)
        for mask in masks:
            mask.values.fill_(1)
            mask.point.fill_(1)
            mask.pruned.zero_()
            mask.learning = True

    @torch.no_grad()
    def step(self, masks: Sequence[FilterMask], gradients: Sequence[Tensor], allowed: int) -> None:
        """Move the masks by one iteration.

        Args:
            masks: Of the layers that took part.
            gradients: dL/dy_k of each, (Co,).
            allowed: q, how many of their filters may be zero now.
        """
        filters = [len(mask.values) for mask in masks]
        before = torch.cat([mask.values for mask in masks])
        moved = torch.cat([mask.point for mask in masks]) - self._step_size * torch.cat(list(gradients))
        pruned = torch.cat([mask.pruned for mask in masks])
        moved.masked_fill_(pruned, 0)
        magnitude = moved.abs()
        threshold = magnitude.kthvalue(allowed).values.clamp_max(self._threshold) if allowed else magnitude.new_zeros(())
        after = moved.sign() * (magnitude - threshold).clamp_min(0)
        largest = torch.cat([(part == part.max()) & (part <= threshold) for part in magnitude.split(filters)])
        after = torch.where(largest & ~pruned, moved, after)
        reached = _next(self.momentum)
        pace = ((reached - 1) / _next(reached)).to(after.dtype)
        self.momentum.copy_(reached)
        torch._foreach_copy_([mask.values for mask in masks], list(after.split(filters)))
        points = (after + pace * (after - before)).masked_fill_(pruned, 0)
        torch._foreach_copy_([mask.point for mask in masks], list(points.split(filters)))


def _next(momentum: Tensor) -> Tensor:
    return (1 + (1 + 4 * momentum.square()).sqrt()) / 2


@torch.no_grad()
def prune_smallest(masks: Sequence[FilterMask], count: int) -> None:
    """Make the `count` filters with the smallest |M| of all masks zero for good; every mask keeps its largest one.

    Filters that are gone already are among the count, and filters whose |M| is the same go in order.
    """
    filters = [len(mask.values) for mask in masks]
    ranks = [mask.values.abs().masked_fill(mask.pruned, -1) for mask in masks]
    for rank in ranks:
        rank[rank.argmax()] = torch.inf
    order = torch.cat(ranks).argsort(stable=True)
    gone = torch.zeros(sum(filters), dtype=torch.bool, device=order.device)
    gone[order[: max(0, min(count, sum(filters) - len(filters)))]] = True
    for mask, part in zip(masks, gone.split(filters), strict=True):
        mask.pruned.logical_or_(part)
        mask.values.masked_fill_(mask.pruned, 0)
        mask.point.masked_fill_(mask.pruned, 0)


def gather_indices(kept: Tensor) -> Tensor:
    """Return int64 (Co,): where the output of each filter is among those of the `kept` ones (bool, (Co,)); one past the last
    for the others.
    """
    return torch.where(kept, kept.cumsum(0) - 1, kept.sum())


class FilterPruning(nn.Module):
    """A phase of training that removes filters from a trained network, with a copy of it from before, the baseline.

    The number of filters that may be zero grows in equal parts, epoch by epoch, and is whole after the first half of them; the
    second half trains what is left, and lets the statistics of batch norms forget what is gone. (A single epoch is a first
    half: then nothing follows.)

    Attributes:
        runs: Whether the phase has begun.
        removed: Filters that are gone for good.
    """

    def __init__(self, network: nn.Module, fista: Fista, share: float) -> None:
        """Make room for the copy from the start, so that a checkpoint of any epoch fits."""
        super().__init__()
        self.baseline = deepcopy(network).requires_grad_(requires_grad=False).eval()
        self.fista = fista
        self.runs = False
        self.removed = 0
        self._share = share
        self._epochs = 0
        self._allowed = 0
        self._filters = sum(len(mask.values) for mask in _masks(binary_layers([network])))
        self._logits = torch.empty(0)
        self._gradients: list[Tensor] = []

    def start(self, network: nn.Module, epochs: int) -> None:
        """Copy the trained `network` and begin a phase of `epochs` with masks of one."""
        self.baseline.load_state_dict(network.state_dict())
        self.fista.start(_masks(binary_layers([network])))
        self.runs = True
        self._epochs = epochs

    def allow(self, left: int) -> None:
        """Set how many filters may be zero in the epoch that begins when `left` epochs are left, itself included."""
        grown = (self._epochs - left + 1) / max(1, self._epochs // 2)
        self._allowed = round(self._share * min(1.0, grown) * self._filters)

    def watch(self, images: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
        """Begin a step: run the baseline and return the outputs of its modules `names`."""
        self._gradients = []
        with torch.no_grad(), Taps(self.baseline, names) as taps:
            self._logits = self.baseline(images)
            return dict(taps.outputs)

    def distance(self, logits: Tensor) -> Tensor:
        """Return L_Data = (1 / 2n) ||R - T||^2, a scalar, of `logits` T (n, classes) and the baseline's."""
        return (self._logits - logits).square().sum() / (2 * len(logits))

    def take_gradients(self, loss: Tensor, layers: Sequence[BinaryConv2d]) -> None:
        """Keep what the masks of `layers` are told by `loss`, a scalar, in a step's first pass; leave its graph alone."""
        if not self._gradients:
            leaves = [mask.leaf for mask in _masks(layers) if mask.leaf is not None]
            self._gradients = list(torch.autograd.grad(loss, leaves, retain_graph=True, materialize_grads=True))

    def step(self, layers: Sequence[BinaryConv2d]) -> None:
        """Move the masks of `layers`."""
        self.fista.step(_masks(layers), self._gradients, self._allowed)

    def remove(self, network: nn.Module) -> None:
        """Make as many filters zero for good as are allowed to be."""
        masks = _masks(binary_layers([network]))
        prune_smallest(masks, self._allowed)
        self.removed = sum(int(mask.pruned.sum()) for mask in masks)


def _masks(layers: Sequence[BinaryConv2d]) -> list[FilterMask]:
    return [part for layer in layers for part in layer.children() if isinstance(part, FilterMask)]
