"""C of a network with int16 activations: stages as they are planned, in the places and functions of all generated C."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.c_pieces import POOLS, Numbers
from nas_service.deploy.c_source import CSource, assemble
from nas_service.deploy.c_stages import StageWriter
from nas_service.deploy.c_tables import Tables
from nas_service.deploy.c_tails import Before, TailCode, indented
from nas_service.deploy.int16.planning import IntStage, IntThresholds
from nas_service.deploy.int16.steps import Bend, Clip, Fold, IntStep, Plus, Rectify, Scale, Shift, Times
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import AvgPool, Ints, Linear, Program, Shape, Stem
from nas_service.deploy.stages import Other, Stage
from nas_service.deploy.thresholds import Thresholds
from nas_service.errors import ExportError

MAP_BYTES = 2  # of a number of a map
_OWN = ("signs", "stem", "group_mean", "global_mean", "linear", "int8_linear", "magnitude", "real_conv", "positional")
_MEAN = {"STEP": "value[lane] + at[lane]", "LAST": "nn_mean(value[lane], count)"}


def write_c(program: Program, stages: Sequence[IntStage], digest: str, version: str) -> CSource:
    """Return a planned program as C99.

    Args:
        program: The network.
        stages: Its stages in whole numbers.
        digest: SHA-256 of what it was made from, as hexadecimal digits.
        version: Of this service.

    Raises:
        ExportError: If something is too large for the records.
    """
    return assemble(program, _Writer(stages, program.image, Tables()), digest, version)


class _Writer(StageWriter):
    """Writes stage by stage: maps of int16."""

    activations = "int16"
    pieces = MappingProxyType({name: f"int16_{name}" for name in _OWN})
    signs_of_numbers = "nn_signs_of_numbers"
    sum_lines = ()

    def __init__(self, stages: Sequence[IntStage], image: Shape, tables: Tables) -> None:
        self._planned = {entry.stage.output: entry for entry in stages}
        super().__init__([_sized(entry.stage) for entry in stages], image, tables)
        most = max((len(_shifts(entry)) for entry in stages), default=0)
        self.fields = f"  uint8_t shifts[{max(1, most)}];"
        if any(isinstance(step, Plus) and step.repeats for entry in stages for step in entry.steps):
            self.fields += "\n  uint16_t other_channels; /* of a map that is added again and again */"

    def _tail_code(self, stage: Stage, before: Before) -> TailCode:
        planned = self._planned[stage.output]
        constants: list[Numbers] = list(before.hidden)
        body, pointers, others = list(before.lines), list(before.pointers), list[int]()
        shifts = iter(range(len(_shifts(planned))))
        for step in planned.steps:
            own = _constants(step)
            names = [f"c{len(constants) + place}[lane]" for place in range(len(own))]
            constants += [_int32(values, stage) for values in own]
            if isinstance(step, Plus | Times):
                place = len(others)
                others.append(step.step)
                base = f"const nn_value *x{place} = arena + s->other[{place}] + pixel * s->other_stride[{place}]"
                pointers.append(base + _begins(step))
                names = [f"x{place}[(first + lane) / s->other_group]" if isinstance(step, Times) else f"x{place}[lane]"]
            body += _lines(step, names, shifts)
        if stage.bits is None:
            body.append(f"v = nn_stored({_moved('v', -planned.shift, shifts)});")
        pointers += [
            f"const nn_number *c{place} = s->constants[{place}] + first;" for place in range(len(before.hidden), len(constants))
        ]
        return TailCode(indented(pointers, 2), indented(body, 4), tuple(constants), tuple(others), tuple(_shifts(planned)))

    def _reads(self, stage: Stage, code: TailCode) -> dict[str, Any]:
        repeated = [entry.step for entry in stage.tail if isinstance(entry, Other) and entry.repeats]
        more = {"other_channels": self._shapes[repeated[0]].channels} if repeated else {}
        return super()._reads(stage, code) | more

    def _before_stem(self, stem: Stem) -> Before:
        (planned,) = (entry for entry in self._planned.values() if isinstance(entry.stage.head, Stem))
        assert not (stem.is_int8 and planned.head.shift)  # noqa: S101 - its sums are below 2^30
        self._code.macros["NN_STEM_SHIFT"] = str(planned.head.shift)
        self._function("to_float")  # for the logits
        return Before()

    def _weights(self, stage: Stage, weights: Floats) -> Numbers:
        del weights
        planned = self._planned[stage.output].head.weights
        return _int32(planned, stage) if planned.ndim == 3 else planned.astype(np.int16)  # noqa: PLR2004 - factors of positions

    def _limits_in(self, stage: Stage, thresholds: Thresholds) -> tuple[Numbers, NDArray[np.bool_]]:
        del thresholds
        return _limits(self._planned[stage.output].thresholds, np.int16)

    def _limits_out(self, stage: Stage, thresholds: Thresholds) -> tuple[Numbers, NDArray[np.bool_]]:
        del thresholds
        return _limits(self._planned[stage.output].bits, np.int32)

    def _pool(self, kind: type) -> dict[str, str]:
        return _MEAN if kind is AvgPool else POOLS.get(kind, {})

    def _constants(self, stage: Stage) -> dict[str, Any]:
        head = self._planned[stage.output].head
        if isinstance(stage.head, Linear):
            bias = self.tables.add(_int32(head.bias, stage))
            if stage.head.step is not None:
                return self._int8_linear(stage.head, [bias, f"(const nn_number *)(const void *){self.tables.add(head.steps)}"])
            self._code.macros["NN_LOGIT_STEP"] = float(head.steps[0]).hex() + "f"
            return {"weights": self.tables.add(head.weights.astype(np.int16)), "constants": f"{{{bias}}}"}
        if not head.factor:
            return {}
        factor = self.tables.add(np.array([head.factor], np.int32))
        return {"constants": f"{{{factor}}}", "shifts": f"{{{head.shift}}}"}


def _begins(step: Plus | Times) -> str:
    """Return the C of where the first lane of another map is, behind its pixel's place."""
    if isinstance(step, Times):
        return ";"
    return " + first % s->other_channels;" if step.repeats else " + first;"


def _sized(stage: Stage) -> Stage:
    """Return a stage whose map has numbers of 16 bits; logits are float32."""
    return replace(stage, number_bytes=4 if isinstance(stage.head, Linear) else MAP_BYTES)


def _shifts(planned: IntStage) -> list[int]:
    """Return the powers of two of a stage's steps, and of what it stores, as C reads them: without a sign."""
    steps = [by for step in planned.steps for by in _own_shifts(step)]
    stores = planned.head.has_tail and planned.stage.bits is None
    return [*steps, *([planned.shift] if stores else [])]


def _own_shifts(step: IntStep) -> tuple[int, ...]:
    match step:
        case Shift(by=by) | Plus(by=by):
            return (abs(by),)
        case Scale(lift=lift) | Bend(lift=lift) | Fold(lift=lift) | Times(lift=lift):
            return (lift,)
        case _:
            return ()


def _constants(step: IntStep) -> tuple[Ints, ...]:
    match step:
        case Scale(factor=factor, offset=offset, ones=None):
            return factor, offset
        case Scale(factor=factor, offset=offset, ones=ones) if ones is not None:
            return factor, offset, ones
        case Bend(factor=factor):
            return (factor,)
        case Fold(lower=lower, upper=upper):
            return lower, upper
        case Clip(least=least, most=most):
            return least, most
        case _:
            return ()


def _moved(what: str, by: int, shifts: Iterator[int]) -> str:
    """Return the C of a number times a power of two; the sign of the exponent is part of the code."""
    return f"{'nn_left' if by >= 0 else 'nn_right'}({what}, s->shifts[{next(shifts)}])"


def _lines(step: IntStep, names: Sequence[str], shifts: Iterator[int]) -> list[str]:  # noqa: PLR0911 - one for each
    """Return the C of a step."""
    match step:
        case Scale(ones=ones):
            lift = f"s->shifts[{next(shifts)}]"
            scaled = f"{names[1]} + nn_high(v, {lift}, {names[0]})"
            return [f"v = {scaled};" if ones is None else f"v = {scaled} + nn_high(m, {lift}, {names[2]});"]
        case Shift(by=by):
            return [f"v = {_moved('v', by, shifts)};"]
        case Bend():
            return [f"v = v > 0 ? v : nn_high(v, s->shifts[{next(shifts)}], {names[0]});"]
        case Fold():
            return [f"v = nn_high(v, s->shifts[{next(shifts)}], v > 0 ? {names[1]} : {names[0]});"]
        case Rectify():
            return ["v = v > 0 ? v : 0;"]
        case Clip():
            return [f"v = v < {names[0]} ? {names[0]} : v;", f"v = v > {names[1]} ? {names[1]} : v;"]
        case Plus(by=by):
            return [f"v = v + {_moved(names[0], by, shifts)};"]
        case Times():
            return [f"v = nn_high(v, s->shifts[{next(shifts)}], (nn_number){names[0]} * 32768);"]
        case _:
            assert_never(step)


def _int32(values: Ints, stage: Stage) -> Numbers:
    if values.size and int(np.abs(values).max()) >= 2**31:
        message = f"{stage.name}: constants up to {int(np.abs(values).max())} cannot be written with int16 activations"
        raise ExportError(message)
    return values.astype(np.int32)


def _limits(thresholds: IntThresholds | None, kind: type[np.int16 | np.int32]) -> tuple[Numbers, NDArray[np.bool_]]:
    assert thresholds is not None  # noqa: S101 - for the type checker; who asks has one
    return thresholds.limit.astype(kind), thresholds.flips
