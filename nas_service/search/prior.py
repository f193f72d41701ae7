"""Another search's samples as a prior: what they tell of an architecture of this space. numpy, no torch.

The model of `posterior.py` is fitted to samples of the other search, in the other's space; its mean, asked about architectures of
this space, is one more covariate of this search's models, standardised over them. Its slope is learned, with the prior
N(0.7, 1): another data set, recipe, method or space tells as much as this search's own samples bear out, even if it misleads.

Rewards of different fidelities are never mixed: told are the samples of the highest fidelity of which there are enough, twice as
many as an edge has operations (the last 2,000 of many). They stand by their rank scores. Nothing but these is taken over: no
level, no bounds, no arm is abandoned for it.

Spaces are alike where they have the same kinds of cells with the same edges. An operation of this space that the other does not
have counts nothing, be that good or bad; channels, number of cells and template may differ.
"""

from collections.abc import Callable

import numpy as np

from nas_service.search.earlier import PriorSearch, order_of
from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.evidence import fitted
from nas_service.search.expectation import Expectation
from nas_service.search.references import references, standard

NAME = "prior search"  # of the covariate
SLOPE = 0.7  # prior mean of its slope
_UNKNOWN = -1  # the number of an operation that the other space does not have


def told_by(prior: PriorSearch, encoding: Encoding, seed: int) -> Callable[[Codes], Floats]:
    """Return what the prior tells of architectures of a space, standardised over it: from (rows, E) to (rows,).

    Args:
        prior: With enough samples, of a space that is alike.
        encoding: Of this space.
        seed: Of the architectures that a large space is standardised over.
    """
    other = Encoding(prior.space)
    expect = Expectation(fitted(other, prior.told))
    own, theirs = order_of(encoding.space), order_of(prior.space)
    numbers = {operation: number for number, operation in enumerate(other.operations)}
    known = np.array([numbers.get(operation, _UNKNOWN) for operation in encoding.operations])
    columns = [own.index(place) for place in theirs]

    def mean(codes: Codes) -> Floats:
        return expect(known[codes[:, columns]])

    centre, spread = standard(mean(references(encoding, seed)))
    return lambda codes: (mean(codes) - centre) / spread
