"""How many channels become few without weights: the mean of groups of them."""

from torch import Tensor, nn


class GroupMean(nn.Module):
    """y = mean of the g groups of channels that follow each other."""

    def __init__(self, groups: int) -> None:
        """Keep the number of groups."""
        super().__init__()
        self.groups = groups

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, g C, H, W) to (N, C, H, W)."""
        means: Tensor = inputs.unflatten(1, (self.groups, -1)).mean(1)
        return means
