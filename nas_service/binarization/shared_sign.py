"""Shared signs: sign(x) of a node is computed once for all edges that begin with it.

Plain: every edge takes the sign of its node, and its gradient comes back through a surrogate s(x) of its own, so that
dL/dx = sum_e (g_e s(x)) over the edges. Shared: one sign, dL/dx = (sum_e g_e) s(x): the same but for the rounding of the sum,
with one kernel where there was one an edge, forward and backward. Padding stays the edge's own, for it differs.

What can be shared is what several layers read and treat alike: the layers say so (`BinaryConv2d.sign_key`). In the templates
`plain`, `plain-hardtanh` and `bi-real` the sign stands first and acts on the node itself. In `shortcut` and `double-norm` every
block normalises the node by its own batch norm before the sign, so no two signs are of the same tensor and nothing is shared.
Random signs are never shared: each edge draws its own, as without sharing.
"""

from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d, binary_layers


class SharedSigns:
    """The signs of one pass through a cell, each taken once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._taken: dict[tuple[int, Hashable], tuple[Tensor, Tensor]] = {}

    def __call__(self, layer: BinaryConv2d, inputs: Tensor) -> Tensor:
        """Return `layer.binary_input(inputs)`, perhaps from a layer that was asked before."""
        key = layer.sign_key()
        if key is None:
            return layer.binary_input(inputs)
        place = (id(inputs), key)
        if place not in self._taken:
            # The inputs are kept too: while they live, nothing else has their id.
            self._taken[place] = (inputs, layer.binary_input(inputs))
        return self._taken[place][1]

    def forget(self, *_: object) -> None:
        """Drop everything: the cell is done."""
        self._taken.clear()


@contextmanager
def sharing_signs(cells: Iterable[nn.Module], layers: Iterable[BinaryConv2d]) -> Iterator[None]:
    """Let `layers` of `cells` share signs inside the block; what a cell shared is dropped when its forward pass ends.

    Layers outside of the cells share nothing: each reads a tensor of its own, which nothing would drop.
    """
    owners = list(cells)
    signs, inside = SharedSigns(), {id(layer) for layer in binary_layers(owners)}
    sharing = [layer for layer in layers if id(layer) in inside]
    handles = [cell.register_forward_hook(signs.forget, always_call=True) for cell in owners]
    for layer in sharing:
        layer.shared_signs = signs
    try:
        yield
    finally:
        for layer in sharing:
            layer.shared_signs = None
        for handle in handles:
            handle.remove()
