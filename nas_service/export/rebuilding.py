"""Rebuilding a bundle's frozen network from its genotype and weights, and comparing its `model.py` with our own."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nas_service.binarization.method import Method
from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_method, build_space
from nas_service.checking.problems import Problems
from nas_service.errors import CannotFreezeError, ExportError
from nas_service.export import runtime
from nas_service.export.bundle_archive import MANIFEST, WEIGHTS
from nas_service.export.bundle_reading import Bundle, StatedCandidate, read_tensors
from nas_service.export.packed import freeze_network, shrink_layers
from nas_service.export.standalone import frozen_weights, source_title, weight_name, write_source
from nas_service.export.strict_json import read_object
from search_spaces.cost import Cost
from search_spaces.genotype import Genotype
from search_spaces.network import Network, network_cost
from search_spaces.space import SearchSpace

MAX_PARAMETERS = 2**27  # they take some fifteen bytes each while the network is built
_MOST_PRUNED = 32  # an unpruned network may be so many times as large as its weights


def network_of(bundle: Bundle) -> Network:
    """Rebuild the frozen network from genotype and weights, without the bundle's own `model.py`.

    What is built is no larger than the weights in the bundle allow.

    Raises:
        ExportError: If the bundle holds no trained network or its weights do not fit.
    """
    stated, weights = bundle.candidate, read_tensors(bundle.file(WEIGHTS), WEIGHTS)
    given = read_object(bundle.file("genotype.json"), "genotype.json")
    problems = Problems()
    space = problems.attempt("space", lambda: build_space(stated.space))
    method = problems.attempt("method", lambda: build_method(stated.method))
    try:
        problems.finish()
        assert space is not None and method is not None  # noqa: PT018, S101 - for the type checker; no problem, so both are there
        network = _build(space, space.parse(given), method, stated, weights)
        shrink_layers(network, stated.pruned)
        _fill(network, weights)
    except (CannotFreezeError, LookupError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise ExportError(f"the bundle's network cannot be rebuilt: {error}") from error
    return network


def _build(
    space: SearchSpace, genotype: Genotype, method: Method, stated: StatedCandidate, weights: Mapping[str, Tensor]
) -> Network:
    """Build the frozen network before it was pruned, once it is known how large that is; its weights are yet to be filled in."""
    image = stated.image.format
    check_size(network_cost(space, genotype, image, method.facts.precision), weights, is_pruned=bool(stated.pruned))
    return freeze_network(binary_network(space, genotype, method, image), method)


def check_size(cost: Cost, weights: Mapping[str, Tensor], *, is_pruned: bool) -> None:
    """See that a network is not larger than is built from a bundle.

    Args:
        cost: Of the network before it was pruned.
        weights: Of the frozen network.
        is_pruned: Whether it was pruned.

    Raises:
        ExportError: If it has too many parameters, or more than such weights account for.
    """
    parameters = cost.binary_parameters + cost.float_parameters
    if parameters > MAX_PARAMETERS:
        raise ExportError(f"the bundle's network has {parameters} parameters; allowed: up to {MAX_PARAMETERS}")
    given_bytes = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    if cost.packed_bytes > given_bytes * (_MOST_PRUNED if is_pruned else 1):
        needed = f"{cost.packed_bytes} bytes of weights and there are {given_bytes}"
        raise ExportError(f"{WEIGHTS} does not fit the genotype, which takes {needed}")


def _fill(network: Network, weights: Mapping[str, Tensor]) -> None:
    """Load weights that fit to the last one."""
    expected = frozen_weights(network)
    if differing := sorted(expected.keys() ^ weights.keys()):
        raise ExportError(f"{WEIGHTS} does not fit the genotype: {', '.join(differing[:3])} ...")
    for name, tensor in expected.items():
        if _form(weights[name]) != _form(tensor):
            forms = f"{name} is {_form(weights[name])} instead of {_form(tensor)}"
            raise ExportError(f"{WEIGHTS} does not fit the genotype: {forms}")
    std = expected["normalize.std"]  # as the manifest states it; it stands in the stem's source
    if not torch.equal(weights["normalize.std"], std):
        values = f"normalize.std is {weights['normalize.std'].flatten().tolist()} and image.std {std.flatten().tolist()}"
        raise ExportError(f"{WEIGHTS} does not fit {MANIFEST}: {values}")
    names = {weight_name(name): name for name in network.state_dict()}
    network.load_state_dict({names[name]: tensor for name, tensor in weights.items()})
    for name, layer in network.named_modules():
        if isinstance(layer, runtime.BinaryConv2d) and layer.gather is not None:
            computed = len(layer.signs) * layer.planes
            if not 0 <= int(layer.gather.min()) <= int(layer.gather.max()) <= computed:
                raise ExportError(f"{WEIGHTS}: {weight_name(f'{name}.gather')} points at outputs other than 0 to {computed}")


def _form(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)}"


def has_own_source(bundle: Bundle, network: Network) -> bool:
    """Return whether a bundle's `model.py` is, to the letter, what this version writes of its rebuilt `network`.

    Raises:
        ExportError: If there is none.
    """
    stated = bundle.candidate
    title = source_title(stated.space.name, stated.method.name, stated.dataset.name)
    return bundle.file("model.py") == write_source(network, title).encode()
