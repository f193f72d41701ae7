"""Checking specs: every complaint at once, each with its field."""

from pathlib import Path

import pytest

from nas_service.binarization.method import METHODS
from nas_service.capacity import Capacity
from nas_service.catalogue import build_recipe, build_space, stated_space
from nas_service.checking.datasets import DatasetSource, Registered, open_dataset
from nas_service.checking.specs import Place, check_local_training, check_search
from nas_service.errors import InvalidInputError
from nas_service.recipes.recipe import Recipe
from nas_service.search.strategies.random import Random
from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.specs import MAX_SAMPLES, Component, MethodChoice, SearchSpec
from search_spaces.errors import UnknownNameError
from search_spaces.space import SPACES
from tests.samples import digits


def _place(root: Path) -> Place:
    return Place(Capacity(cpus=2, gpus=0), DatasetSource(root, {}))


def _problems(spec: object, root: Path) -> dict[str, str]:
    with pytest.raises(InvalidInputError) as caught:
        check_search(spec, _place(root))
    fields = [problem.field for problem in caught.value.problems]
    assert len(fields) == len(set(fields)), "every fault is told once"
    return {problem.field: problem.allowed for problem in caught.value.problems}


def test_a_default_spec_is_accepted_with_the_facts_of_its_dataset(tmp_path: Path) -> None:
    checked = check_search({}, _place(tmp_path))
    assert checked.spec == SearchSpec(space=stated_space(SearchSpec().space))
    assert checked.facts == digits().facts


def test_every_complaint_is_told_at_once(tmp_path: Path) -> None:
    problems = _problems(
        {
            "space": {"name": "abandit-general", "settings": {"operations": ["skip", "skipp"], "template": "plan"}},
            "method": "xnornet",
            "dataset": "digit",
            "resources": {"gpus_per_worker": 1},
            "training": {"methods": ["bnn", "bn"], "resources": {"cpus_per_trial": 64}},
        },
        tmp_path,
    )
    assert list(problems) == [
        "space.settings.operations.1",
        "space.settings.template",
        "dataset.name",
        "method.name",
        "resources.gpus_per_worker",
        "training.methods.1.name",
        "training.resources.cpus_per_trial",
    ]
    assert problems["space.settings.operations.1"].startswith("did you mean skip?")
    assert problems["method.name"].startswith("did you mean xnor-net")
    assert problems["dataset.name"].startswith("did you mean digits?")


@pytest.mark.parametrize(
    ("method", "recipe", "field"),
    [
        ({"name": "mcn"}, {"real_weight_stage": 0.5}, "training.methods.0.recipe.real_weight_stage"),
        ({"name": "bnn", "recipe": {"preset": "papr"}}, {}, "training.methods.0.recipe.preset"),
        ({"name": "bnn", "recipe": {"epoch": 3}}, {}, "training.methods.0.recipe.epoch"),
        ({"name": "bnn", "recipe": {"learning_rate": -1}}, {}, "training.methods.0.recipe.learning_rate"),
        ({"name": "react-net"}, {"real_weight_stage": 0.5, "epochs": 1}, "training.methods.0.recipe.epochs"),
        ({"name": "pcnn", "settings": {"progressive": True}}, {"epochs": 1}, "training.methods.0.recipe.epochs"),
        ({"name": "rbcn", "settings": {"prune": 1.0}}, {}, "training.methods.0.settings.prune"),
        ({"name": "rbcn", "settings": {"prune": 0.0}}, {}, "training.methods.0.settings.prune"),
        ({"name": "bnn"}, {"warmup_epochs": 30, "epochs": 30}, "training.methods.0.recipe.warmup_epochs"),
        ({"name": "bnn", "recipe": {"milestones": [0.9, 0.5]}}, {}, "training.methods.0.recipe.milestones"),
        (
            {"name": "bnn", "recipe": {"loss": "squared-hinge", "label_smoothing": 0.1}},
            {},
            "training.methods.0.recipe.label_smoothing",
        ),
        (
            {"name": "xnor-net", "settings": {"input_scale": "kmap", "binary_activations": False}},
            {},
            "training.methods.0.settings.binary_activations",
        ),
        ({"name": "rebnn", "settings": {"speed": 2}}, {}, "training.methods.0.settings.speed"),
    ],
)
def test_a_recipe_that_does_not_fit_its_method_is_refused(
    method: dict[str, object], recipe: dict[str, object], field: str, tmp_path: Path
) -> None:
    assert list(_problems({"training": {"methods": [method], "recipe": recipe}}, tmp_path)) == [field]


def test_a_method_that_needs_a_teacher_cannot_search(tmp_path: Path) -> None:
    assert _problems({"method": "rbcn"}, tmp_path) == {"method.name": "a method that trains without a teacher"}


def test_a_recipe_that_nobody_published_is_not_made_up(tmp_path: Path) -> None:
    given = {"name": "rbcn", "recipe": {"preset": "paper"}}
    problems = _problems({"training": {"methods": [given]}}, tmp_path)
    assert problems == {"training.methods.0.recipe.preset": "shared: nobody has published the recipe of rbcn"}


@pytest.mark.parametrize(
    ("given", "allowed"), [("papr", "shared or paper or adambnn"), (["paper"], "shared or paper or adambnn"), (7, "adambnn")]
)
def test_a_preset_that_is_none_of_the_method_is_refused_with_those_it_has(given: object, allowed: str, tmp_path: Path) -> None:
    problems = _problems({"training": {"methods": [{"name": "react-net", "recipe": {"preset": given}}]}}, tmp_path)
    assert list(problems) == ["training.methods.0.recipe.preset"]
    assert problems["training.methods.0.recipe.preset"].endswith(allowed)


@pytest.mark.parametrize(("name", "preset"), [(name, each) for name in METHODS.names() for each in METHODS.get(name).presets()])
def test_a_published_recipe_is_a_recipe(name: str, preset: str) -> None:
    """And it fits its method; what is given with the preset wins."""
    choice = MethodChoice(name=name, recipe={"preset": preset, "batch_size": 77})
    recipe = build_recipe(Recipe(), choice)
    assert recipe.batch_size == 77
    own = Recipe.model_validate({**METHODS.get(name).presets()[preset], "batch_size": 77})
    assert recipe == own != Recipe(batch_size=77)


def test_settings_of_a_component_are_named_with_their_path(tmp_path: Path) -> None:
    problems = _problems({"strategy": {"name": "random", "settings": {"samples": -5, "speed": 1}}}, tmp_path)
    assert set(problems) == {"strategy.settings.samples", "strategy.settings.speed"}


def test_a_depth_that_does_not_fit_is_named(tmp_path: Path) -> None:
    assert "space.settings.cells" in _problems({"space": {"name": "abandit-general", "settings": {"cells": 3}}}, tmp_path)


def test_a_registered_dataset_stands_for_its_kind_and_settings_can_be_changed() -> None:
    registered = {"flowers": Registered(Component(name="image-folder", settings={"path": "f", "flip": False}))}
    source = DatasetSource(Path(), registered)
    given = Component(name="flowers", settings={"flip": True})
    assert source.resolve(given) == Component(name="image-folder", settings={"path": "f", "flip": True})
    with pytest.raises(UnknownNameError, match="did you mean flowers"):
        source.resolve(Component(name="flower"))


def test_settings_of_a_space_are_put_into_it() -> None:
    space = build_space(Component(name="tiny", settings={"channels": 4, "template": "plain", "operations": ["skip"]}))
    assert (space.channels, space.template, space.arms_per_edge) == (4, "plain", 1)


def test_a_local_training_is_checked_like_a_search(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"method\.name"):
        check_local_training({"method": "bn"}, tmp_path)
    with pytest.raises(InvalidInputError, match=r"recipe\.epochs"):
        check_local_training({"recipe": {"epochs": 0}}, tmp_path)


def test_opening_a_dataset_says_what_is_wrong_with_its_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"dataset\.settings\.path"):
        open_dataset(Component(name="image-folder", settings={"path": "nowhere"}), Settings(home=tmp_path))


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"wave": 0}, "wave"),
        ({"resources": {"workers": 0}}, "resources.workers"),
        ({"seed": -1}, "seed"),
        ({"evaluation": {"epochs": 0}}, "evaluation.epochs"),
        ({"evaluation": {"train_fraction": 0}}, "evaluation.train_fraction"),
        ({"training": {"methods": []}}, "training.methods"),
        ({"training": {"methods": ["bnn"], "seeds": [1, 1]}}, "training.seeds"),
        ({"training": {"methods": ["bnn"], "seeds": [2**53]}}, "training.seeds.0"),
        ({"training": {"methods": ["bnn", "bnn"]}}, "training.methods"),
        ({"resources": {"gpus_per_worker": 1.5}}, "resources.gpus_per_worker"),
        ({"budget": 3}, "budget"),
    ],
)
def test_fields_out_of_range_are_named(spec: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        SearchSpec.model_validate(spec)


def test_more_trainings_than_architectures_are_kept_is_a_complaint_of_its_own(tmp_path: Path) -> None:
    assert _problems({"keep": 2, "training": {"methods": ["bnn"], "top_k": 3}}, tmp_path) == {
        "training.top_k": "no more than keep, which is 2"
    }


@pytest.mark.parametrize("gpus", [0, 0.25, 1, 2.0, 16])
def test_parts_of_one_gpu_and_whole_gpus_are_allowed(gpus: float) -> None:
    assert SearchSpec.model_validate({"resources": {"gpus_per_worker": gpus}}).resources.gpus_per_worker == gpus


def test_settings_without_a_name_are_those_of_the_default_component() -> None:
    spec = SearchSpec.model_validate({"strategy": {"settings": {"momentum": 0.5}}})
    assert spec.strategy == Component(name="abandit", settings={"momentum": 0.5})


def test_the_number_of_actors_fits_the_cluster_and_the_wave() -> None:
    assert SearchSpec(wave=8).actors(cpus=4, gpus=0) == 4
    assert SearchSpec(wave=2).actors(cpus=4, gpus=0) == 2
    asked = SearchSpec.model_validate({"wave": 8, "resources": {"workers": 3}})
    assert asked.actors(cpus=16, gpus=0) == 3
    shared = SearchSpec.model_validate({"wave": 8, "resources": {"gpus_per_worker": 0.25}})
    assert shared.actors(cpus=64, gpus=1) == 4


def test_a_wave_that_no_round_can_fill_is_refused(tmp_path: Path) -> None:
    """The longest round of ABanditNAS on `tiny` is K T = 9 samples long; random search waits for nothing."""
    assert _problems({"space": "tiny", "wave": 10}, tmp_path) == {
        "wave": "no more than 9, the samples of the longest round of abandit"
    }
    for spec in ({"space": "tiny", "wave": 9}, {"space": "tiny", "wave": 100, "strategy": "random"}):
        check_search(spec, _place(tmp_path))


@pytest.mark.parametrize(
    ("adversarial", "words"),
    [
        ({"eps": -0.1}, "greater than or equal to 0"),
        ({"eps": 1.1}, "less than or equal to 1"),
        ({"eps": 0.1, "steps": 0}, "1 or more with eps"),
    ],
)
def test_attacks_that_make_no_sense_are_refused(adversarial: dict[str, float], words: str) -> None:
    training = {"methods": ["bnn"], "recipe": {"adversarial": adversarial}}
    for body in ({"evaluation": {"adversarial": adversarial}}, {"training": training}):
        with pytest.raises(ValueError, match=words):
            SearchSpec.model_validate(body)


def test_an_acceleration_that_cannot_work_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """By the device that the resources ask for, and by the method."""
    graph = {"acceleration": {"cuda_graph": True}}
    on_cpu: dict[str, object] = {"evaluation": graph, "training": {"methods": ["bnn"], "recipe": graph}}
    assert list(_problems(on_cpu, tmp_path)) == [
        "evaluation.acceleration.cuda_graph",
        "training.methods.0.recipe.acceleration.cuda_graph",
    ]
    on_gpu: dict[str, object] = {"evaluation": graph, "method": "rebnn", "resources": {"gpus_per_worker": 1}}
    problems = _problems(on_gpu, tmp_path)
    assert "rebnn looks at gradients" in problems["evaluation.acceleration.cuda_graph"]


def test_switches_that_cannot_work_are_all_named(tmp_path: Path) -> None:
    both = {"acceleration": {"cuda_graph": True, "compile": "regions"}}
    assert list(_problems({"training": {"methods": ["ir-net"], "recipe": {"epochs": 2, **both}}}, tmp_path)) == [
        "training.methods.0.recipe.acceleration.cuda_graph",
        "training.methods.0.recipe.acceleration.compile",
    ]


def test_too_many_candidates_hide_no_other_mistake(tmp_path: Path) -> None:
    methods = ["bnn", {"name": "bnn", "recipe": {"epochs": 0}}, "nope"]
    training = {"methods": methods, "top_k": 5, "seeds": list(range(100))}
    assert {"training.methods", "training.methods.1.recipe.epochs", "training.methods.2.name"} <= set(
        _problems({"training": training}, tmp_path)
    )


class _Endless(Random):
    """A strategy of somebody else's that bounds nothing itself."""

    @property
    def total(self) -> int:
        return 10**9


def test_a_search_has_a_million_samples_at_most_whatever_its_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _problems({"strategy": {"name": "random", "settings": {"samples": 10**9}}}, tmp_path).keys() == {
        "strategy.settings.samples"
    }
    STRATEGIES.names()
    monkeypatch.setitem(STRATEGIES._entries, "endless", _Endless)
    assert _problems({"strategy": "endless"}, tmp_path) == {"strategy.settings": "at most 1,000,000 samples in all"}


def test_no_strategy_of_ours_takes_more_samples_than_a_search_may_have() -> None:
    """With the most that its settings allow, in the space with most operations."""
    space = max((SPACES.get(name) for name in SPACES.names()), key=lambda space: space.arms_per_edge)
    for name in STRATEGIES.names():
        kind = STRATEGIES.get(name)
        most = {
            field: described.get("maximum") or max(option.get("maximum", 0) for option in described["anyOf"])
            for field, described in kind.settings_model.model_json_schema()["properties"].items()
            if field in {"samples", "samples_per_arm"}
        }
        assert kind.from_settings(space, most, 0).total <= MAX_SAMPLES
