"""Ways to write sign(x) with sign(0) = +1 on a CPU: `python -m benchmarks.sign`."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.conditions import conditions
from nas_service.binarization.sign import sign

SHAPE = (128, 16, 8, 8)
ROUNDS, CALLS = 15, 50


def _where(inputs: Tensor) -> Tensor:
    return torch.where(inputs >= 0, 1.0, -1.0)


def _cast(inputs: Tensor) -> Tensor:
    return (inputs >= 0).to(inputs.dtype) * 2 - 1


def _copysign(inputs: Tensor) -> Tensor:
    return torch.copysign(torch.ones(()), inputs + 0.0)


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "sign (ours: compare into floats, two passes in place)": sign,
    "torch.copysign(1, x + 0)": _copysign,
    "(x >= 0).to(float) * 2 - 1": _cast,
    "torch.where(x >= 0, 1, -1)": _where,
}


def main() -> None:
    """Measure all ways in turn, round by round, and print medians and ratios."""
    torch.set_num_threads(1)
    inputs = torch.randn(SHAPE)
    expected = sign(inputs)
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS + 1):
        for name, way in WAYS.items():
            assert torch.equal(way(inputs), expected)  # noqa: S101 - a benchmark of wrong results is worth nothing
            started = time.perf_counter()
            for _ in range(CALLS):
                way(inputs)
            times[name].append((time.perf_counter() - started) / CALLS * 1e6)
    ours = statistics.median(times[next(iter(WAYS))][1:])
    print(f"{conditions()}; tensor {SHAPE} float32, 1 thread, median of {ROUNDS} rounds of {CALLS} calls, interleaved\n")
    print("| way | microseconds | ratio |\n|---|---|---|")
    for name, values in times.items():
        median = statistics.median(values[1:])
        print(f"| `{name}` | {median:.1f} | {median / ours:.1f} |")


if __name__ == "__main__":
    main()
