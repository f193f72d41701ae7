"""The memory-traffic floor of a training step: the least that its activations and weights must move, at the speed of a copy.

A convolution is a kernel of its own, from the library: what it reads, the signs s of its input, and what it writes, the integers
z, must lie in memory. Everything element-wise between two of them (scale, PReLU, batch norm, sum of edges, shortcut, sign,
padding) can be fused to one pass that reads the z of some and writes the s of others. So for every binary convolution

    forward    write s, read s, write z, read z
    backward   read z; write dL/dz, read dL/dz; read s; write dL/ds, read dL/ds

which is 5 (|s| + |z|) values. The stem reads images that need no gradient: 2 |x| + 5 |z|.
A pool reads x and writes y, and backward the same of their gradients: 2 (|x| + |y|). An identity moves nothing. Of weights the
optimizer reads value, gradient and two moments and writes them: 32 bytes a parameter. An adversarial step runs
forward and backward `passes` times. Not counted, so that this is a lower bound: second reads for batch norm's statistics and for
the second kernel of a convolution's backward pass, the borders of padded copies, indices of max pools.

The floor's images/s are batch / (bytes / bandwidth), with the bandwidth of a copy of 256 MiB in the same run, which reads and
writes. On a CPU, whose caches hold a layer's activations, a step may beat it; on a GPU with large batches it may not.
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
# Values moved for each value of the input and of the output.
_MOVED: dict[type[nn.Module], tuple[int, int]] = {
    BinaryConv2d: (5, 5),
    nn.Conv2d: (2, 5),
    nn.MaxPool2d: (2, 2),
    nn.AvgPool2d: (2, 2),
}


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
    """Return how many values the convolutions and pools of a path move for `images`."""
    moved = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved
        of_input, of_output = next(rule for kind, rule in _MOVED.items() if isinstance(module, kind))
        moved += of_input * inputs[0].numel() + of_output * output.numel()

    parts = [part for module in supernet.path(genotype) for part in module.modules() if isinstance(part, tuple(_MOVED))]
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
