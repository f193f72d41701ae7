"""The memory-traffic floor of a training step: the least that its activations and weights must move, at the speed of a copy.

A step cannot be faster than its bytes. What pools pixels (a convolution, a pool) reads its input x and writes its output y, since
the batch norm after it needs statistics of all of y before it can use any. Whatever is element-wise (signs, scales, batch norm,
PReLU, sums of edges, shortcuts) can be fused to one or the other and moves nothing of its own:

    forward    read x, write y
    backward   read dL/dy, read x again (for the weights' gradient, and the surrogate's), write dL/dx

so 3 |x| + 2 |y| elements of `bytes_per_value` each, summed over the convolutions and pools of a path; identities move
nothing. The optimizer reads weight, gradient and two moments and writes weight, gradient and two moments, float32:
32 bytes a parameter. An adversarial step runs forward and backward `passes` times. Not counted, so the floor is a lower
bound: second reads of y for batch norm's statistics, padding copies, indices of max pools, weights read by kernels.

The floor's images/s are batch / (bytes / bandwidth), with the bandwidth of a copy of 256 MiB in the same run, which reads and
writes. On a CPU whose caches hold a layer's activations a step may beat it; on a GPU it may not.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d
from search_spaces.genotype import Genotype
from search_spaces.supernet import Supernet

COPY_BYTES = 256 * 2**20
OPTIMIZER_BYTES = 32  # a parameter
_POOLING = (BinaryConv2d, nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def synchronize(device: torch.device) -> None:
    """Wait until `device` has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def copy_bandwidth(device: torch.device, repeats: int = 9) -> float:
    """Return the bytes per second, read and written, of the fastest of `repeats` copies."""
    source = torch.ones(COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(repeats):
        synchronize(device)
        started = time.perf_counter()
        target.copy_(source)
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * COPY_BYTES / best


def activation_values(supernet: Supernet, genotype: Genotype, images: Tensor) -> int:
    """Return 3 |x| + 2 |y| summed over the convolutions and pools of a path, for all of `images`."""
    moved = 0

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved
        moved += 3 * inputs[0].numel() + 2 * output.numel()

    parts = [part for module in supernet.path(genotype) for part in module.modules() if isinstance(part, _POOLING)]
    handles = [part.register_forward_hook(count) for part in parts]
    try:
        with torch.no_grad():
            supernet.features(images, genotype)
    finally:
        for handle in handles:
            handle.remove()
    return moved


def step_bytes(supernet: Supernet, genotype: Genotype, images: Tensor, bytes_per_value: int, passes: int = 1) -> int:
    """Return the bytes that a step on `images` moves at least."""
    parameters = sum(parameter.numel() for parameter in supernet.path_parameters(genotype).values())
    return passes * bytes_per_value * activation_values(supernet, genotype, images) + OPTIMIZER_BYTES * parameters


def timed(device: torch.device, work: Callable[[], None]) -> float:
    """Return the seconds that `work` takes until the device is done with it."""
    synchronize(device)
    started = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - started
