"""Taps: the outputs of named modules of a network, kept for the current step."""

from types import TracebackType
from typing import Self

from torch import Tensor, nn


class Taps:
    """While entered, `outputs` holds what the named modules put out in the last forward pass. No names, no cost."""

    def __init__(self, network: nn.Module, names: tuple[str, ...]) -> None:
        """Remember where to listen.

        Raises:
            AttributeError: If the network has no submodule of a name.
        """
        self._modules = {name: network.get_submodule(name) for name in names}
        self._handles: list[object] = []
        self.outputs: dict[str, Tensor] = {}

    def __enter__(self) -> Self:
        """Start listening."""
        for name, module in self._modules.items():

            def keep(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
                self.outputs[name] = output

            self._handles.append(module.register_forward_hook(keep))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening."""
        for handle in self._handles:
            handle.remove()  # type: ignore[attr-defined]  # torch's RemovableHandle
        self._handles.clear()
        self.outputs.clear()
