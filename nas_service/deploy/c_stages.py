"""Stages in C: each stage's function, shared by all that do the same, and its record of sizes, places and constants."""

from collections.abc import Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.c_layout import (
    bit_groups,
    conv_scratch,
    group_bytes,
    packed_bits,
    patch_words,
    scratch_bytes,
    stem_weights,
)
from nas_service.deploy.c_pieces import (
    BLOCK_PLACES,
    CONV_PLACES,
    DEPTHWISE_PLACES,
    NUMBERS,
    PLAIN,
    POOLS,
    SIGNS,
    Numbers,
    StageCode,
    part,
)
from nas_service.deploy.c_popcount import LANES
from nas_service.deploy.c_tables import Tables
from nas_service.deploy.c_tails import Before, TailCode, tail_code
from nas_service.deploy.memory import place_maps
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import (
    BinaryConv,
    Concat,
    Gather,
    GroupMean,
    Linear,
    Magnitude,
    NonLocalMean,
    RealConv,
    Shape,
    Stem,
)
from nas_service.deploy.sign_bits import SignBits, is_depthwise
from nas_service.deploy.stages import Other, Stage
from nas_service.deploy.thresholds import Thresholds
from nas_service.errors import ExportError


def write_stages(stages: Sequence[Stage], image: Shape, tables: Tables) -> StageCode:
    """Return the C of a network's stages, for maps of float32; constants go into `tables`.

    Raises:
        ExportError: If a size is beyond what the records hold.
    """
    return StageWriter(stages, image, tables).write_all()


class StageWriter:
    """Writes stage by stage: maps of float32. What else there is for other maps is another's, under these names.

    Attributes:
        activations: Type of a map's numbers, and the piece of C that says what it is.
        fields: What a stage's record has beside.
        pieces: Pieces of C that are others than those of their names.
        signs_of_numbers: Name of the function that takes the signs of what a tail computes.
        sum_lines: What is computed of a count and the sum m of the signs under a window.
    """

    activations = "float32"
    fields = ""
    pieces: Mapping[str, str] = MappingProxyType({})
    signs_of_numbers = "nn_signs"
    sum_lines: tuple[str, ...] = ("v = v * c0[lane];", "r = m * c1[lane];", "v = v + r;", "v = v + c2[lane];")

    def __init__(self, stages: Sequence[Stage], image: Shape, tables: Tables) -> None:
        """Find the room for all maps; constants go into `tables`."""
        self._shapes = {stage.output: stage.shape for stage in stages}
        scratch = [scratch_bytes(stage, self._shapes.get(stage.inputs[0]) if stage.inputs else None) for stage in stages]
        self._code, self._image, self.tables = StageCode(place_maps(stages, scratch), stages[0].number_bytes), image, tables
        self._stages, self._unit = stages, self._code.unit
        self._known: dict[str, str] = {}

    def write_all(self) -> StageCode:
        """Return the C of all stages.

        Raises:
            ExportError: If a size is beyond what the records hold.
        """
        for stage in self._stages:
            self.write(stage)
        return self._code

    def write(self, stage: Stage) -> None:
        """Write one stage."""
        match stage.head:
            case None:
                self._tailed(stage, "pointwise", {})
            case BinaryConv() as conv:
                self._binary(stage, conv)
            case RealConv() as conv:
                weights = {"weights": self.tables.add(self._weights(stage, conv.weight)), "groups": conv.groups}
                self._tailed(stage, "real_conv", weights)
            case Stem() as stem:
                means = self.tables.add(stem.mean.astype(np.int32))
                weights = {"weights": self.tables.add(stem_weights(stem)), "flips": f"(const uint8_t *)(const void *){means}"}
                piece = "int8_stem" if stem.is_int8 else "stem"
                self._code.stem = self._tailed(stage, piece, {**weights, "run": "0"}, before=self._before_stem(stem))
            case Concat():
                self._copies(stage)
            case _:
                self._plain(stage)

    def _function(self, piece: str, **names: str) -> str:
        """Return the name of a function made of a piece of C; one that is there already is shared."""
        text = part(self.pieces.get(piece, piece))
        key = piece + repr(sorted(names.items()))
        if key not in self._known:
            name = f"nn_{piece}_{len(self._known)}" if "@NAME@" in text else f"nn_{piece}"
            for place, value in {**names, "NAME": name}.items():
                text = text.replace(f"@{place}@", value)
            self._known[key] = name
            self._code.functions.append(text)
        return self._known[key]

    def _tailed(self, stage: Stage, piece: str, record: dict[str, Any], before: Before = Before(), **more: str) -> str:  # noqa: B008 - frozen
        """Write a stage whose numbers go through a tail, and return the name of its function."""
        code = self._tail_code(stage, before)
        value = "nn_value" if piece == "pointwise" else "nn_number"
        name = self._function(piece, TAIL=self._tail(stage, code, "values[lane]", value), **more)
        self._record(stage, {"run": name, **record, **self._reads(stage, code)})
        return name

    def _counted(self, stage: Stage, piece: str, record: dict[str, Any], before: Before, **more: str) -> None:
        """Write a stage that counts differing bits: it stores floats behind a tail, or signs."""
        if isinstance(stage.bits, SignBits):
            self._function("to_bits")
            store = "nn_to_bits(s, arena, {values}, {pixel}, {first}, lanes)"
            reads = {"most": self.tables.add(stage.bits.most.astype(np.int16)), **self._out_flips(stage.bits)}
            if bool((stage.bits.least <= record["fan_in"]).any()):
                reads["least"] = self.tables.add(stage.bits.least.astype(np.int16))
        else:
            code = self._tail_code(stage, before)
            tail = self._tail(stage, code, "(nn_number)(s->fan_in - 2 * values[lane])", "int32_t")
            store = tail + "(s, arena, {values}, {patch}, {pixel}, {first}, lanes)"
            reads = self._reads(stage, code)
        places = CONV_PLACES if piece == "conv" else DEPTHWISE_PLACES
        if piece == "conv":
            more |= {"STORE_BLOCK": store.format(**BLOCK_PLACES), "LANES": "NN_LANES" if _is_narrow(stage) else "outputs"}
        name = self._function(piece, STORE=store.format(**places), PACK=self._packing(stage), **more)
        self._record(stage, {"run": name, **record, **reads})

    def _packing(self, stage: Stage) -> str:
        """Return the function that lays a stage's bits."""
        self._function("signs")
        self._function("pad")
        return self._function("pack" if stage.thresholds is not None else "pack_bits")

    def _tail(self, stage: Stage, code: TailCode, first: str, value: str) -> str:
        """Return the function of a tail, which stores floats or their signs."""
        out, after = NUMBERS
        if stage.bits is not None:
            self._function("signs")
            out, after = SIGNS[0], SIGNS[1].replace("@SIGNS@", self.signs_of_numbers)
        places = {"POINTERS": code.pointers, "BODY": code.body, "FIRST": first, "VALUE": value}
        return self._function("tail", OUT=out, AFTER=after, **places)

    def _out_flips(self, bits: SignBits) -> dict[str, Any]:
        flips = packed_bits(bits.flips, ceil(len(bits.flips) / 8))
        return {"out_flips": self.tables.add(flips)} if bool(flips.any()) else {}

    def _reads(self, stage: Stage, code: TailCode) -> dict[str, Any]:
        """Return what a record says of constants and other maps."""
        record: dict[str, Any] = {}
        if isinstance(stage.bits, Thresholds):
            limits = self._limits(*self._limits_out(stage, stage.bits), 1, ceil(stage.shape.channels / 8))
            record = {f"out_{name}": table for name, table in limits.items()}
        if code.constants:
            record["constants"] = "{" + ", ".join(self.tables.add(values) for values in code.constants) + "}"
        if code.shifts:
            record["shifts"] = "{" + ", ".join(map(str, code.shifts)) + "}"
        places = [self._code.room.places[step] for step in code.others]
        if places:
            record["other"] = "{" + ", ".join(f"{place.offset // self._unit}" for place in places) + "}"
            record["other_stride"] = "{" + ", ".join(f"{place.stride}" for place in places) + "}"
        for entry in stage.tail:
            if isinstance(entry, Other) and entry.multiplies:
                record["other_group"] = stage.shape.channels // self._shapes[entry.step].channels
        self._code.most = (max(self._code.most[0], len(code.constants)), max(self._code.most[1], len(places)))
        return record

    def _binary(self, stage: Stage, conv: BinaryConv) -> None:
        source = self._shapes[stage.inputs[0]]
        bits, _ = conv_scratch(conv, source)
        record: dict[str, Any] = {
            "patch": (self._code.room.scratch[stage.output] + bits) // self._unit,
            "groups": bit_groups(conv),
            "group_bytes": group_bytes(conv, source.channels),
            "pads_plus": int(conv.pads_plus),
            "fan_in": conv.fan_in,
        }
        if stage.thresholds is not None:
            record |= self._limits(*self._limits_in(stage, stage.thresholds), bit_groups(conv), record["group_bytes"])
        depthwise = is_depthwise(conv)
        before = self._sums(conv, depthwise=depthwise)
        if depthwise:
            words = packed_bits(conv.bits[..., 0].transpose(1, 2, 0), record["group_bytes"]).view(np.uint32)
            self._function("columns")
            self._code.levels = max(self._code.levels, int(np.prod(conv.bits.shape[1:3])).bit_length())
            more = {"SUMS": str(int(conv.sums is not None))}
            self._counted(stage, "depthwise", {**record, "weights": self.tables.add(words)}, before, **more)
        elif conv.kernel_scale is not None:
            if conv.sums is not None:
                message = f"{stage.name}: factors of positions together with sums of signs cannot be written as C"
                raise ExportError(message)
            weights = packed_bits(conv.bits, record["group_bytes"])
            scales = Before(hidden=(self._weights(stage, conv.kernel_scale),))
            planes = {"planes": len(conv.kernel_scale), "weights": self.tables.add(weights)}
            self._tailed(stage, "positional", {**record, **planes}, scales, PACK=self._packing(stage))
        else:
            self._counted(stage, "conv", {**record, **self._dense(conv)}, before)

    def _limits(self, limit: Numbers, flips: NDArray[np.bool_], groups: int, bytes_a_group: int) -> dict[str, Any]:
        """Return what a record says of thresholds."""
        record = {"limits": self.tables.add(limit)}
        if bool(flips.any()):
            record["flips"] = self.tables.add(packed_bits(flips.reshape(groups, -1), bytes_a_group))
        return record

    def _sums(self, conv: BinaryConv, *, depthwise: bool) -> Before:
        if conv.sums is None:
            return Before()
        if depthwise:
            lines = ("const nn_number m = (nn_number)(2 * (int32_t)patch[lane] - s->fan_in);", *self.sum_lines)
            return Before(constants=conv.sums, lines=lines)
        self._function("ones")
        ones = "const nn_number m = (nn_number)(2 * (int32_t)nn_ones(patch, windows) - s->fan_in);"
        return Before(constants=conv.sums, pointers=(ones,), lines=self.sum_lines)

    def _dense(self, conv: BinaryConv) -> dict[str, Any]:
        """Return what a record says of weights that are counted by patches: [group][block of lanes][word][lane]."""
        words, outputs = patch_words(conv), len(conv.bits) // conv.groups
        packed = packed_bits(conv.bits, ceil(conv.bits.shape[3] / 8)).reshape(len(conv.bits), -1)
        padded = np.zeros((len(packed), 4 * words), np.uint8)
        padded[:, : packed.shape[1]] = packed
        rows, blocks = padded.view(np.uint32), []
        rest = outputs % LANES[0]
        rest_lanes = min((lanes for lanes in LANES if lanes >= rest), default=LANES[0])
        for start in range(0, len(rows), outputs):
            for first in range(0, outputs, LANES[0]):
                block = rows[start + first : start + min(first + LANES[0], outputs)]
                lanes = LANES[0] if len(block) == LANES[0] else rest_lanes
                room = np.zeros((lanes, words), np.uint32)
                room[: len(block)] = block
                blocks.append(room.T.flatten())
        record: dict[str, Any] = {"weights": self.tables.add(np.concatenate(blocks)), "words": words}
        for name, lanes in (("dot", LANES[0] if outputs >= LANES[0] else 0), ("dot_rest", rest_lanes if rest else 0)):
            if lanes:
                self._code.dots.add((words, lanes))
                record[name] = f"NN_DOT_FOR({words}, {lanes})"
        return record

    def _tail_code(self, stage: Stage, before: Before) -> TailCode:
        """Return the C of a stage's tail, `before` first."""
        return tail_code(stage.tail, before)

    def _before_stem(self, stem: Stem) -> Before:
        if not stem.is_int8:
            self._function("to_float")
        return Before(constants=(stem.step,), lines=("v = v * c0[lane];",))

    def _weights(self, stage: Stage, weights: Floats) -> Numbers:
        """Return the weights of a real convolution, or factors of positions, as C has them."""
        del stage
        return weights

    def _limits_in(self, stage: Stage, thresholds: Thresholds) -> tuple[Numbers, NDArray[np.bool_]]:
        """Return the limits of what a stage reads, finite ones alone: no infinity has to be written; and what is flipped."""
        del stage
        never, always = thresholds.limit == np.inf, thresholds.limit == -np.inf
        limit = np.where(never | always, -np.finfo(np.float32).max, thresholds.limit).astype(np.float32)
        return limit, thresholds.falls ^ never

    def _limits_out(self, stage: Stage, thresholds: Thresholds) -> tuple[Numbers, NDArray[np.bool_]]:
        """Return those of what it computes."""
        return self._limits_in(stage, thresholds)

    def _pool(self, kind: type) -> dict[str, str]:
        """Return how a pool takes up a number, and what it stores."""
        return POOLS.get(kind, {})

    def _constants(self, stage: Stage) -> dict[str, Any]:
        """Return what a record says of constants that a head without a tail has."""
        if not isinstance(stage.head, Linear):
            return {}
        bias, step = self.tables.add(stage.head.bias), stage.head.step
        if step is None:
            return {"weights": self.tables.add(stage.head.weight), "constants": f"{{{bias}}}"}
        return self._int8_linear(stage.head, [bias, self.tables.add(step)])

    def _int8_linear(self, linear: Linear, constants: Sequence[str]) -> dict[str, Any]:
        """Return what a record says of a classifier's weights of 8 bits, of its bias and steps."""
        self._code.most = (max(self._code.most[0], len(constants)), self._code.most[1])
        return {"weights": self.tables.add(linear.grid.astype(np.int8)), "constants": "{" + ", ".join(constants) + "}"}

    def _copies(self, stage: Stage) -> None:
        there, channel = self._code.room.copies[stage.output], 0
        place = self._code.room.places[stage.output]
        for step, fits in zip(stage.inputs, there, strict=True):
            channels = self._shapes[step].channels
            if not fits:
                record = {"run": self._function("copy"), "out": place.offset // self._unit + channel, "channels": channels}
                self._record(stage, record, source=step)
            channel += channels

    def _plain(self, stage: Stage) -> None:
        if isinstance(stage.bits, SignBits):
            self._record(stage, {"run": self._function("max_pool_bits"), **self._out_flips(stage.bits)})
            return
        kind = type(stage.head)
        piece = "int8_linear" if isinstance(stage.head, Linear) and stage.head.step is not None else PLAIN[kind]
        record: dict[str, Any] = {"run": self._function(piece, **self._pool(kind))}
        match stage.head:
            case Gather(index=index):
                if int(index.max()) > np.iinfo(np.int16).max:
                    message = f"{stage.name}: {len(index)} channels put in order cannot be written as C; allowed: up to 32,768"
                    raise ExportError(message)
                record["weights"] = self.tables.add(index.astype(np.int16))
            case GroupMean(groups=groups) | Magnitude(groups=groups):
                record["groups"] = groups
            case NonLocalMean(least=least):
                self._code.least_energy = least
            case _:
                pass
        self._record(stage, record | self._constants(stage))

    def _record(self, stage: Stage, record: dict[str, Any], source: int | None = None) -> None:
        """Write a stage's record: what is given, and what every stage has."""
        step = source if source is not None else (stage.inputs[0] if stage.inputs else None)
        shape = self._image if step is None else self._shapes[step]
        place, room = self._code.room.places[stage.output], self._code.room
        window = getattr(stage.head, "window", None)
        values: dict[str, Any] = {
            "out": place.offset // self._unit,
            "scratch": room.scratch[stage.output] // self._unit,
            "height": shape.height,
            "width": shape.width,
            "channels": shape.channels,
            "out_stride": place.stride,
            "out_height": stage.shape.height,
            "out_width": stage.shape.width,
            "outputs": stage.shape.channels,
            **({} if step is None else {"in": room.places[step].offset // self._unit, "in_stride": room.places[step].stride}),
            **({} if window is None else {name: getattr(window, name) for name in ("size", "stride", "padding", "dilation")}),
            **record,
        }
        for name, value in values.items():
            most = 255 if name in {"size", "stride", "padding", "dilation", "planes"} else 2**31 - 1
            most = most if name in {"in", "out", "scratch", "patch", "fan_in"} or most == 255 else 2**16 - 1  # noqa: PLR2004
            if isinstance(value, int) and value > most:
                message = f"{stage.name}: {name} of {value} cannot be written as C; allowed: up to {most}"
                raise ExportError(message)
        fields = ", ".join(f".{name} = {value}" for name, value in values.items() if value not in {0, "0"})
        self._code.records.append(f"  /* {stage.name} */\n  {{{fields}}}")


def _is_narrow(stage: Stage) -> bool:
    """Return whether a tail takes 16 lanes at most: what it adds begins anew, or it keeps numbers to take their signs."""
    return isinstance(stage.bits, Thresholds) or any(isinstance(entry, Other) and entry.repeats for entry in stage.tail)
