"""Maps on the way through generated C: where each lies in the arena once its stage was run, and what should be there."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.c_source import CSource, network_stages
from nas_service.deploy.c_stages import write_stages
from nas_service.deploy.c_tables import Tables
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import BinaryConv, Concat, MaxPool, Program
from nas_service.deploy.stages import Stage
from tests.nas_service.deploy.c_builds import header_number

Rows = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Watched:
    """A map that is looked at.

    Attributes:
        name: Of its stage.
        source: Number of the map in the program, whose signs are stored or whose floats.
        is_bits: Which of the two.
        end: Records that are run until it is there.
        offset: Byte of the arena at which it begins.
        step: Bytes from one pixel to the next.
        size: Bytes of a pixel.
        pixels: How many.
    """

    name: str
    source: int
    is_bits: bool
    end: int
    offset: int
    step: int
    size: int
    pixels: int

    def expected(self, maps: Sequence[Floats]) -> Rows:
        """Return what should be there, (pixels, size), of the interpreter's maps; bits past the last channel are 0."""
        values = np.ascontiguousarray(maps[self.source].reshape(self.pixels, -1))
        return np.packbits(values >= 0, axis=1, bitorder="little") if self.is_bits else values.view(np.uint8)

    def seen(self, arena: Rows) -> Rows:
        """Return what is there, (pixels, size)."""
        starts = self.offset + self.step * np.arange(self.pixels)
        return np.asarray(arena[starts[:, None] + np.arange(self.size)])


def watch(program: Program) -> tuple[list[Watched], str]:
    """Return all maps but those in front of a pool of bits, which tells of them, and the name of the stem's function."""
    stages = network_stages(program)
    code = write_stages(stages, program.image, Tables())
    watched, end = [], 0
    for stage in stages:
        end += code.room.copies[stage.output].count(False) if isinstance(stage.head, Concat) else 1
        place, shape = code.room.places[stage.output], stage.shape
        source = _signs_of(program, stages, stage) if stage.bits else stage.output
        if source is None:
            continue
        size = 4 * shape.channels if stage.bits is None else -(-shape.channels // 8)
        step = 4 * place.stride if stage.bits is None else size
        watched.append(Watched(stage.name, source, stage.bits is not None, end, place.offset, step, size, shape.pixels))
    assert len(watched) >= len(stages) - sum(isinstance(stage.head, MaxPool) for stage in stages)
    return watched, code.stem


def _signs_of(program: Program, stages: list[Stage], stage: Stage) -> int | None:
    """Return the map whose signs a stage's reader sees of it; None in front of a pool."""
    reader = next(other for other in stages if stage.output in other.inputs)
    if not isinstance(reader.head, BinaryConv):
        return None
    return next(step for step in program.steps if step.operation is reader.head).inputs[0]


_WATCHING = """
#define nn_run nn_run_unseen
#include "@SOURCE@"
#undef nn_run
static const struct {
  uint32_t end, offset, step, size, pixels;
} watched[] = {@WATCHED@};
#define MAPS (sizeof(watched) / sizeof(watched[0]))

static uint32_t checksum(const uint8_t *at, size_t map)
{
  uint32_t sum = 0xffffffffu;
  size_t pixel, byte;
  int bit;
  for (pixel = 0; pixel < watched[map].pixels; pixel++, at += watched[map].step)
    for (byte = 0; byte < watched[map].size; byte++) {
      sum ^= at[byte];
      for (bit = 0; bit < 8; bit++)
        sum = (sum >> 1) ^ (0xedb88320u & (0u - (sum & 1u)));
    }
  return ~sum;
}

int nn_run(void *arena, const uint8_t *image, float *sums);
int nn_run(void *arena, const uint8_t *image, float *sums)
{
  size_t record, map = 0;
  for (record = 0; record < sizeof(nn_stages) / sizeof(nn_stages[0]); record++) {
    if (record)
      nn_stages[record].run(&nn_stages[record], (float *)arena);
    else
      @STEM@(&nn_stages[0], (float *)arena, image);
    for (; map < MAPS && watched[map].end == record + 1; map++) {
      const uint32_t sum = checksum((const uint8_t *)arena + watched[map].offset, map);
      memcpy(&sums[map], &sum, sizeof(sum));
    }
  }
  return NN_OK;
}
"""


def write_watched(folder: Path, source: Path, program: Program, code: CSource) -> list[Watched]:
    """Write C whose `nn_run` tells a CRC-32 of every map where a network's tells logits; the last one is of the logits.

    Args:
        folder: Where it is written.
        source: The network's `network.c`.
        program: The network.
        code: Its C.
    """
    watched, stem = watch(program)
    rows = ", ".join(f"{{{each.end}, {each.offset}, {each.step}, {each.size}, {each.pixels}}}" for each in watched)
    text = _WATCHING.replace("@SOURCE@", str(source)).replace("@WATCHED@", rows).replace("@STEM@", stem)
    folder.mkdir()
    (folder / "network.c").write_text(text, encoding="utf-8")
    image = program.image
    given = {"CLASSES": len(watched), "ARENA_BYTES": header_number(code, "ARENA_BYTES"), "IMAGE_BYTES": image.floats}
    lines = [f"#define NN_{name} {value}" for name, value in given.items()]
    lines += ["#include <stdint.h>", "int nn_run(void *arena, const uint8_t *image, float *sums);", ""]
    (folder / "network.h").write_text("\n".join(lines), encoding="utf-8")
    return watched


def checksum(rows: Rows) -> int:
    """Return the CRC-32 of bytes, row by row."""
    return zlib.crc32(np.ascontiguousarray(rows).tobytes())
