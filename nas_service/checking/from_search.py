"""Another search's samples as a prior: whether the strategy takes them, and whether they tell of this space."""

from nas_service.checking.problems import Problems
from nas_service.search.earlier import PriorSearch, are_alike, common_operations
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.specs import FromSearch, SearchSpec
from search_spaces.space import SearchSpace

_FIELD = "from_search"


def stated_from_search(spec: SearchSpec, prior: PriorSearch | None) -> FromSearch | None:
    """Return the other search with the number of its samples, which fixes all that the strategy depends on."""
    if spec.from_search is None or prior is None:
        return None
    return FromSearch(search=spec.from_search.search, samples=len(prior.history))


def check_from_search(problems: Problems, spec: SearchSpec, strategy: Strategy, prior: PriorSearch | None) -> None:
    """Refuse a prior that the strategy cannot take, that is not there, or that tells nothing of this space."""
    given = spec.from_search
    if given is None or not problems.sound(_FIELD, "strategy", "space"):
        return
    if not strategy.takes_prior:
        able = " and ".join(name for name in STRATEGIES.names() if STRATEGIES.get(name).takes_prior)
        reason = f"null: {spec.strategy.name} has no model that could learn how far to believe it; {able} have"
        problems.complain(_FIELD, given.search, reason)
        return
    if prior is None:
        problems.complain(f"{_FIELD}.search", given.search, "the id of a search that is there")
        return
    _check_space(problems, given, strategy.space, prior)
    if problems.sound(_FIELD):
        _check_samples(problems, given, prior)


def _check_space(problems: Problems, given: FromSearch, space: SearchSpace, prior: PriorSearch) -> None:
    if not are_alike(space, prior.space):
        allowed = f"a search of a space with the cells and edges of {space.name}: {_shape(space)}"
        problems.complain(f"{_FIELD}.search", f"{given.search}, of {prior.space.name}: {_shape(prior.space)}", allowed)
    elif not common_operations(space, prior.space):
        allowed = f"a search of a space that has some operation of {space.name} on the same edge"
        problems.complain(f"{_FIELD}.search", f"{given.search}, of {prior.space.name}", allowed)


def _shape(space: SearchSpace) -> str:
    cells = ", ".join(cell.name for cell in space.cell_types)
    return f"{cells} with edges {', '.join(edge.name for edge in space.edges)}"


def _check_samples(problems: Problems, given: FromSearch, prior: PriorSearch) -> None:
    there = len(prior.history)
    if given.samples is not None and there < given.samples:
        problems.complain(f"{_FIELD}.samples", given.samples, f"at most {there:,}, which are committed")
    elif prior.fidelity is None:
        allowed = f"at least {prior.needed} samples of one fidelity, two for each operation of an edge"
        field = _FIELD if given.samples is None else f"{_FIELD}.samples"
        problems.complain(field, f"{there:,} samples", allowed)
