"""Groups of filters that are alike, by K-means: for pruning that keeps one filter of each."""

import torch
from torch import Tensor

_ROUNDS = 50  # of K-means, at most


def group_means(filters: Tensor, groups: Tensor) -> Tensor:
    """Return each filter's group mean, the shape of `filters` (Co, ...); `groups` (Co,) holds integers below Co."""
    sums = torch.zeros_like(filters).index_add_(0, groups, filters)
    counts = torch.zeros_like(groups).index_add_(0, groups, torch.ones_like(groups)).clamp_min(1).to(filters.dtype)
    return (sums / counts.view(-1, 1, 1, 1))[groups]


def group_filters(filters: Tensor, count: int) -> Tensor:
    """Return the group in [0, `count`) of every filter (Co,) by K-means, none of them empty.

    Lloyd's algorithm without chance: it starts from the filter farthest from the mean and takes as further centres the filters
    farthest from those it has. A group that runs empty gets the filter that lies worst in its own.
    """
    points = filters.flatten(1).double()
    nearest = torch.full_like(points[:, 0], torch.inf)
    chosen = [int((points - points.mean(0)).square().sum(1).argmax())]
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    centres, groups = points[chosen], torch.full_like(points[:, 0], -1).long()
    for _ in range(_ROUNDS):
        distance, assigned = torch.cdist(centres, points).min(0)
        sizes = assigned.bincount(minlength=count)
        for empty in (sizes == 0).nonzero().flatten().tolist():
            worst = int(torch.where(sizes[assigned] > 1, distance, -1).argmax())
            sizes[assigned[worst]] -= 1
            assigned[worst], sizes[empty], distance[worst] = empty, 1, 0
        if torch.equal(assigned, groups):
            break
        groups = assigned
        centres = torch.zeros_like(centres).index_add_(0, groups, points) / sizes.unsqueeze(1)
    return groups
