"""M^-1 of a covariance matrix that grows, by a Cholesky factor that is taken further. numpy, no torch.

With A = L L' the leading block of M, B (k, m) and D (m, m) the rest, and W = L^-1,

    M = [[A, B], [B', D]],     C = W B,     D - C' C = G G',     V = G^-1,
    r M^-1 r'  =  |W r1'|^2 + |V (r2' - C' W r1')|^2.

L and W cost 2 k^3 / 3 operations, the rest k^2 m: a history of thousands of samples is taken apart anew now and then, and
what came since is added on. What comes of it depends on k and on the rows alone, not on the way there.
"""

import numpy as np

from nas_service.search.encoding import Floats

_SMALL = 64  # rows that are inverted at once


class Factor:
    """Of M, symmetric and positive definite, in two blocks, the second of which may be empty.

    Attributes:
        leading: W, lower triangular, (k, k).
    """

    def __init__(self, leading: Floats, border: Floats, corner: Floats) -> None:
        """Take W further by B `border` (k, m) and D `corner` (m, m)."""
        self.leading = leading
        self._across = leading @ border
        self._corner = whitening(corner - self._across.T @ self._across)

    def solve(self, values: Floats) -> Floats:
        """Return M^-1 values, (k + m,)."""
        first, second = self._whitened(values)
        below = self._corner.T @ second
        return np.concatenate([self.leading.T @ (first - self._across @ below), below])

    def quadratics(self, rows: Floats) -> Floats:
        """Return r M^-1 r' of every row r of `rows` (any number, k + m)."""
        first, second = self._whitened(rows.T)
        return np.asarray((first**2).sum(axis=0) + (second**2).sum(axis=0))

    def _whitened(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return the inverse of the whole factor times `columns` (k + m, ...), in its two blocks."""
        count = len(self.leading)
        first = self.leading @ columns[:count]
        return first, self._corner @ (columns[count:] - self._across.T @ first)


def whitening(matrix: Floats) -> Floats:
    """Return W = L^-1 of a symmetric positive definite matrix L L'."""
    return _inverted(np.asarray(np.linalg.cholesky(matrix), np.float64))


def _inverted(factor: Floats) -> Floats:
    """Return the inverse of a lower triangular matrix, by halves: nearly all of the work is products of matrices."""
    if len(factor) <= _SMALL:
        return np.tril(np.linalg.inv(factor))
    half = len(factor) // 2
    above, below = _inverted(factor[:half, :half]), _inverted(factor[half:, half:])
    inverse = np.zeros_like(factor)
    inverse[:half, :half], inverse[half:, half:] = above, below
    inverse[half:, :half] = -(below @ factor[half:, :half]) @ above
    return inverse
