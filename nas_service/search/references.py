"""The architectures of a space over which covariates are standardised. numpy, no torch."""

import numpy as np

from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.liveness import draw_uniform, possible_arms, region_of
from search_spaces.genotype import Genotype

ENUMERATED = 2048  # live genotypes that are all looked at
_ROUNDING = 1e-12  # of the largest value
REFERENCES = 512  # drawn in larger spaces


def references(encoding: Encoding, seed: int) -> Codes:
    """Return all architectures of a small space; of a larger one some, drawn uniformly whatever the limits, (rows, E)."""
    space = encoding.space
    if space.size() <= ENUMERATED:
        return encoding.all_live
    region, arms = region_of(space), possible_arms(space)  # draws within limits may take long
    drawn = [draw_uniform(region, arms, seed, ("reference", number)) for number in range(REFERENCES)]
    return encoding.codes(Genotype(space.name, choices) for choices in drawn)


def standard(values: Floats) -> tuple[float, float]:
    """Return mean and standard deviation; 1 for a deviation that is nothing but rounding."""
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > _ROUNDING * float(np.abs(values).max(initial=0.0)) else 1.0
