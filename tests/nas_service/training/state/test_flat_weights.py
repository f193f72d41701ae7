"""Many tensors as one."""

import torch

from nas_service.training.state.checkpoint import Checkpoint
from nas_service.training.state.flat_weights import FlatWeights

WEIGHTS = {"a.weight": torch.randn(2, 3), "scalar": torch.tensor(4.0), "empty": torch.empty(0, 5), "b": torch.randn(7)}


def test_splitting_gives_the_tensors_back_bit_for_bit() -> None:
    split = FlatWeights.of(WEIGHTS).split()
    assert list(split) == list(WEIGHTS)
    assert all(torch.equal(split[name], tensor) and split[name].shape == tensor.shape for name, tensor in WEIGHTS.items())


def test_no_tensors_are_no_values() -> None:
    assert FlatWeights.of({}).split() == {}


def test_a_checkpoint_gives_the_tensors_back() -> None:
    saved = FlatWeights.of(WEIGHTS).to_checkpoint().to_bytes()
    split = FlatWeights.from_checkpoint(Checkpoint.from_bytes(saved)).split()
    assert all(torch.equal(split[name], tensor) for name, tensor in WEIGHTS.items())


def test_what_was_split_off_is_a_copy() -> None:
    flat = FlatWeights.of(WEIGHTS)
    flat.split()["b"].zero_()
    assert torch.equal(flat.split()["b"], WEIGHTS["b"])
