"""Structure: how the stages of a network will be, whatever its training makes of its constants. No torch.

What a constant decides is decided the dearer way. A slope of a PReLU may fall below 0, so that it neither rises nor falls; the
factor of a batch norm may, so that channels are flipped; thresholds behind constants of their own are never equal. A trained
network stores what is said here, or less.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from nas_service.deploy.pointwise import CONSTANTS, Kind, Pointwise
from nas_service.deploy.program import BinaryConv, Linear, Program, Stem, Step
from nas_service.deploy.sign_bits import SignBits, store_signs
from nas_service.deploy.stages import Judge, Stage, make_stages
from nas_service.deploy.thresholds import Thresholds, find_thresholds

_BENT = {Kind.PRELU, Kind.MAXOUT}  # may rise and fall
_FACTORS = {Kind.AFFINE, Kind.MULTIPLY}  # may fall


def with_int8_weights(program: Program) -> Program:
    """Return a program whose stem and classifier have weights of 8 bits, whatever they are."""

    def changed(step: Step) -> Step:
        match step.operation:
            case Stem() as stem:
                return replace(step, operation=replace(stem, weight=np.zeros_like(stem.weight), is_int8=True))
            case Linear() as linear:
                return replace(step, operation=replace(linear, step=np.ones(len(linear.bias), np.float32)))
            case _:
                return step

    return replace(program, steps=tuple(map(changed, program.steps)))


def plan_stages(program: Program) -> list[Stage]:
    """Return the stages of a program as training may leave them at most, with constants that are none.

    Thresholds that depend on constants are NaN; a channel that may be flipped is.
    """
    return store_signs(make_stages(program, Judge(_is_surely_monotone, _thresholds)), _sign_bits)


def _is_surely_monotone(chain: Sequence[Pointwise]) -> bool:
    return not any(operation.kind in _BENT for operation in chain)


def _thresholds(chain: Sequence[Pointwise], channels: int) -> Thresholds:
    kinds = tuple(operation.kind for operation in chain)
    return _unknown(channels, any(kind in _FACTORS for kind in kinds)) if _has_constants(kinds) else _fixed(kinds, channels)


def _has_constants(kinds: Sequence[Kind]) -> bool:
    return any(CONSTANTS[kind] for kind in kinds)


@lru_cache(maxsize=1000)
def _unknown(channels: int, falls: bool) -> Thresholds:  # noqa: FBT001 - a key of the cache
    return Thresholds(np.full(channels, np.nan, np.float32), np.full(channels, falls))


@lru_cache(maxsize=1000)
def _fixed(kinds: tuple[Kind, ...], channels: int) -> Thresholds:
    return find_thresholds([Pointwise(kind) for kind in kinds], channels)


def _sign_bits(stage: Stage, thresholds: Thresholds) -> SignBits | None:
    """Return what may be compared; None where signs may change more than twice."""
    assert isinstance(stage.head, BinaryConv)  # noqa: S101 - for the type checker; only convolutions that count get here
    kinds = tuple(entry.kind for entry in stage.tail if isinstance(entry, Pointwise))
    bends = sum(kind in _BENT for kind in kinds)
    may_flip = bends > 0 or any(kind in _FACTORS for kind in kinds) or bool(thresholds.falls.any())
    return None if bends > 1 else _bits(stage.shape.channels, stage.head.fan_in, bends > 0, may_flip)


@lru_cache(maxsize=1000)
def _bits(channels: int, fan_in: int, bent: bool, may_flip: bool) -> SignBits:  # noqa: FBT001 - a key of the cache
    none, beyond = np.zeros(channels, np.int32), np.full(channels, fan_in + 1, np.int32)
    return SignBits(none, none if bent else beyond, np.full(channels, may_flip))
