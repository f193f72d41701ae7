"""Limits of a device: what an architecture may cost, by `search_spaces/cost.py`, and what it may take in generated C."""

from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import Field

from search_spaces.given import GivenModel

MOST = 10**15
Quantity = Literal["parameters", "binary_parameters", "float_parameters", "ops", "packed_bytes"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)  # sums over arms
CQuantity = Literal["flash_bytes", "ram_bytes", "cortex_m4_instructions"]
C_QUANTITIES: tuple[CQuantity, ...] = get_args(CQuantity)  # of whole architectures
ATTACKED = "attacked_accuracy"
Objective = Literal[Quantity, "attacked_accuracy"]


class CountedImage(GivenModel):
    """Images that costs are counted for."""

    channels: int = Field(3, ge=1, le=4, description="1 (grey) or 3 (RGB).")
    height: int = Field(32, ge=1, le=65_536, description="In pixels.")
    width: int = Field(32, ge=1, le=65_536, description="In pixels.")
    classes: int = Field(10, ge=2, le=10**6, description="Classes to tell apart.")


class Constraints(GivenModel):
    """What an architecture may cost that a search samples or returns, counted for its method and one image of its data.

    What C takes is counted for the methods that it trains with, if it names some: the dearest of them.
    """

    parameters: int | None = Field(None, ge=1, le=MOST, description="Weights of one bit and of 32 bits together.")
    binary_parameters: int | None = Field(None, ge=0, le=MOST, description="Weights of one bit.")
    float_parameters: int | None = Field(None, ge=1, le=MOST, description="Weights of 32 bits.")
    ops: float | None = Field(
        None, gt=0, le=MOST, description="Operations of one image: FLOPs + BOPs / 64, a multiply-accumulate being one."
    )
    packed_bytes: int | None = Field(
        None, ge=1, le=MOST, description="Bytes of the frozen network: 8 one-bit weights a byte, 4 bytes a float."
    )
    flash_bytes: int | None = Field(
        None, ge=1, le=MOST, description="Bytes of constants and machine code of generated C on a Cortex-M4; code is an estimate."
    )
    ram_bytes: int | None = Field(None, ge=1, le=MOST, description="Bytes of all maps of generated C at once, without the stack.")
    cortex_m4_instructions: int | None = Field(
        None, ge=1, le=MOST, description="Instructions that generated C takes for one image on a Cortex-M4: an estimate."
    )
    image: CountedImage | None = Field(
        None, description="What costs are counted for: always the dataset's images; filled in, whatever is given."
    )

    @property
    def given(self) -> dict[str, float]:
        """The limits that there are, by quantity."""
        return self.sums | self.in_c

    @property
    def sums(self) -> dict[str, float]:
        """Those on sums over arms."""
        return self._limits(QUANTITIES)

    @property
    def in_c(self) -> dict[str, float]:
        """Those on what generated C takes."""
        return self._limits(C_QUANTITIES)

    def _limits(self, names: Sequence[str]) -> dict[str, float]:
        figures = {name: getattr(self, name) for name in names}
        return {name: figure for name, figure in figures.items() if figure is not None}
