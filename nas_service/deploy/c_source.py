"""Generated C99: a network as `network.c` and `network.h` that need nothing but memcpy and memset."""

from dataclasses import dataclass

from nas_service.deploy.c_pieces import StageCode, part
from nas_service.deploy.c_popcount import chunks, differ_function, dot_function
from nas_service.deploy.c_stages import StageWriter
from nas_service.deploy.c_tables import Tables, literal
from nas_service.deploy.early_signs import take_signs_early
from nas_service.deploy.program import Program, Stem
from nas_service.deploy.sign_bits import store_signs
from nas_service.deploy.stages import Stage, make_stages


@dataclass(frozen=True)
class CSource:
    """A network in C.

    Attributes:
        source: Text of `network.c`.
        header: Text of `network.h`.
        arena_bytes: RAM that the caller gives.
        constant_bytes: Of weights, thresholds and factors.
        checksum: CRC-32 of these, as `nn_checksum` works it out.
    """

    source: str
    header: str
    arena_bytes: int
    constant_bytes: int
    checksum: int


def write_c(program: Program, digest: str, version: str) -> CSource:
    """Return a program as C99.

    Args:
        program: The network.
        digest: SHA-256 of what it was made from, as hexadecimal digits.
        version: Of this service.

    Raises:
        ExportError: If something is too large for the records.
    """
    return assemble(program, StageWriter(network_stages(program), program.image, Tables()), digest, version)


def network_stages(program: Program) -> list[Stage]:
    """Return the stages of a program as they are written, for maps of float32."""
    return take_signs_early(store_signs(make_stages(program)))


def assemble(program: Program, writer: StageWriter, digest: str, version: str) -> CSource:
    """Return the C of a program whose stages `writer` writes; other arguments and errors as above."""
    code, tables = writer.write_all(), writer.tables
    logits = code.room.places[len(program.steps) - 1].offset // code.unit
    head = part("head").replace("@NUMBERS@", part(writer.activations)).replace("@FIELDS@", writer.fields)
    source = "\n".join(
        [
            "/* A 1-bit network, generated: do not edit. */",
            *_macros(code, program),
            head,
            *tables.lines(),
            *_dots(code),
            *([part("gather")] if code.dots else []),
            *code.functions,
            "static const struct nn_stage nn_stages[] = {",
            ",\n".join(code.records),
            "};",
            "",
            part("run").replace("@STEM@", code.stem).replace("@LOGITS@", str(logits)),
            part("checksum").replace("@TABLES@", ", ".join(f"{{{name}, sizeof({name})}}" for name in tables.names)),
        ]
    )
    header = _header(program, code.room.total, digest, version).replace("@ACTIVATIONS@", literal(writer.activations))
    return CSource(source, header, code.room.total, tables.constant_bytes, tables.checksum)


def _macros(code: StageCode, program: Program) -> list[str]:
    stem = program.steps[0].operation
    assert isinstance(stem, Stem)  # noqa: S101 - every network begins with its stem
    values = {
        "NN_MOST_CONSTANTS": code.most[0],
        "NN_MOST_OTHERS": code.most[1],
        "NN_PIXEL_BITS": stem.pixel_bits,
        "NN_LEVELS": code.levels,
        "NN_LEAST_ENERGY": repr(code.least_energy),
        **code.macros,
    }
    return [f"#define {name} {value}" for name, value in values.items()]


def _dots(code: StageCode) -> list[str]:
    """Return the functions that count differing bits: with instructions for it, or with what every processor has."""
    if not code.dots:
        return []
    chunk_sizes = sorted({(size, lanes) for words, lanes in code.dots for size in chunks(words)})
    return [
        part("simd"),
        "#if NN_TILE > 1",
        "#define NN_DOT_FOR(words, lanes) nn_dot_##lanes",
        "#else",
        part("words"),
        *(differ_function(words, count) for words, count in chunk_sizes),
        *(dot_function(words, count) for words, count in sorted(code.dots)),
        "#define NN_DOT_FOR(words, lanes) nn_dot_##words##_##lanes",
        "#endif",
        "",
    ]


def _header(program: Program, arena: int, digest: str, version: str) -> str:
    names = ", ".join(map(literal, program.class_names))
    image = program.image
    values = {
        "HEIGHT": image.height,
        "WIDTH": image.width,
        "CHANNELS": image.channels,
        "CLASSES": program.steps[-1].shape.channels,
        "ARENA_BYTES": arena,
        "DIGEST": literal(digest),
        "VERSION": literal(version),
        "CLASS_NAMES": names,
    }
    text = part("network_h")
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text
