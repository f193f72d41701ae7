"""Compiled regions: each operation of a path is one compiled piece, shared by all modules that are built alike.

Compiling a whole path costs minutes, and every sample is another path. Its operations are not: a space has a few kinds, each in
a few shapes. A region is compiled for (kind, input shape) when it is first met, takes the module as an argument, whose
parameters are inputs of the compiled code, and serves all modules of the kind in all cells and samples from then on. In it
sign, padding, scale, batch norm, activation and shortcut are fused around the convolution; pools are generated anew.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nas_service.reports import Beat, no_beat
from search_spaces.network import CellStack, Run, run_module


class Regions:
    """Runs modules through compiled code.

    torch keeps compiled code by the function's code object and takes the first entry whose guards hold. Therefore every region
    is a function of its own with few entries, and guards, not our keys, decide whether an entry fits: a module that
    looks alike and is not is compiled anew. A module that cannot be compiled as one piece is an error, never run in parts.
    """

    def __init__(self, backend: str = "inductor", beat: Beat = no_beat) -> None:
        """Compile nothing yet; `backend` is torch.compile's, and `beat` is called before every region that is compiled."""
        self._backend = backend
        self._beat = beat
        self._kinds: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
        self._regions: dict[tuple[object, ...], Run] = {}

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self._regions)

    def __call__(self, module: nn.Module, inputs: Tensor) -> Tensor:
        """Return `module(inputs)`."""
        if isinstance(module, nn.Identity):
            return inputs
        if module not in self._kinds:
            self._kinds[module] = repr(module)  # says how it is built, geometry included
        key = (self._kinds[module], inputs.shape, inputs.stride(), inputs.dtype)
        if key not in self._regions:
            self._beat()
            self._regions[key] = self._compiled(f"region_{len(self._regions)}_{type(module).__name__}")
        return self._regions[key](module, inputs)

    def _compiled(self, name: str) -> Run:
        def region(module: nn.Module, inputs: Tensor) -> Tensor:
            return run_module(module, inputs)

        region.__code__ = region.__code__.replace(co_name=name)  # a code object of its own, and a name in profiles
        # Random signs draw what they draw in the plain path.
        options: dict[str, Any] | None = {"fallback_random": True} if self._backend == "inductor" else None
        compiled: Callable[[nn.Module, Tensor], Tensor] = torch.compile(
            region, fullgraph=True, dynamic=False, backend=self._backend, options=options
        )
        return compiled


@contextmanager
def running(network: CellStack, run: Run) -> Iterator[None]:
    """Let `network` call the modules of its edges, its stem, last batch norm and hidden layers through `run` inside the block."""
    stacks = [network, *network.cells]
    for stack in stacks:
        stack.run = run
    try:
        yield
    finally:
        for stack in stacks:
            stack.run = run_module
