"""Accelerator: carries out an `Acceleration`, so that the trainers need not know its switches."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Method, MethodState
from nas_service.binarization.shared_sign import sharing_signs
from nas_service.recipes.acceleration import Acceleration, Compilation, Precision
from nas_service.training.fast.cuda_graphs import CudaGraphs
from nas_service.training.fast.regions import Regions, running
from nas_service.training.step.arithmetic import Arithmetic
from nas_service.training.step.attacked import BatchStep
from nas_service.training.step.optimizer import RuledOptimizer
from nas_service.training.step.replayed import EagerStep, Recorder, ReplayedStep, TrainingStep
from search_spaces.errors import InvalidFieldError
from search_spaces.network import CellStack


class Accelerator:
    """What a trainer asks of the fast path, on one device with one method.

    Attributes:
        settings: Every switch decided.
        arithmetic: How the network is run while training.
        recorder: Of training steps; None: they are run as they come.
    """

    def __init__(self, acceleration: Acceleration, device: torch.device, method: Method, generator: torch.Generator) -> None:
        """Decide what is left to the device.

        Args:
            acceleration: What was asked for.
            device: Where training happens.
            method: What is trained.
            generator: What training steps draw from beside torch's default one.

        Raises:
            InvalidFieldError: If a switch is set that cannot work on the device or with the method.
        """
        self.settings = acceleration.resolve(device.type, method.needs_eager)
        bf16 = self.settings.precision is Precision.BF16
        self.arithmetic = Arithmetic(bf16=bf16, channels_last=bool(self.settings.channels_last))
        self.recorder: Recorder | None = CudaGraphs(device, [generator]) if self.settings.cuda_graph else None
        self._regions = Regions() if self.settings.compile is Compilation.REGIONS else None

    @property
    def fused_optimizer(self) -> bool:
        """Whether optimizers are fused ones."""
        return bool(self.settings.fused_optimizer)

    def check(self, state: MethodState, epochs: int) -> None:
        """Refuse to compile what would have to be compiled again and again.

        Raises:
            InvalidFieldError: If regions are compiled and the method changes its layers from one of several epochs to the next.
        """
        if self._regions is not None and epochs > 1 and type(state).start_epoch is not MethodState.start_epoch:
            reason = f"{type(state).__name__} changes with every epoch, and all regions would be compiled anew"
            raise InvalidFieldError("acceleration.compile", self.settings.compile.value, f"none, or a single epoch: {reason}")

    def lay_out(self, network: CellStack) -> None:
        """Put the network's kernels into the memory order of its activations."""
        if self.arithmetic.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch leaves this one out

    @contextmanager
    def training(self, network: CellStack, layers: Sequence[BinaryConv2d]) -> Iterator[None]:
        """Run `network`, of which `layers` take part, the fast way inside the block."""
        with ExitStack() as stack:
            if self._regions is not None:
                stack.enter_context(running(network, self._regions))
            if self.settings.shared_sign:
                stack.enter_context(sharing_signs(network.cells, layers))
            yield

    def step(self, batch_step: BatchStep, optimizer: RuledOptimizer) -> TrainingStep:
        """Return the training step; good for as long as the method changes nothing but tensors, in place."""
        eager = EagerStep(batch_step, optimizer)
        return eager if self.recorder is None else ReplayedStep(eager, self.recorder)
