"""What stands in every `model.py`: the pixels that it takes, and the Pythons that it runs on."""

import ast
import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.jit._trace import TracerWarning

from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.errors import ExportError
from nas_service.export import runtime
from nas_service.export.bundle import _run_source
from nas_service.export.packed import freeze_network
from nas_service.export.runtime import ROUNDING
from nas_service.export.standalone import frozen_weights, write_source
from search_spaces.network import ImageFormat, Network
from search_spaces.space import SPACES
from tests.samples import GREY_8, RGB_9, tiny_genotype


def _frozen(image: ImageFormat = GREY_8, method_name: str = "xnor-net") -> Network:
    method = METHODS.get(method_name).from_settings({})
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), method, image)
    return freeze_network(network, method)


def _written(frozen: Network) -> nn.Module:
    return _run_source(write_source(frozen, "A test."), frozen_weights(frozen))


@pytest.fixture(params=["frozen", "written"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """Return a network for (N, 1, 8, 8), as `nas evaluate` rebuilds it and as `model.py` has it."""
    frozen = _frozen()
    return frozen if request.param == "frozen" else _written(frozen)


PIXELS = torch.rand(2, 1, 8, 8)


def _with(value: float) -> Tensor:
    pixels = PIXELS.clone()
    pixels[1, 0, 7, 7] = value
    return pixels


REFUSED: dict[str, tuple[Tensor, str]] = {
    "uint8": ((PIXELS * 255).to(torch.uint8), r"pixels of torch.uint8 are not allowed; allowed: float in \[0, 1\], as images"),
    "int64": (torch.ones(2, 1, 8, 8, dtype=torch.int64), "pixels of torch.int64 are not allowed"),
    "bool": (torch.ones(2, 1, 8, 8, dtype=torch.bool), "pixels of torch.bool are not allowed"),
    "complex": (PIXELS.to(torch.complex64), "pixels of torch.complex64 are not allowed"),
    "0 to 255": (_with(255.0), r"pixels from .* to 255 are not allowed; allowed: \[0, 1\]"),
    "mean taken out": (_with(-0.5), "pixels from -0.5 to "),
    "barely above": (_with(1.001), "to 1.001 are not allowed"),
    "barely below": (_with(-0.001), "pixels from -0.001 to"),
    "NaN": (_with(torch.nan), r"pixels that are not numbers \(NaN\)"),
    "infinity": (_with(torch.inf), "to inf are not allowed"),
    "minus infinity": (_with(-torch.inf), "pixels from -inf to"),
    "three channels": (torch.rand(2, 3, 8, 8), r"pixels of shape \(2, 3, 8, 8\) are not allowed; allowed: \(N, 1, 8, 8\)"),
    "higher": (torch.rand(2, 1, 9, 8), r"pixels of shape \(2, 1, 9, 8\)"),
    "wider": (torch.rand(2, 1, 8, 9), r"pixels of shape \(2, 1, 8, 9\)"),
    "channels last": (torch.rand(2, 8, 8, 1), r"pixels of shape \(2, 8, 8, 1\)"),
    "one image": (torch.rand(1, 8, 8), r"pixels of shape \(1, 8, 8\) are not allowed; allowed: \(N, 1, 8, 8\), N images at once"),
    "a matrix": (torch.rand(8, 8), r"pixels of shape \(8, 8\)"),
    "batches of batches": (torch.rand(2, 2, 1, 8, 8), r"pixels of shape \(2, 2, 1, 8, 8\)"),
    "a number": (torch.tensor(0.5), r"pixels of shape \(\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_batch_of_pixels_is_refused(network: nn.Module, case: str) -> None:
    pixels, reason = REFUSED[case]
    with pytest.raises(ValueError, match=reason):
        network(pixels)


def test_pixels_are_taken_up_to_rounding(network: nn.Module) -> None:
    for pixels in (PIXELS, torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8), _with(1 + ROUNDING / 2), _with(-ROUNDING / 2)):
        assert network(pixels).isfinite().all()
    assert network(PIXELS[:0]).shape == (0, 10)


def test_both_sides_and_all_channels_count() -> None:
    network = _written(_frozen(RGB_9))
    assert network(torch.rand(2, 3, 9, 11)).shape == (2, 3)
    with pytest.raises(ValueError, match=r"allowed: \(N, 3, 9, 11\)"):
        network(torch.rand(2, 3, 11, 9))
    with pytest.raises(ValueError, match=r"allowed: \(N, 3, 9, 11\)"):
        network(torch.rand(2, 1, 9, 11))


def test_pixels_may_have_half_the_bits() -> None:
    network = _written(_frozen()).to(torch.bfloat16)
    assert network(PIXELS.to(torch.bfloat16)).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="to 255 are not allowed"):
        network(_with(255).to(torch.bfloat16))


def _dynamic(network: nn.Module, pixels: Tensor) -> nn.Module:
    return torch.export.export(network, (pixels,), dynamic_shapes=({0: torch.export.Dim("images")},)).module()


TRACED: dict[str, Callable[[nn.Module, Tensor], Callable[[Tensor], Tensor]]] = {
    "jit.trace": torch.jit.trace,
    "fx": lambda network, _: torch.fx.symbolic_trace(network),
    "make_fx": lambda network, pixels: make_fx(network)(pixels),
    "export": lambda network, pixels: torch.export.export(network, (pixels,)).module(),
    "export strict": lambda network, pixels: torch.export.export(network, (pixels,), strict=True).module(),
    "export dynamic": _dynamic,
    "compile": lambda network, _: torch.compile(network, backend="eager", fullgraph=True),
    "vmap": lambda network, _: torch.func.vmap(lambda image: network(image[None])[0]),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("source", ["one scale", "offsets"])
@pytest.mark.parametrize("way", TRACED)
def test_tracers_and_compilers_see_no_branch_on_values(
    way: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "written_model.py").write_text(SOURCES[source])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "written_model", raising=False)
    network = importlib.import_module("written_model").Network().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of torch.jit
        warnings.simplefilter("error", TracerWarning)  # a branch that depends on a tensor's values
        traced = TRACED[way](network, PIXELS)
        torch.testing.assert_close(traced(PIXELS), network(PIXELS))
    torch.compiler.reset()


def test_a_network_without_values_runs() -> None:
    assert _written(_frozen()).to("meta")(PIXELS.to("meta")).shape == (2, 10)


SOURCE = write_source(_frozen(), "A test.")
SOURCES = {"one scale": SOURCE, "offsets": write_source(_frozen(method_name="adabin"), "A test.")}


def test_the_source_is_python_3_9() -> None:
    """Annotations are never evaluated; a union outside of them, and keywords of later versions, would be errors there."""
    tree = ast.parse(SOURCE, feature_version=(3, 9))
    first = next(node for node in tree.body if isinstance(node, ast.ImportFrom))
    assert first.module == "__future__"
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"argparse", "json", "math", "torch", "torch.nn.functional"}
    annotations = {id(part) for node in ast.walk(tree) for part in _annotations(node)}
    unions = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)]
    assert unions
    assert all(id(node) in annotations for node in unions)
    keywords = {keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords}
    assert not keywords & {"strict", "slots", "kw_only", "root_dir", "process_group"}


def _annotations(node: ast.AST) -> list[ast.AST]:
    given = [getattr(node, "annotation", None), getattr(node, "returns", None)]
    return [part for annotation in given if isinstance(annotation, ast.AST) for part in ast.walk(annotation)]


def test_the_source_says_what_it_needs() -> None:
    docstring = ast.get_docstring(ast.parse(SOURCE))
    assert docstring is not None
    assert "Needs Python 3.9 and torch 2.3 or newer" in docstring


@pytest.mark.parametrize("title", ['"""', "a\nb", "a\\", "a\x1b", "\N{RIGHT-TO-LEFT OVERRIDE}"])
def test_a_title_that_is_no_line_of_text_is_not_written(title: str) -> None:
    with pytest.raises(ExportError, match="cannot be written into source") as caught:
        write_source(_frozen(), title)
    assert str(caught.value).isprintable()


class _Small(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 2))


_IMAGES, _LABELS = torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"images": _IMAGES}, "KeyError('labels')"),
        ({"labels": _LABELS}, "KeyError('images')"),
        ({"images": _IMAGES.float(), "labels": _LABELS}, "images torch.float32 (3, 1, 8, 8), labels torch.int64 (3,)"),
        ({"images": _IMAGES, "labels": _LABELS[:2]}, "labels torch.int64 (2,)"),
        ({"images": _IMAGES[:0], "labels": _LABELS[:0]}, "images torch.uint8 (0, 1, 8, 8)"),
        ({"images": _IMAGES[..., :7].contiguous(), "labels": _LABELS}, "RuntimeError("),
        ({"images": _IMAGES.double(), "labels": _LABELS}, "KeyError('F64')"),
        (None, "Error("),
    ],
)
def test_a_script_whose_test_images_are_none_says_so_in_a_sentence(
    tensors: dict[str, Tensor] | None,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    network = _Small()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "given").write_bytes(b"none" if tensors is None else save(tensors))
    monkeypatch.setattr(runtime, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["model.py", "--data", str(tmp_path / "given")])
    with pytest.raises(SystemExit) as ended:
        runtime.main(network)
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith(f"model.py: {tmp_path / 'given'} is refused (")
    assert words in told
    assert told.count("\n") == 1
