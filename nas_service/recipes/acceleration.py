"""Acceleration: what makes training faster without changing what is trained. Settings alone, without torch.

The plain path (every switch off) is the reference, and what runs on a CPU unless asked otherwise. A switch that is not set
is decided by the device. One that is set and cannot work is refused, never dropped.
"""

from enum import StrEnum
from typing import Protocol

from pydantic import Field, ValidationInfo, field_validator

from search_spaces.errors import InvalidFieldError
from search_spaces.given import GivenModel


class ActivationType(StrEnum):
    """Type of the activations while training."""

    FLOAT32 = "float32"
    BF16 = "bf16"  # by autocast: latent weights, optimizer, batch-norm statistics and losses stay in float32


class Compilation(StrEnum):
    """What torch.compile is given."""

    NONE = "none"
    REGIONS = "regions"  # one operation of an edge at a time, shared by all modules of its kind


class StepFacts(Protocol):
    """What a method says of its training steps; None: nothing."""

    @property
    def needs_eager(self) -> str | None:
        """Why they can be neither recorded nor compiled."""
        ...

    @property
    def changes_every_epoch(self) -> str | None:
        """Why code that was compiled in one epoch does not serve the next."""
        ...


class Acceleration(GivenModel):
    """How training is made faster; null: decided by the device.

    On CUDA that is bf16, channels_last, shared signs, fused optimizer and a graph where the method allows one; on a CPU it
    is the plain path. Compiled regions are never chosen for you: they pay only after minutes of compilation.
    """

    precision: ActivationType | None = Field(
        None, strict=False, description="float32 or bf16 (autocast) while training; null: by device."
    )
    channels_last: bool | None = Field(None, description="Keep activations as N, H, W, C in memory; null: by device.")
    shared_sign: bool | None = Field(
        None,
        description="Compute a node's sign once for all edges that begin with it, in templates whose sign stands first; null: by "
        "device.",
    )
    fused_optimizer: bool | None = Field(None, description="Step all parameters in one kernel; null: by device.")
    compile: Compilation = Field(
        Compilation.NONE,
        strict=False,
        description="regions: fuse the kernels of each operation with torch.compile; needs a C compiler.",
    )
    cuda_graph: bool | None = Field(
        None, description="Record a training step and replay it; null: on CUDA, where the method allows it."
    )

    @field_validator("compile")
    @classmethod
    def _one_reader_of_a_sign(cls, given: Compilation, info: ValidationInfo) -> Compilation:
        if given is Compilation.REGIONS and info.data.get("shared_sign"):
            raise ValueError("none: shared_sign and compile=regions exclude each other, a region fuses the sign with its padding")
        return given

    @field_validator("cuda_graph")
    @classmethod
    def _rate_from_the_device(cls, given: bool | None, info: ValidationInfo) -> bool | None:  # noqa: FBT001 - pydantic's way
        if given and info.data.get("fused_optimizer") is False:
            raise ValueError("false or null: cuda_graph needs fused_optimizer, a recorded step reads its rate from the device")
        return given

    def refusals(self, device: str, facts: StepFacts, epochs: int) -> list[InvalidFieldError]:
        """Return what is wrong with switches that are set and cannot work; arguments as of `resolve`."""
        found = []
        if self.cuda_graph and (device != "cuda" or facts.needs_eager):
            why = f" on the device {device}" if device != "cuda" else f": {facts.needs_eager}"
            found.append(InvalidFieldError("acceleration.cuda_graph", self.cuda_graph, f"false or null{why}"))
        if self.compile is Compilation.REGIONS and facts.needs_eager:
            found.append(InvalidFieldError("acceleration.compile", self.compile.value, f"none: {facts.needs_eager}"))
        elif self.compile is Compilation.REGIONS and epochs > 1 and facts.changes_every_epoch:
            allowed = f"none, or a single epoch: {facts.changes_every_epoch}, and all regions would be compiled anew"
            found.append(InvalidFieldError("acceleration.compile", self.compile.value, allowed))
        return found

    def resolve(self, device: str, facts: StepFacts, epochs: int) -> "Acceleration":
        """Return the settings with every switch decided: the one place that decides, for specs and for trainers.

        Args:
            device: Its type, such as cpu or cuda.
            facts: The method, which says what stands in the way of its steps.
            epochs: How many are trained with one network or path.

        Raises:
            InvalidFieldError: If a switch is set that cannot work on the device or with the method.
        """
        for refusal in self.refusals(device, facts, epochs):
            raise refusal
        cuda, regions, needs_eager = device == "cuda", self.compile is Compilation.REGIONS, facts.needs_eager
        graph = cuda and needs_eager is None and self.fused_optimizer is not False
        return Acceleration(
            precision=self.precision or (ActivationType.BF16 if cuda else ActivationType.FLOAT32),
            channels_last=_decided(self.channels_last, by_device=cuda),
            shared_sign=_decided(self.shared_sign, by_device=cuda and not regions),
            fused_optimizer=_decided(self.fused_optimizer, by_device=cuda),
            compile=self.compile,
            cuda_graph=_decided(self.cuda_graph, by_device=graph),
        )


def _decided(given: bool | None, *, by_device: bool) -> bool:  # noqa: FBT001 - a setting as it was given
    return by_device if given is None else given


PLAIN = Acceleration(
    precision=ActivationType.FLOAT32,
    channels_last=False,
    shared_sign=False,
    fused_optimizer=False,
    compile=Compilation.NONE,
    cuda_graph=False,
)
