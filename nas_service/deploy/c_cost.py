"""C cost: flash, RAM and instructions of the generated C of any genotype, before it is trained and without building it.

The arena is that of the generator's own plan. What training decides is taken the dearer way (`structure`), so that constants
are the most that there can be: a trained network has fewer where slopes stay above 0, or where equal arrays meet. Filters that a
training prunes are counted as if they stayed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

from nas_service.binarization.method import METHODS, Method
from nas_service.deploy.assembly import Assembler
from nas_service.deploy.c_layout import scratch_bytes
from nas_service.deploy.code_size import code_bytes
from nas_service.deploy.constants import constant_bytes
from nas_service.deploy.early_signs import take_signs_early
from nas_service.deploy.instructions import instructions
from nas_service.deploy.memory import Room, place_maps
from nas_service.deploy.pointwise import Pointwise
from nas_service.deploy.program import BinaryConv, Concat, Linear, Program, Stem
from nas_service.deploy.stages import Other, Stage
from nas_service.deploy.structure import plan_stages, with_int8_weights
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class CCost:
    """What a network takes in C, in bytes and instructions.

    Attributes:
        constant_bytes: Of weights, thresholds and factors, at most.
        record_bytes: Of the table of stages, where pointers have 4 bytes.
        code_bytes: Of machine code for a Cortex-M4, `arm-none-eabi-gcc -Os`: an estimate.
        arena_bytes: RAM for all maps; the stack is not in it.
        cortex_m4_instructions: Of one image, with code as above: an estimate.
    """

    constant_bytes: int
    record_bytes: int
    code_bytes: int
    arena_bytes: int
    cortex_m4_instructions: int

    @property
    def flash_bytes(self) -> int:
        """All that is not RAM."""
        return self.constant_bytes + self.record_bytes + self.code_bytes

    def to_dict(self) -> dict[str, int]:
        """Return the fields and `flash_bytes`, for JSON."""
        return {"flash_bytes": self.flash_bytes, **asdict(self)}


class CCosts:
    """Costs in C of a space's architectures with one method, for one format of images; blocks are traced once."""

    def __init__(self, space: SearchSpace, method: Method, image: ImageFormat) -> None:
        """Begin with no blocks."""
        self._assembler = Assembler(space, method, image)

    def of(self, genotype: Genotype, *, int8_weights: bool = False) -> CCost:
        """Return what a genotype costs, as it is or with weights of 8 bits in stem and classifier.

        Raises:
            InvalidFieldError: If the genotype is not one of the space.
            ExportError: If the method or an operation has no exact form in C, naming what.
            CannotFreezeError: If the method has no exact frozen form.
        """
        program = self._assembler.program(genotype)
        return program_cost(with_int8_weights(program) if int8_weights else program)


@lru_cache(maxsize=16)
def c_costs(space: SearchSpace, method: str, settings: str, image: ImageFormat) -> CCosts:
    """Return the costs of a space with a method by its name and its settings as JSON; kept, so that blocks are traced once."""
    kind = METHODS.get(method)
    return CCosts(space, kind(kind.settings_model.model_validate_json(settings)), image)


def program_cost(program: Program) -> CCost:
    """Return what a program costs in C, whatever its constants are."""
    stages, room = planned(program)
    return CCost(
        constant_bytes=constant_bytes(stages),
        record_bytes=_record_bytes(stages, room),
        code_bytes=code_bytes(stages),
        arena_bytes=room.total,
        cortex_m4_instructions=instructions(stages, room),
    )


def planned(program: Program) -> tuple[list[Stage], Room]:
    """Return the stages of a program, as training may leave them at most, and where their maps lie."""
    stages = take_signs_early(plan_stages(program))
    shapes = {stage.output: stage.shape for stage in stages}
    scratch = [scratch_bytes(stage, shapes.get(stage.inputs[0]) if stage.inputs else None) for stage in stages]
    return stages, place_maps(stages, scratch)


def _record_bytes(stages: Sequence[Stage], room: Room) -> int:
    """Return the bytes of `struct nn_stage` in c_parts/head.c, as often as stages are run."""
    constants = max(1, *(_constants(stage) for stage in stages))
    others = max(1, *(sum(isinstance(entry, Other) for entry in stage.tail) for stage in stages))
    runs = sum(_runs(stage, room.copies) for stage in stages)
    numbers = -(-(4 * (5 + others) + 2 * (12 + others)) // 4) * 4 + 4 + 8
    return runs * (numbers + 4 * (9 + constants))


def _runs(stage: Stage, copies: Mapping[int, tuple[bool, ...]]) -> int:
    return copies[stage.output].count(False) if isinstance(stage.head, Concat) else 1


def _constants(stage: Stage) -> int:
    """Return how many arrays of constants by channel a stage's record names."""
    own = sum(len(entry.constants) for entry in stage.tail if isinstance(entry, Pointwise))
    if isinstance(stage.head, BinaryConv):
        own += 0 if stage.head.sums is None else len(stage.head.sums)
        own += 0 if stage.head.kernel_scale is None else 1
    if isinstance(stage.head, Linear):
        own += 1 if stage.head.step is None else 2
    return own + isinstance(stage.head, Stem)
