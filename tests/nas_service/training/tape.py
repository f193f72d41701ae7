"""A recorder for machines without a GPU: it keeps the tensor operations that a step asks for and does them again.

What it has in common with a CUDA graph is what matters to a training step: nothing of Python is repeated, every operation
reads and writes the tensors it was recorded with, and nothing may wait for a value. So a step that would go wrong when a graph
is replayed goes wrong here, and it can be seen on a CPU.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_aten = torch.ops.aten
_WAITS = {  # on CUDA the host waits for a value in these, for a shape that depends on values, or copies one there
    _aten._local_scalar_dense.default,
    _aten._unique2.default,
    _aten.bincount.default,
    _aten.equal.default,
    _aten.lift_fresh.default,
    _aten.masked_select.default,
    _aten.nonzero.default,
}


class WaitedError(RuntimeError):
    """A step that is being recorded asked for a value, or brought one from the host."""


class _Recording(TorchDispatchMode):
    """Does every operation, keeps it, and keeps what it is about to overwrite."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.calls: list[tuple[Any, Any, Any, list[Any]]] = []
        self.overwritten: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._made: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 - torch's own signature
        del types
        kwargs = kwargs or {}
        if func in _WAITS or (
            func is _aten.index.Tensor and any(part.dtype is torch.bool for part in args[1] if part is not None)
        ):
            raise WaitedError(f"{func} waits for the device")
        given = {storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        if func._schema.is_mutable or "batch_norm" in func._schema.name:  # whose schema hides its running statistics
            for leaf in tree_leaves((args, kwargs)):
                if isinstance(leaf, Tensor) and storage(leaf) not in self._made:
                    memory = leaf.untyped_storage()
                    self.overwritten.setdefault(storage(leaf), (memory, memory.clone()))
        outputs = func(*args, **kwargs)
        leaves = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
        self._made |= {storage(leaf) for leaf in leaves} - given
        self.calls.append((func, args, kwargs, leaves))
        return outputs


def storage(tensor: Tensor) -> int:
    """Return the address of the tensor's memory."""
    return tensor.untyped_storage().data_ptr()


class Tape:
    """A `Recorder` on the CPU."""

    def __init__(self) -> None:
        self.records = 0

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        yield

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record `work` by doing it, then put back what it changed, the random stream included."""
        self.records += 1
        recording, random = _Recording(), torch.get_rng_state()
        with recording:
            work()
        for memory, before in recording.overwritten.values():
            memory.copy_(before)
        torch.set_rng_state(random)
        return lambda: _replay(recording.calls)


@torch.no_grad()
def _replay(calls: Sequence[tuple[Any, Any, Any, list[Any]]]) -> None:
    for func, args, kwargs, recorded in calls:
        outputs = func(*args, **kwargs)
        again = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
        for kept, fresh in zip(recorded, again, strict=True):
            if storage(kept) != storage(fresh):  # neither a view nor in place
                kept.copy_(fresh)
