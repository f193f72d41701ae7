"""Networks as ONNX: ONNX Runtime computes what the frozen network does."""

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import save
from torch import Tensor, nn

from nas_service.binarization.method import METHODS
from nas_service.deploy.onnx_file import Origin, write_onnx, write_qonnx
from nas_service.deploy.program import BinaryConv, Gather, Stem
from nas_service.deploy.tracing import trace_network
from nas_service.errors import ExportError
from nas_service.export.standalone import frozen_weights
from search_spaces.cost import Size
from search_spaces.network import ImageFormat, Network
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES, ZEROISE, SpaceSettings
from search_spaces.template import TEMPLATES
from tests.nas_service.deploy.given import frozen_network, random_pixels
from tests.samples import GREY_8, RGB_9

ORIGIN = Origin("0" * 64, "1.2.3")
RGB_32 = ImageFormat(channels=3, size=Size(32, 32), classes=10, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.3))
REAL_INPUTS = {"mcn"}
PACKED = [name for name in METHODS.names() if name not in REAL_INPUTS]
# What a template or a method writes that others do not, beside every operation: sums of signs, magnitudes, factors of positions.
WITH_OPERATIONS = [("bnn", "plain"), ("xnor-net", "shortcut"), ("adabin", "double-norm")]
# Logits are sums of float32 behind the last sign, whose order is the runtime's: a hundred terms are off by 1e-6 at most.
TOLERANCE = 1e-5


def _run(content: bytes, pixels: Tensor, output: str = "logits") -> NDArray[Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    runs = [session.run([output], {"pixels": batch.numpy()})[0] for batch in pixels.split(5)]
    return np.concatenate([np.asarray(run) for run in runs])


def _assert_runs_the_same(frozen: Network, image: ImageFormat) -> None:
    content = write_onnx(trace_network(frozen), ORIGIN)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    pixels = random_pixels(image, 6)  # a batch of 5, and one of 1
    with torch.no_grad():
        expected = frozen(pixels).numpy()
    logits = _run(content, pixels)
    assert logits.shape == (6, image.classes)
    assert np.isfinite(expected).all()
    largest = np.maximum(np.abs(expected).max(1), 1)
    assert (np.abs(logits - expected).max(1) <= TOLERANCE * largest).all()
    assert (logits.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize("name", PACKED)
def test_every_method_runs_the_same(name: str) -> None:
    _assert_runs_the_same(frozen_network(replace(SPACES.get("abandit-mini"), channels=8), name, RGB_9), RGB_9)


@pytest.mark.parametrize("name", SPACES.names())
def test_every_space_runs_the_same(name: str) -> None:
    _assert_runs_the_same(frozen_network(replace(SPACES.get(name), channels=4), "recu", RGB_9), RGB_9)


@pytest.mark.parametrize("name", TEMPLATES.names())
def test_every_template_runs_the_same(name: str) -> None:
    space = SPACES.get("tiny").configure(SpaceSettings(channels=4, template=name))
    _assert_runs_the_same(frozen_network(space, "react-net", RGB_9), RGB_9)


@pytest.mark.diagonal
@pytest.mark.parametrize(("method", "template"), WITH_OPERATIONS)
@pytest.mark.parametrize("name", OPERATIONS.names())
def test_every_operation_runs_the_same(name: str, method: str, template: str) -> None:
    """One operation everywhere (a cut needs another one beside it), at strides 1 and 2, where sizes are odd."""
    operations = ["skip", name] if name == ZEROISE else [name]
    space = SPACES.get("tiny").configure(SpaceSettings(channels=4, template=template, operations=operations))
    edges = [(cell.name, edge) for cell in space.cell_types for edge in space.edges]
    genotype = space.genotype({(c, e.name): operations[-1 if e.target > 1 and e.source else 0] for c, e in edges})
    _assert_runs_the_same(frozen_network(space, method, RGB_9, genotype), RGB_9)


@pytest.mark.parametrize("settings", [{"scale": "spatial"}, {"scale": "scalar"}], ids=str)
def test_pruned_filters_are_zeros(settings: dict[str, object]) -> None:
    frozen = frozen_network(SPACES.get("tiny"), "rbcn", GREY_8, settings={"prune": 0.5, **settings})
    gathers = [step.operation for step in trace_network(frozen).steps if isinstance(step.operation, Gather)]
    assert any((gather.index < 0).any() for gather in gathers)
    _assert_runs_the_same(frozen, GREY_8)


@pytest.mark.parametrize("name", ["adabin", "bnn", "rbcn", "xnor-net"])
def test_the_map_behind_the_last_sign_is_equal_to_the_last_bit(name: str) -> None:
    """So everything before it is: a bit that differed in front of a sign would now and then flip it."""
    frozen = frozen_network(replace(SPACES.get("abandit"), channels=8), name, RGB_32)
    pixels = random_pixels(RGB_32, 5)
    seen: list[Tensor] = []
    pools = [module for module in frozen.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    assert len(pools) == 1
    pools[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        frozen(pixels)
    model = onnx.load_from_string(write_onnx(trace_network(frozen), ORIGIN))
    last = [node.input[0] for node in model.graph.node if node.op_type == "ReduceMean"][-1]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last))
    assert np.array_equal(_run(model.SerializeToString(), pixels, last), seen[0].numpy())


def test_real_inputs_are_refused_by_name() -> None:
    frozen = frozen_network(SPACES.get("tiny"), "mcn", GREY_8)
    with pytest.raises(ExportError, match="real inputs"):
        trace_network(frozen)


def test_a_file_is_small_soon_written_and_the_same_every_time() -> None:
    frozen = frozen_network(SPACES.get("abandit-general"), "bnn", GREY_8)
    program = trace_network(frozen, tuple("0123456789"))
    began = time.process_time()
    content = write_onnx(program, ORIGIN)
    assert time.process_time() - began < 5
    weights = save({name: tensor.contiguous() for name, tensor in frozen_weights(frozen).items()})
    assert len(content) <= 1.5 * len(weights)
    assert content == write_onnx(trace_network(frozen, tuple("0123456789")), ORIGIN)


def test_a_file_has_standard_operators_bits_and_says_what_it_is() -> None:
    frozen = frozen_network(SPACES.get("tiny"), "bnn", RGB_9)
    program = trace_network(frozen, ("kind", "größer", 'so "called"'))
    model = onnx.load_from_string(write_onnx(program, ORIGIN))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert model.ir_version == 8
    (pixels,), (logits,) = model.graph.input, model.graph.output
    assert [entry.dim_param or entry.dim_value for entry in pixels.type.tensor_type.shape.dim] == ["n", 3, 9, 11]
    assert [entry.dim_param or entry.dim_value for entry in logits.type.tensor_type.shape.dim] == ["n", 3]
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["class_names"]) == ["kind", "größer", 'so "called"']
    assert facts["weights_sha256"] == ORIGIN.weights_sha256
    assert facts["nas_service_version"] == "1.2.3"
    assert "mean and std are inside" in facts["normalization"]
    weights = {tuple(np.packbits(op.bits.transpose(0, 3, 1, 2).flatten(), bitorder="little")) for op in _convolutions(frozen)}
    arrays = [numpy_helper.to_array(entry) for entry in model.graph.initializer]
    assert weights <= {tuple(array.flatten()) for array in arrays if array.dtype == np.uint8}
    stem = next(step.operation for step in program.steps if isinstance(step.operation, Stem))
    assert max(array.size for array in arrays if array.dtype == np.float32) < min(op.bits.size for op in _convolutions(frozen))
    assert any(array.dtype == np.int32 and array.size == stem.weight.size for array in arrays)


@pytest.mark.parametrize("name", ["adabin", "bnn", "rbcn", "xnor-net"])
def test_qonnx_runs_the_file_with_quantizers(name: str) -> None:
    reason = "the package qonnx, which is to run the file, is not installed: pip install 'nas-service[dev]'"
    modelwrapper = pytest.importorskip("qonnx.core.modelwrapper", reason=reason)
    execution = pytest.importorskip("qonnx.core.onnx_exec", reason=reason)
    shapes = pytest.importorskip("qonnx.transformation.infer_shapes", reason=reason)
    frozen = frozen_network(replace(SPACES.get("tiny"), channels=4), name, RGB_9)
    model = onnx.load_from_string(write_qonnx(trace_network(frozen), ORIGIN))
    wrapped = modelwrapper.ModelWrapper(model).transform(shapes.InferShapes())
    for pixels in random_pixels(RGB_9, 3).split(1):
        with torch.no_grad():
            expected = frozen(pixels).numpy()
        logits = execution.execute_onnx(wrapped, {"pixels": pixels.numpy()})["logits"]
        assert np.abs(logits - expected).max() <= TOLERANCE * max(np.abs(expected).max(), 1)


@pytest.mark.parametrize("name", ["bnn", "react-net"])
def test_both_operands_of_a_binary_convolution_are_quantised_in_qonnx(name: str) -> None:
    frozen = frozen_network(SPACES.get("tiny"), name, RGB_9)
    model = onnx.load_from_string(write_qonnx(trace_network(frozen), ORIGIN))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18), ("qonnx.custom_op.general", 1)]
    made = {node.output[0]: node for node in model.graph.node}
    constants = {entry.name for entry in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == len(_convolutions(frozen))
    for node in convolutions:
        signs, weights = made[node.input[0]], made[node.input[1]]
        signs = made[signs.input[0]] if signs.op_type == "Pad" else signs
        assert [signs.op_type, weights.op_type] == ["BipolarQuant"] * 2
        assert weights.input[0] in constants


def _convolutions(frozen: Network) -> list[BinaryConv]:
    return [step.operation for step in trace_network(frozen).steps if isinstance(step.operation, BinaryConv)]
