"""Checkpoints without pickles."""

import torch
from torch import nn

from nas_service.training.state.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer


def test_tensors_and_facts_survive_the_round_trip() -> None:
    tensors = {"a.b": torch.randn(3, 2), "count": torch.tensor(7), "bits": torch.tensor([1, 255], dtype=torch.uint8)}
    checkpoint = Checkpoint(tensors, {"epoch": 3, "words": ["ä", None]})
    read = Checkpoint.from_bytes(checkpoint.to_bytes())
    assert read.facts == checkpoint.facts
    assert set(read.tensors) == set(tensors)
    assert all(torch.equal(read.tensors[name], tensor) for name, tensor in tensors.items())


def test_a_restored_optimizer_steps_as_the_saved_one_would() -> None:
    """Moments and step counts included, by the parameters' names."""
    for make in (lambda p: torch.optim.Adam(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)):
        models = []
        for _ in range(2):
            torch.manual_seed(0)
            models.append(nn.Linear(3, 2))
        names = ["weight", "bias"]
        first, second = (make(list(model.parameters())) for model in models)
        models[0](torch.ones(1, 3)).square().sum().backward()
        first.step()
        models[1].load_state_dict(models[0].state_dict())
        saved = Checkpoint(optimizer_tensors("optimizer.", first, names)).to_bytes()
        restore_optimizer("optimizer.", second, Checkpoint.from_bytes(saved).tensors, names)
        for model, optimizer in zip(models, (first, second), strict=True):
            optimizer.zero_grad()
            model(torch.full((1, 3), 2.0)).square().sum().backward()
            optimizer.step()
        assert torch.equal(models[0].weight, models[1].weight)
