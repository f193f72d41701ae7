"""What architectures take in generated C, as figures that a search is limited by."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from nas_service.binarization.method import METHODS
from nas_service.deploy.c_cost import CCost, c_costs
from nas_service.errors import CannotFreezeError, ExportError
from nas_service.search.limits import Limits, Whole
from nas_service.specs import Component, SearchSpec
from search_spaces.genotype import Choice, Genotype
from search_spaces.network import ImageFormat
from search_spaces.space import SearchSpace

_FIGURES: dict[str, Callable[[CCost], int]] = {
    "flash_bytes": lambda cost: cost.flash_bytes,
    "ram_bytes": lambda cost: cost.arena_bytes,
    "cortex_m4_instructions": lambda cost: cost.cortex_m4_instructions,
}
_KEPT = 50_000  # architectures that are not worked out again


def methods_in_c(spec: SearchSpec) -> tuple[Component, ...]:
    """Return the methods whose C is counted: those that the search trains with, or its own."""
    return (spec.method,) if spec.training is None else tuple(spec.training.methods)


class CFigures:
    """Figures of a space's architectures, of the dearest of some methods, for one format of images."""

    def __init__(self, space: SearchSpace, methods: Sequence[tuple[str, str]], image: ImageFormat) -> None:
        """Take methods by name and settings as JSON."""
        self._space = space
        self._costs = [c_costs(space, name, settings, image) for name, settings in methods]
        self._known = lru_cache(maxsize=_KEPT)(self._all)

    def of(self, choices: tuple[Choice, ...], names: Sequence[str]) -> tuple[float, ...]:
        """Return figures of an architecture, by name; infinite ones where it has no exact form in C with a method."""
        told = self._known(choices)
        return tuple([told[name] for name in names])

    def refused(self, choices: tuple[Choice, ...]) -> str | None:
        """Return why an architecture has no exact form in C with one of the methods; None: it has."""
        try:
            for costs in self._costs:
                costs.of(Genotype(self._space.name, choices))
        except (CannotFreezeError, ExportError) as error:
            return str(error)
        return None

    def limits(self, most: Mapping[str, float], sums: Limits) -> Limits:
        """Return limits on figures, by name, beside those on sums.

        Figures without a limit are there, too: of two architectures that break one alike, the cheaper one is nearer to others.
        """
        limits = tuple(most.get(name, math.inf) for name in _FIGURES)
        return replace(sums, whole=Whole(tuple(_FIGURES), lambda choices: self.of(choices, tuple(_FIGURES)), limits))

    def _all(self, choices: tuple[Choice, ...]) -> dict[str, float]:
        genotype = Genotype(self._space.name, choices)
        try:
            costs = [each.of(genotype) for each in self._costs]
        except (CannotFreezeError, ExportError):
            return dict.fromkeys(_FIGURES, math.inf)
        return {name: max(map(figure, costs)) for name, figure in _FIGURES.items()}


def c_figures(space: SearchSpace, methods: Sequence[Component], image: ImageFormat) -> CFigures:
    """Return the figures of a space; kept, so that nothing is worked out twice."""
    return _c_figures(space, tuple((method.name, _settings(method)) for method in methods), image)


@lru_cache(maxsize=16)
def _c_figures(space: SearchSpace, methods: tuple[tuple[str, str], ...], image: ImageFormat) -> CFigures:
    return CFigures(space, methods, image)


def _settings(method: Component) -> str:
    return METHODS.get(method.name).from_settings(method.settings).settings.model_dump_json()
