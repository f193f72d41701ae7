"""Augmentation of a whole batch on its device: one gather does crop and flip."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from nas_service.data.dataset import Augmentation


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return randomly cropped and flipped copies of `images` (N, C, H, W), any dtype, on the same device.

    Each image gets its own offset from a border of black pixels and its own coin for the flip. Draws come from
    `generator` alone, on the images' device.
    """
    if not augmentation.crop_padding and not augmentation.flip:
        return images
    count, _, height, width = images.shape
    device, reach = images.device, 2 * augmentation.crop_padding + 1
    offsets = torch.randint(0, reach, (2, count, 1), generator=generator, device=device)
    rows = offsets[0] + torch.arange(height, device=device)
    columns = offsets[1] + torch.arange(width, device=device)
    if augmentation.flip:
        coin = torch.rand((count, 1), generator=generator, device=device) < 0.5  # noqa: PLR2004 - a fair coin
        columns = torch.where(coin, columns.flip(1), columns)
    padded = F.pad(images, (augmentation.crop_padding,) * 4)
    image = torch.arange(count, device=device).view(-1, 1, 1)
    picked = padded.permute(0, 2, 3, 1)[image, rows.unsqueeze(2), columns.unsqueeze(1)]
    return picked.permute(0, 3, 1, 2)
