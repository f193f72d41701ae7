"""Writing a frozen network as readable Python source that needs torch alone.

The network is traced symbolically (torch.fx): one class a cell and one for the whole, one line an operation, every layer
constructed with the arguments it was built with. So a new operation or template needs no code here, and what is written is
what ran. The caller runs the result against the network before anyone downloads it.
"""

import inspect
import operator
import re
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, fx, nn

from nas_service.errors import ExportError
from nas_service.export import real_layers, runtime
from nas_service.export.one_file import joined_source
from search_spaces.network import Cell, Network

_INFIX = {operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/"}
_CONTAINERS = (nn.Sequential, nn.ModuleDict, nn.ModuleList)
_RUN_TIME = (real_layers, runtime)  # in the order in which they stand in the source


def _is_runtime(module: nn.Module) -> bool:
    """Return whether a layer's class stands in the first parts of the source."""
    return type(module).__module__ in {part.__name__ for part in _RUN_TIME}


class _Tracer(fx.Tracer):
    """Stops at torch's own layers, at those of the run time and, in the whole network, at cells."""

    proxy_buffer_attributes = True  # what is computed from a buffer is written as computed

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self._stops_at_cells = not isinstance(root, Cell)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        del module_qualified_name
        own = type(m).__module__.startswith("torch.nn") and not isinstance(m, _CONTAINERS)
        return own or _is_runtime(m) or (self._stops_at_cells and isinstance(m, Cell))


def _identifier(path: str) -> str:
    return re.sub(r"\W", "_", path)


def weight_name(name: str) -> str:
    """Return the name in `weights.safetensors` of a parameter or buffer of a frozen network.

    `cells.0.edges.0-1.skip.norm.weight` becomes `cells.0.edges_0_1_skip_norm.weight`: cells stay modules, what is in a cell
    is flat.
    """
    owner, _, leaf = name.rpartition(".")
    cell = re.match(r"cells\.(\d+)\.(.+)", owner)
    if cell:
        return f"cells.{cell[1]}.{_identifier(cell[2])}.{leaf}"
    return f"{_identifier(owner)}.{leaf}"


def frozen_weights(frozen: Network) -> dict[str, Tensor]:
    """Return the tensors of a frozen network under the names that the written source uses.

    Batch norm's count of training steps is left out: nothing at run time reads it.
    """
    state = frozen.state_dict()
    return {weight_name(name): state[name] for name in state if not name.endswith("num_batches_tracked")}


def _constructor(module: nn.Module) -> str:
    """Return the call that makes a layer like `module`, from its constructor's parameters and its attributes.

    Raises:
        ExportError: If the layer does not keep an argument that it was made with.
    """
    arguments = []
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        if name in {"self", "device", "dtype"} or parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        if not hasattr(module, name):
            if parameter.default is parameter.empty:
                message = f"{type(module).__name__} does not keep its argument {name!r}, so its source cannot be written"
                raise ExportError(message)
            continue
        value = getattr(module, name)
        if name == "bias":
            value = value is not None
        if value != parameter.default:
            arguments.append(f"{name}={value!r}")
    prefix = "" if _is_runtime(module) else "nn."
    return f"{prefix}{type(module).__name__}({', '.join(arguments)})"


def _function_name(function: Callable[..., Any]) -> str:
    for prefix, namespace in (("torch", torch), ("F", F)):
        name = getattr(function, "__name__", "")
        if getattr(namespace, name, None) is function:
            return f"{prefix}.{name}"
    message = f"the network calls {function!r}, which is not a function of torch, so its source cannot be written"
    raise ExportError(message)


def _argument(value: object) -> str:
    if isinstance(value, fx.Node):
        return value.name
    if isinstance(value, list | tuple):
        inner = ", ".join(_argument(entry) for entry in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)"
    return repr(value)


def _buffer(owner: nn.Module, leaf: str) -> str:
    """Return the arguments that register a parameter or a buffer: room for a saved one, the values of one that is not."""
    tensor: Tensor = getattr(owner, leaf)
    if leaf in owner.state_dict():
        return f"{leaf!r}, torch.zeros({tuple(tensor.shape)!r})"
    return f"{leaf!r}, torch.tensor({tensor.tolist()!r}), persistent=False"


def _line(node: fx.Node) -> str:
    given = [_argument(value) for value in node.args]
    given += [f"{name}={_argument(value)}" for name, value in node.kwargs.items()]
    if node.op == "output":
        return f"return {_argument(node.args[0])}"
    if node.op == "call_module":
        cell = re.fullmatch(r"cells\.(\d+)", str(node.target))
        target = f"self.cells[{cell[1]}]" if cell else f"self.{_identifier(str(node.target))}"
        return f"{node.name} = {target}({', '.join(given)})"
    if node.op == "call_method":
        return f"{node.name} = {given[0]}.{node.target}({', '.join(given[1:])})"
    if node.op == "get_attr":
        owner, _, leaf = str(node.target).rpartition(".")
        return f"{node.name} = self.{_identifier(owner)}.{leaf}"
    assert callable(node.target)  # noqa: S101 - for the type checker; fx: call_function has a callable
    return f"{node.name} = {_call(node.target, given)}"


def _call(function: Callable[..., Any], given: list[str]) -> str:
    if function in _INFIX:
        return f"{given[0]} {_INFIX[function]} {given[1]}"
    if function is operator.getitem:
        return f"{given[0]}[{given[1]}]"
    return f"{_function_name(function)}({', '.join(given)})"


def _trace(root: nn.Module) -> fx.Graph:
    """Trace a network, or a cell that has one operation on each edge."""
    fixed: dict[str, Any] = {}
    if isinstance(root, Cell):
        fixed = {"choice": None} if root.inputs > 1 else {"choice": None, "older": None}
    graph = _Tracer(root).trace(root, concrete_args=fixed)
    for node in list(graph.nodes):
        if node.op == "call_function" and not node.users:  # fx's check that the fixed argument stays fixed
            graph.erase_node(node)
    return graph


def _write_class(name: str, docstring: str, root: nn.Module) -> list[str]:
    graph = _trace(root)
    lines = [f"class {name}(nn.Module):", f'    """{docstring}"""', "", "    def __init__(self) -> None:"]
    lines.append("        super().__init__()")
    cells = 0
    made: set[str] = set()
    for node in graph.nodes:
        path = str(node.target)
        if node.op == "get_attr":
            path, _, leaf = path.rpartition(".")
            if _identifier(path) not in made:
                made.add(_identifier(path))
                lines.append(f"        self.{_identifier(path)} = nn.Module()")
            lines.append(f"        self.{_identifier(path)}.register_buffer({_buffer(root.get_submodule(path), leaf)})")
        elif node.op == "call_module" and isinstance(root.get_submodule(path), Cell):
            cells += 1
        elif node.op == "call_module":
            lines.append(f"        self.{_identifier(path)} = {_constructor(root.get_submodule(path))}")
    if cells:
        lines.append(f"        self.cells = nn.ModuleList([{', '.join(f'Cell{index}()' for index in range(cells))}])")
    inputs = [f"{node.name}: Tensor" for node in graph.nodes if node.op == "placeholder" and node.users]
    lines += ["", f"    def forward(self, {', '.join(inputs)}) -> Tensor:"]
    lines += [f"        {_line(node)}" for node in graph.nodes if node.op != "placeholder"]
    return [*lines, "", ""]


def source_title(space: str, method: str, dataset: str) -> str:
    """Return the first line of a candidate's `model.py`, from the names of its space, method and dataset."""
    return f"A 1-bit network: {space}, {method}, {dataset}."


def write_source(frozen: Network, title: str) -> str:
    """Return the text of `model.py` for a frozen network; `title` is its first line.

    Raises:
        ExportError: If the network does something that cannot be written as source, or the title is no line of plain text.
    """
    if not title.isprintable() or set(title) & set('"\\'):  # it could end the docstring, and what follows would be run
        raise ExportError(f"the title {title!a} cannot be written into source: no quotes, backslashes or control characters")
    needs = f"Needs Python {runtime.PYTHON} and torch {runtime.TORCH} or newer, nothing else."
    lines = [f'"""{title}', "", f"{needs} As a script it classifies the bundled test images."]
    lines += ['"""', "", *joined_source(_RUN_TIME, last="torch"), "", ""]
    for index, (cell, cell_type) in enumerate(zip(frozen.cells, frozen.cell_types, strict=True)):
        lines += _write_class(f"Cell{index}", f"Cell {index}, type {cell_type}.", cell)
    lines += _write_class("Network", "Maps pixels in [0, 1], (N, C, H, W), to logits (N, classes).", frozen)
    lines += ['if __name__ == "__main__":', "    main(Network())", ""]
    return "\n".join(lines)
