"""Workbench: what every trainer works with on one device, and the one way in which it takes its steps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Method, Phase
from nas_service.binarization.shared_sign import sharing_signs
from nas_service.data.dataset import ImageDataset
from nas_service.data.loader import ResidentPart, epoch_batches
from nas_service.recipes.acceleration import ActivationType, Compilation
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.reports import Beat
from nas_service.training.fast.cuda_graphs import CudaGraphs
from nas_service.training.fast.regions import Regions, running
from nas_service.training.step.arithmetic import Arithmetic
from nas_service.training.step.attacked import batch_step
from nas_service.training.step.backpropagation import Backpropagation
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from nas_service.training.step.replayed import EagerStep, Recorder, ReplayedStep, TrainingStep
from search_spaces.network import CellStack

_WHOLE = Phase("train", 0)  # of a training without phases; nobody asks for its length


class Workbench:
    """Images on the device, what makes steps fast there with one method, and the stream that attacks draw from.

    Attributes:
        device: Where.
        train: Images to train on.
        validation: Images to score on.
        acceleration: Every switch decided.
        arithmetic: How a network is run while training.
        attacks: What attacks in training steps draw from; the trainer seeds it.
        recorder: Of training steps; None: they are run as they come.
        regions: Compiled code; None: nothing is compiled.
        beat: Called after every training step, and by trainers for every batch that they score.
    """

    def __init__(
        self,
        method: Method,
        settings: Recipe | EvaluationSettings,
        dataset: ImageDataset,
        device: torch.device,
        beat: Beat,
        *,
        validation_images: int | None = None,
    ) -> None:
        """Copy training images and so many validation images (None: all) to `device`; decide what is left to it.

        Raises:
            InvalidFieldError: If the acceleration cannot work on the device or with the method.
        """
        self.device = device
        self.beat = beat
        self.acceleration = settings.acceleration.resolve(device.type, method.facts, settings.epochs)
        self.train = ResidentPart.of(dataset.train, device)
        self.validation = ResidentPart.of(dataset.validation, device, validation_images)
        bf16 = self.acceleration.precision is ActivationType.BF16
        self.arithmetic = Arithmetic(bf16=bf16, channels_last=bool(self.acceleration.channels_last))
        self.attacks = torch.Generator(device)
        self.recorder: Recorder | None = CudaGraphs(device, [self.attacks]) if self.acceleration.cuda_graph else None
        self.regions = Regions(beat=beat) if self.acceleration.compile is Compilation.REGIONS else None
        self._settings = settings
        self._augmentation = dataset.augmentation

    def lay_out(self, network: CellStack) -> None:
        """Put the network's kernels into the memory order of its activations."""
        if self.arithmetic.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch leaves this one out

    def optimizer(
        self,
        named: Mapping[str, nn.Parameter],
        layers: Sequence[BinaryConv2d],
        method: Method | None,
        phase: Phase = _WHOLE,
        *,
        in_real_stage: bool = False,
    ) -> RuledOptimizer:
        """Return a fresh optimizer of a phase; arguments as of `ruled_parameters`."""
        settings, parameters = self._settings, ruled_parameters(named, layers, method, in_real_stage=in_real_stage)
        rate, decay = settings.learning_rate * phase.lr_multiplier, settings.weight_decay if phase.decays else 0.0
        return RuledOptimizer(parameters, settings.optimizer, rate, decay, fused=bool(self.acceleration.fused_optimizer))

    @contextmanager
    def training(self, plain: Backpropagation, optimizer: RuledOptimizer) -> Iterator[TrainingStep]:
        """Yield the step that the settings make of a plain one, run the fast way inside the block.

        It is good for as long as the method changes nothing but tensors, in place.
        """
        network, layers = plain.network, plain.layers
        with ExitStack() as stack:
            if self.regions is not None:
                stack.enter_context(running(network, self.regions))
            if self.acceleration.shared_sign:
                stack.enter_context(sharing_signs(network.cells, layers))
            own = batch_step(replace(plain, arithmetic=self.arithmetic), self._settings.adversarial, self.attacks)
            eager = EagerStep(own, optimizer)
            yield eager if self.recorder is None else ReplayedStep(eager, self.recorder)

    def batches(self, steps: int) -> int:
        """Return how many batches take no more than so many optimizer steps, one at least: free training replays each."""
        adversarial = self._settings.adversarial
        return max(1, steps // (1 if adversarial is None else adversarial.replays))

    def epoch(self, generator: torch.Generator, subset: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the training images, or those of a `subset` of indices, in shuffled, augmented batches with their labels."""
        return epoch_batches(self.train, self._settings.batch_size, self._augmentation, generator, subset)

    def run(
        self,
        step: TrainingStep,
        batches: int,
        factor: Callable[[int], float],
        generator: torch.Generator,
        subset: Tensor | None = None,
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Train on so many batches of an epoch, yielding loss, logits (N, classes) and labels (N,) of each.

        Args:
            step: Of `training`.
            batches: How many, of those that an epoch has.
            factor: On the peak learning rate, by the batch's number.
            generator: As of `epoch`.
            subset: As of `epoch`.
        """
        for number, (images, labels) in zip(range(batches), self.epoch(generator, subset), strict=False):
            loss, logits = step(images, labels, factor(number))
            self.beat()
            yield loss, logits, labels
