"""Switches: by device where nothing is said, refused where they cannot work, never dropped."""

import pytest
from pydantic import ValidationError

from nas_service.binarization.method import METHODS
from nas_service.recipes.acceleration import PLAIN, Acceleration, ActivationType, Compilation
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from search_spaces.errors import InvalidFieldError

XNOR = METHODS.get("xnor-net").from_settings({}).facts


def test_the_cpu_runs_the_plain_path_unless_asked() -> None:
    assert Acceleration().resolve("cpu", XNOR, 1) == PLAIN
    asked = Acceleration(precision=ActivationType.BF16, shared_sign=True).resolve("cpu", XNOR, 1)
    assert asked == PLAIN.model_copy(update={"precision": ActivationType.BF16, "shared_sign": True})


def test_cuda_runs_the_fast_path_unless_told_not_to() -> None:
    fast = Acceleration().resolve("cuda", XNOR, 1)
    assert (fast.precision, fast.compile) == (ActivationType.BF16, Compilation.NONE)
    assert fast.channels_last
    assert fast.shared_sign
    assert fast.fused_optimizer
    assert fast.cuda_graph
    assert PLAIN.resolve("cuda", XNOR, 1) == PLAIN


def test_what_is_decided_stays_decided() -> None:
    for device in ("cpu", "cuda"):
        once = Acceleration().resolve(device, XNOR, 1)
        assert once.resolve(device, XNOR, 1) == once
        assert None not in once.model_dump().values()


def test_a_graph_on_a_cpu_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidFieldError, match="false or null on the device cpu") as error:
        Acceleration(cuda_graph=True).resolve("cpu", XNOR, 1)
    assert error.value.field == "acceleration.cuda_graph"


def test_a_graph_is_not_chosen_without_what_it_needs() -> None:
    assert not Acceleration(fused_optimizer=False).resolve("cuda", XNOR, 1).cuda_graph
    assert not Acceleration().resolve("cuda", METHODS.get("rbcn").from_settings({}).facts, 1).cuda_graph


def test_regions_fuse_the_sign_themselves() -> None:
    assert not Acceleration(compile=Compilation.REGIONS).resolve("cuda", XNOR, 1).shared_sign


def test_regions_that_every_epoch_would_compile_anew_are_for_one_epoch() -> None:
    ir_net, regions = METHODS.get("ir-net").from_settings({}).facts, Acceleration(compile=Compilation.REGIONS)
    assert regions.resolve("cpu", ir_net, 1).compile is Compilation.REGIONS
    with pytest.raises(InvalidFieldError, match="a single epoch: ir-net sharpens its gradients with every epoch") as error:
        regions.resolve("cpu", ir_net, 2)
    assert error.value.field == "acceleration.compile"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"cuda_graph": True, "fused_optimizer": False}, "cuda_graph needs fused_optimizer"),
        ({"shared_sign": True, "compile": "regions"}, "exclude each other"),
        ({"precision": "fp8"}, "float32"),
        ({"speed": 11}, "speed"),
    ],
)
def test_bad_combinations_are_refused(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Acceleration.model_validate(given)


def test_searches_and_trainings_take_the_same_settings() -> None:
    given = {"acceleration": {"precision": "bf16"}}
    assert EvaluationSettings.model_validate(given).acceleration == Recipe.model_validate(given).acceleration
