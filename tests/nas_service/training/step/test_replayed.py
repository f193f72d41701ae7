"""Recorded steps: what is read anew in every replay, and what is refused."""

import pytest
import torch
from torch import Tensor

from nas_service.binarization.method import MethodState, ParameterRule
from nas_service.recipes.recipe import OptimizerName
from nas_service.training.fast.cuda_graphs import CudaGraphs
from nas_service.training.step.backpropagation import Backpropagation
from nas_service.training.step.optimizer import RuledOptimizer, RuledParameter
from nas_service.training.step.replayed import WARM_UP_STEPS, EagerStep, ReplayedStep
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.nas_service.training.tape import Tape, WaitedError
from tests.samples import GREY_8, tiny_genotype


def _step(optimizer: OptimizerName = OptimizerName.SGD, device: str = "cpu") -> tuple[EagerStep, Network]:
    torch.manual_seed(0)
    network = Network(SPACES.get("tiny"), tiny_genotype(), FullPrecisionConv(), GREY_8).to(device)
    parameters = [RuledParameter(name, parameter, ParameterRule()) for name, parameter in network.named_parameters()]
    ruled = RuledOptimizer(parameters, optimizer, 0.05, 1e-4, fused=True)
    return EagerStep(Backpropagation(network, [], MethodState()), ruled), network


def _batches(count: int, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.rand(size, 1, 8, 8, generator=generator), torch.randint(0, 10, (size,), generator=generator)) for _ in range(count)
    ]


@pytest.mark.parametrize("optimizer", OptimizerName)
def test_batch_and_learning_rate_are_read_anew_in_every_replay(optimizer: OptimizerName) -> None:
    """Bit for bit, losses and logits of every step included."""
    (eager, expected), (recorded, ours) = _step(optimizer), _step(optimizer)
    tape = Tape()
    replayed = ReplayedStep(recorded, tape)
    for number, (images, labels) in enumerate(_batches(7)):
        factor = 1 / (1 + number)
        for mine, its in zip(replayed(images, labels, factor), eager(images, labels, factor), strict=True):
            assert torch.equal(mine, its)
    assert tape.records == 1
    assert all(torch.equal(*pair) for pair in zip(ours.state_dict().values(), expected.state_dict().values(), strict=True))


def test_what_a_step_returned_is_not_written_over_by_the_next() -> None:
    replayed = ReplayedStep(_step()[0], Tape())
    losses = [replayed(images, labels, 1.0)[0] for images, labels in _batches(6)]
    assert len({float(loss) for loss in losses}) == 6


def test_a_batch_of_another_size_is_refused() -> None:
    replayed = ReplayedStep(_step()[0], Tape())
    for images, labels in _batches(WARM_UP_STEPS + 1):
        replayed(images, labels, 1.0)
    with pytest.raises(RuntimeError, match=r"\(4, 1, 8, 8\) does not fit the recorded \(8, 1, 8, 8\)"):
        replayed(*_batches(1, size=4)[0], 1.0)


class _Looking(MethodState):
    """Looks at a value in every step."""

    def end_step(self, layers: object) -> None:
        del layers
        self.seen = float(torch.ones(()))


class _Counting(MethodState):
    """Changes a number of Python's in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def losses(self, step: object) -> dict[str, Tensor]:
        del step
        self.steps += 1
        return {"count": torch.ones(()).mul_(self.steps)}


def _with(state: MethodState) -> EagerStep:
    step, network = _step()
    return EagerStep(Backpropagation(network, [], state), step.optimizer)


def test_the_tape_sees_that_a_step_waits() -> None:
    """So the contract's test of the methods can fail."""
    replayed = ReplayedStep(_with(_Looking()), Tape())
    batches = _batches(WARM_UP_STEPS + 1)
    for images, labels in batches[:WARM_UP_STEPS]:
        replayed(images, labels, 1.0)
    with pytest.raises(WaitedError, match="_local_scalar_dense"):
        replayed(*batches[-1], 1.0)


def test_the_tape_does_not_repeat_what_python_does() -> None:
    """As a graph would not: the count stays where it was recorded."""
    replayed = ReplayedStep(_with(_Counting()), Tape())
    eager = _with(_Counting())
    differences = [
        float(eager(images, labels, 1.0)[0] - replayed(images, labels, 1.0)[0]) for images, labels in _batches(WARM_UP_STEPS + 3)
    ]
    assert differences[: WARM_UP_STEPS + 1] == [0] * (WARM_UP_STEPS + 1)
    assert differences[-2:] == pytest.approx([1, 2], abs=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("optimizer", OptimizerName)
def test_a_cuda_graph_replays_the_eager_step(optimizer: OptimizerName) -> None:
    """Two graphs, one after the other from one pool; cuDNN may choose other algorithms, so to the rounding of sums."""
    graphs = CudaGraphs(torch.device("cuda"))
    for _ in range(2):
        (eager, _), (recorded, _) = _step(optimizer, "cuda"), _step(optimizer, "cuda")
        replayed = ReplayedStep(recorded, graphs)
        for number, (images, labels) in enumerate(_batches(8)):
            batch = images.to("cuda"), labels.to("cuda"), 1 / (1 + number)
            torch.testing.assert_close(replayed(*batch)[0], eager(*batch)[0], rtol=1e-3, atol=1e-4)
