"""Pieces of generated C that are the same for all networks, what is put into them, and what becomes of all stages together."""

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from numpy.typing import NDArray

from nas_service.deploy.memory import Room
from nas_service.deploy.program import AvgPool, Flatten, Gather, GlobalMean, GroupMean, Linear, Magnitude, MaxPool, NonLocalMean

Numbers = NDArray[Any]
PLAIN = {
    MaxPool: "pool",
    AvgPool: "pool",
    GroupMean: "group_mean",
    Gather: "gather_channels",
    Magnitude: "magnitude",
    NonLocalMean: "non_local_mean",
    GlobalMean: "global_mean",
    Flatten: "flatten",
    Linear: "linear",
}
POOLS: dict[type, dict[str, str]] = {
    MaxPool: {"STEP": "at[lane] > value[lane] ? at[lane] : value[lane]", "LAST": "value[lane]"},
    AvgPool: {"STEP": "value[lane] + at[lane]", "LAST": "value[lane] / (float)count"},
}
CONV_PLACES = {
    "values": "counts + pixel * NN_LANES",
    "patch": "patch.bits + pixel * patch.pixel, &patch",
    "pixel": "(size_t)y * s->out_width + x + pixel",
    "first": "group * outputs + output",
}
BLOCK_PLACES = {
    **CONV_PLACES,
    "values": "counts + pixel * outputs + output",
    "pixel": "place + pixel",
    "first": "first + output",
}
DEPTHWISE_PLACES = {
    "values": "counts",
    "patch": "(const uint32_t *)(const void *)(counts + NN_LANES), 0",
    "pixel": "(size_t)y * s->out_width + x",
    "first": "word * 32 + first",
}
NUMBERS = ("nn_value *out = arena + s->out + pixel * s->out_stride + first;", "")
SIGNS = (
    "nn_number out[NN_LANES] = {0};",
    """  @SIGNS@(out, s->out_limits + first, lanes, s->out_flips ? s->out_flips + first / 8 : 0,
           (uint8_t *)(arena + s->out) + pixel * ((s->outputs + 7u) / 8) + first / 8);
""",
)


def part(name: str) -> str:
    """Return a piece of C that is the same for all networks."""
    return (files("nas_service.deploy") / "c_parts" / f"{name}.c").read_text(encoding="utf-8")


@dataclass
class StageCode:
    """The C of all stages.

    Attributes:
        functions: Definitions, in an order in which they compile.
        records: A record for each stage that is run.
        stem: Name of the stem's function.
        dots: Words and lanes of the patches that are counted.
        most: The most constants and other maps of a stage, at least 1.
        levels: Bits of the depthwise counters.
        least_energy: Of a non-local mean.
        room: Where maps lie.
        unit: Bytes of a number of the arena, in which places are counted.
        macros: Numbers of the whole network, by name.
    """

    room: Room
    unit: int
    functions: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    stem: str = ""
    dots: set[tuple[int, int]] = field(default_factory=set)
    most: tuple[int, int] = (1, 1)
    levels: int = 1
    least_energy: float = 0.0
    macros: dict[str, str] = field(default_factory=dict)
