"""BONN's pruning (Zhao et al. 2021), deployment and training, rule by rule."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS, Phase
from nas_service.binarization.methods.bonn import (
    FINE_TUNE,
    PRUNE,
    BonnConv2d,
    BonnState,
)
from nas_service.export.packed import deploy, freeze_network
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.state.checkpoint import Checkpoint
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.nas_service.binarization.methods.test_bonn import (
    SHAPE,
    _assert_same,
    _bonn,
    _gradient,
    _inputs,
    _layer,
    _spread_out,
    _state,
    _step,
)
from tests.rounding import differing, pixels
from tests.samples import digits, tiny_genotype

DEPTHWISE = ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4)


def _pruning(gamma_epoch: int = 3, epochs: int = 4, shape: ConvShape = SHAPE) -> tuple[BonnConv2d, BonnState]:
    """Return a layer whose 8 filters have been put into 3 groups, in epoch `gamma_epoch` of 4 of pruning."""
    layer = _layer(shape, keep_filters=0.4)
    state = _state(_bonn(keep_filters=0.4), layer)
    state.start_phase(Phase(PRUNE, epochs), nn.ModuleList([layer]))
    state.start_epoch(6 + gamma_epoch, 6 + epochs)
    return layer, state


def _groups(layer: BonnConv2d) -> Tensor:
    groups = layer.groups()
    assert groups is not None
    return groups


def test_the_number_of_groups_is_the_share_of_the_filters_rounded_down() -> None:
    layer, _ = _pruning()
    assert len(_groups(layer).unique()) == 3  # int(0.4 * 8)
    assert len(layer.eval().latent().unique(dim=0)) == 3


def test_at_least_one_filter_stays() -> None:
    layer = _layer(keep_filters=0.01)
    _state(_bonn(keep_filters=0.01), layer).start_phase(Phase(PRUNE, 1), nn.ModuleList([layer]))
    assert len(layer.eval().latent().unique(dim=0)) == 1


def test_filters_move_to_their_group_s_mean_by_gamma() -> None:
    layer, _ = _pruning(gamma_epoch=1)
    k, groups = layer.weight.detach(), _groups(layer)
    means = torch.stack([k[groups == group].mean(0) for group in groups])
    assert layer.gamma == 0.5
    torch.testing.assert_close(layer.latent().detach(), 0.5 * k + 0.5 * means)


def test_gamma_grows_to_one_in_the_last_epoch() -> None:
    layer, state = _pruning()
    gammas = []
    for epoch in range(6, 10):
        state.start_epoch(epoch, 10)
        gammas.append(layer.gamma)
    assert gammas == [0.25, 0.5, 0.75, 1.0]


def test_at_gamma_one_the_filters_of_a_group_are_identical() -> None:
    layer, _ = _pruning()
    groups = _groups(layer)
    assert layer.gamma == 1
    merged = layer.train().latent().detach()
    for group in groups:
        assert len(merged[groups == group].unique(dim=0)) == 1
    assert len(layer.weight.unique(dim=0)) == 8  # the latent ones stay apart


def test_the_gradient_of_a_filter_is_its_group_s_mean_gradient_and_the_pull_to_the_mean() -> None:
    """(1 / I) dL/dKbar + 2 (K_i - Kbar) (1 + nu / sigma_i^2), with dL/dKbar of the task's and the kernel loss."""
    layer, state = _pruning(gamma_epoch=2)
    _spread_out(layer)
    groups, inputs = _groups(layer), _inputs()
    losses = state.losses(_step([layer], torch.zeros(2, 6), torch.zeros(2, dtype=torch.int64)))
    (layer(inputs).square().sum() + losses["kernel"] + losses["pruning"]).backward()
    found = _gradient(layer.weight).clone()
    k, prior = layer.weight.detach().clone(), layer.settings.prior
    plain = _spread_out(_layer())
    with torch.no_grad():
        plain.weight.copy_(layer.latent())
        plain.load_state_dict({"stretch": layer.stretch, "mode": layer.mode, "spread": layer.spread}, strict=False)
    (plain(inputs).square().sum() + plain.kernel_loss()).backward()
    for index, group in enumerate(groups):
        members = groups == group
        own = k[index] - k[members].mean(0)
        expected = _gradient(plain.weight)[members].sum(0) / int(members.sum())
        expected = expected + 2 * own + 2 * prior * own / layer.spread.detach()[index] ** 2
        _assert_same(found[index], expected)


def test_the_pruning_loss_is_the_published_one() -> None:
    layer, state = _pruning()
    _spread_out(layer)
    k, sigma, prior = layer.weight.detach(), layer.spread.detach(), layer.settings.prior
    groups, expected = _groups(layer), 0.0
    for index, group in enumerate(groups):
        square = float((k[index] - k[groups == group].mean(0)).square().sum())
        expected += square + prior * (square / float(sigma[index]) ** 2 + 27 * float((sigma[index] ** 2).log()))
    losses = state.losses(_step([layer], torch.zeros(2, 6), torch.zeros(2, dtype=torch.int64)))
    assert float(losses["pruning"].detach()) == pytest.approx(expected, rel=1e-9)
    losses["pruning"].backward()
    assert layer.spread.grad is None  # sigma is a constant in it, or it would fall with the filters' distances


def test_grouped_layers_are_not_pruned() -> None:
    layer, state = _pruning(shape=DEPTHWISE)
    assert layer.groups() is None
    assert layer.latent() is layer.weight
    losses = state.losses(_step([layer], torch.zeros(2, 6), torch.zeros(2, dtype=torch.int64)))
    assert "pruning" not in losses


def test_a_layer_before_its_pruning_phase_is_left_alone() -> None:
    pruned, plain = _layer(keep_filters=0.4), _layer()
    assert torch.equal(pruned.eval().latent(), plain.eval().latent())
    assert METHODS.get("bonn").from_settings({"keep_filters": 0.4}).freeze(pruned).filters is None


def test_evaluation_does_not_depend_on_gamma() -> None:
    early, _ = _pruning(gamma_epoch=0)
    late, _ = _pruning(gamma_epoch=3)
    inputs = _inputs().float()
    assert torch.equal(early.eval()(inputs), late.eval()(inputs))
    assert torch.equal(late(inputs), late.train()(inputs).detach())


def test_the_pruned_layer_equals_the_one_with_equal_filters_bit_for_bit() -> None:
    layer, _ = _pruning()
    frozen = _bonn(keep_filters=0.4).freeze(layer)
    assert layer.training
    assert frozen.filters == 3
    assert frozen.bits.numel() == -(-3 * 27 // 8)
    inputs = _inputs().float()
    inputs[0, 0, 0, :2] = torch.tensor([0.0, -0.0])
    assert torch.equal(deploy(frozen)(inputs), layer.eval()(inputs))


# ---- deployment, phases, training


@pytest.mark.parametrize("keep_filters", [None, 0.4])
def test_a_deployed_layer_has_exactly_one_float(keep_filters: float | None) -> None:
    layer = _pruning()[0] if keep_filters else _layer()
    state = deploy(_bonn().freeze(layer)).state_dict()
    floats = [tensor for tensor in state.values() if tensor.is_floating_point()]
    assert sum(tensor.numel() for tensor in floats) == 1
    assert float(floats[0]) == pytest.approx(1 / float(layer.stretch.detach().mean()))
    assert _bonn().facts.precision.scales_per_layer == 1


def test_the_phases_are_training_fine_tuning_and_pruning_as_asked() -> None:
    assert [phase.name for phase in _bonn(feature_loss=0).phases(10)] == ["train"]
    assert [(phase.name, phase.epochs) for phase in _bonn().phases(10)] == [("train", 8), (FINE_TUNE, 2)]
    plan = _bonn(keep_filters=0.5).phases(10)
    assert [(phase.name, phase.epochs) for phase in plan] == [("train", 5), (FINE_TUNE, 2), (PRUNE, 3)]
    assert [phase.lr_multiplier for phase in plan] == [1, 0.1, 1]


def test_too_few_epochs_for_the_phases_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 epochs, and 2 were given"):
        _bonn(keep_filters=0.5).phases(2)


def _pruning_trainer(ema_decay: float = 0.0) -> CandidateTrainer:
    method = _bonn(keep_filters=0.5, fine_tune_share=0.4, prune_share=0.4)
    recipe = Recipe(epochs=5, max_steps_per_epoch=2, ema_decay=ema_decay)
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, recipe, seed=3)
    return CandidateTrainer(plan, digits(), torch.device("cpu"))


def test_a_training_resumed_in_any_phase_equals_the_uninterrupted_one_bit_for_bit() -> None:
    """Centres, deviations and groups included: training, fine-tuning and pruning take 1, 2 and 2 epochs."""
    whole = _pruning_trainer()
    saved = [whole.checkpoint().to_bytes() for _ in whole.fit()]
    expected = whole.checkpoint().tensors
    assert "state.centres" in expected
    for checkpoint in saved[:-1]:
        resumed = _pruning_trainer()
        resumed.restore(Checkpoint.from_bytes(checkpoint))
        for _ in resumed.fit():
            pass
        actual = resumed.checkpoint().tensors
        assert expected.keys() == actual.keys()
        assert all(torch.equal(tensor, actual[name]) for name, tensor in expected.items())


@pytest.mark.parametrize("ema_decay", [0.0, 0.7])
def test_a_pruned_network_is_smaller_and_computes_what_was_scored(ema_decay: float) -> None:
    """The moving average too, which must not average the groups."""
    trainer = _pruning_trainer(ema_decay)
    for _ in trainer.fit():
        pass
    network = trainer.network.eval()
    layers = [layer for layer in binary_layers([network]) if isinstance(layer, BonnConv2d)]
    for layer in layers:
        groups = layer.groups()
        assert groups is None if layer.shape.groups > 1 else len(_groups(layer).unique()) == layer.shape.out_channels // 2
    frozen = freeze_network(network, _bonn(keep_filters=0.5))
    bits = sum(len(tensor) for name, tensor in frozen.state_dict().items() if name.endswith(".bits"))
    trained = sum(-(-layer.shape.weights // 8) for layer in layers)
    assert bits < trained
    images = pixels(network.image, 5)
    assert differing(frozen(images), network(images)) <= 1


def test_groups_survive_a_narrow_dtype_and_a_moving_average() -> None:
    """Numbers above 256 do not fit bfloat16, and an average of integers rounds down."""
    layer = _layer(ConvShape(in_channels=1, out_channels=600, kernel_size=1), keep_filters=0.5)
    state = _state(_bonn(keep_filters=0.5), layer)
    state.start_phase(Phase(PRUNE, 1), nn.ModuleList([layer]))
    groups = _groups(layer).clone()
    average = AveragedModel(layer, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(30):
        average.update_parameters(layer)
    for other in (average.module, layer.to(torch.bfloat16)):
        assert isinstance(other, BonnConv2d)
        assert torch.equal(_groups(other), groups)
