"""RBCN's discriminators and their teacher, rule by rule."""

import pytest
import torch

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.methods.rbcn import RbcnState
from nas_service.export.packed import freeze_network
from tests.nas_service.binarization.methods.rbcn_cases import forward_step, make_method, make_state, make_student, train


@pytest.mark.parametrize("part", ["weight", "factors"])
def test_the_adversarial_loss_moves_w_and_c(part: str) -> None:
    student = make_student()
    state = make_state(student, kernel_weight=0)
    step, _ = forward_step(student, state, torch.rand(8, 1, 8, 8))
    torch.stack(list(state.losses(step).values())).sum().backward()
    first, *_ = binary_layers([student])
    gradient = getattr(first, part).grad
    assert gradient is not None
    assert torch.count_nonzero(gradient) > 0


def test_every_cell_has_a_discriminator_unless_fewer_are_asked_for() -> None:
    student = make_student()
    assert make_state(student).taps == ("cells.0", "cells.1")
    assert make_state(student, tapped_cells=1).taps == ("cells.1",)
    for tapped in (None, 1):
        state = make_state(student, tapped_cells=tapped)
        state.adversary_step(forward_step(student, state, torch.rand(2, 1, 8, 8))[0])  # the widths fit


def test_discriminators_learn_to_tell_teacher_from_student_and_leave_the_student_alone() -> None:
    student = make_student()
    state = make_state(student)
    step, _ = forward_step(student, state, torch.rand(16, 1, 8, 8))
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    assert state.adversary is not None
    old = [parameter.clone() for parameter in state.adversary.parameters()]
    for _ in range(60):
        state.adversary_step(step)
    assert float(state.adversary.real_score) > float(state.adversary.fake_score) + 0.1
    assert all(not torch.equal(was, now) for was, now in zip(old, state.adversary.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in student.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in student.state_dict().items())


def test_the_students_step_leaves_the_discriminators_alone() -> None:
    student = make_student()
    state = make_state(student)
    assert state.adversary is not None
    before = [parameter.clone() for parameter in state.adversary.parameters()]
    step, _ = forward_step(student, state, torch.rand(4, 1, 8, 8))
    torch.stack(list(state.losses(step).values())).sum().backward()
    assert all(parameter.grad is None for parameter in state.adversary.parameters())
    assert all(torch.equal(was, now) for was, now in zip(before, state.adversary.parameters(), strict=True))


def test_discriminators_are_absent_from_the_exported_network_and_from_the_students_optimizer() -> None:
    method = make_method()
    trainer = train(method)
    state = trainer._state
    assert isinstance(state, RbcnState)
    judged = {id(parameter) for parameter in state.parameters()}
    stepped = {id(parameter) for group in trainer._optimizer.inner.param_groups for parameter in group["params"]}
    assert judged
    assert not judged & stepped
    frozen = freeze_network(trainer.network, method)
    assert not any("adversar" in name or "weight_sign" in name for name in frozen.state_dict())
    assert {id(parameter) for parameter in trainer.network.parameters()}.isdisjoint(judged)


def test_logits_do_not_need_the_teacher() -> None:
    method = make_method()
    trainer = train(method)
    alone = make_student()
    alone.load_state_dict(trainer.network.state_dict())
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(trainer.network.eval()(images), alone.eval()(images))
