"""Checkpoints as safetensors bytes: tensors by name and a JSON object; nothing is ever unpickled."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and facts about them.

    Attributes:
        tensors: On the CPU.
        facts: JSON-serialisable.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Serialise; the facts travel as the tensor `__facts__` of UTF-8 bytes."""
        text = json.dumps(self.facts, sort_keys=True).encode()
        facts = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        return save({**tensors, "__facts__": facts})

    @classmethod
    def from_bytes(cls, content: bytes) -> "Checkpoint":
        """Read what `to_bytes` wrote."""
        tensors = load(content)
        facts = json.loads(bytes(tensors.pop("__facts__").numpy()))
        return cls(tensors, facts)


def optimizer_tensors(prefix: str, optimizer: torch.optim.Optimizer, names: Sequence[str] | None = None) -> dict[str, Tensor]:
    """Return the optimizer's state as tensors named `<prefix><parameter>.<entry>`; without names, parameters have numbers."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}{index if names is None else names[index]}.{entry}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, entries in state.items()
        for entry, value in entries.items()
        if value is not None
    }


def restore_optimizer(
    prefix: str, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], names: Sequence[str] | None = None
) -> None:
    """Put back what `optimizer_tensors` took out."""
    state: dict[int, dict[str, Tensor]] = {}
    positions = {name: index for index, name in enumerate(names or ())}
    for key, tensor in tensors.items():
        if key.startswith(prefix):
            name, entry = key.removeprefix(prefix).rsplit(".", 1)
            state.setdefault(int(name) if names is None else positions[name], {})[entry] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
