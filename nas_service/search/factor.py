"""M^-1 of a covariance matrix that grows, by a Cholesky factor that is taken further. numpy and scipy, no torch.

With A = L L' the leading block of M, B (k, m) and D (m, m) the rest,

    M = [[A, B], [B', D]],     C = L^-1 B,     D - C' C = G G',
    r M^-1 r'  =  |L^-1 r1'|^2 + |G^-1 (r2' - C' L^-1 r1')|^2.

L costs k^3 / 3 operations, the rest k^2 m: a history of thousands of samples is taken apart anew now and then, and
what came since is added on. Nothing is inverted, triangles are solved. What comes of it depends on k and on the rows alone, not
on the way there.
"""

import numpy as np

from nas_service.search.encoding import Floats


class Factor:
    """Of M, symmetric and positive definite, in two blocks, either of which may be empty.

    Attributes:
        leading: L, lower triangular, (k, k).
    """

    def __init__(self, leading: Floats, border: Floats, corner: Floats) -> None:
        """Take L further by B `border` (k, m) and D `corner` (m, m)."""
        self.leading = leading
        self._across = _solved(leading, border)
        self._corner = triangle(corner - self._across.T @ self._across)

    def solve(self, values: Floats) -> Floats:
        """Return M^-1 values, (k + m,)."""
        first, second = self._whitened(values)
        below = _solved(self._corner, second, transposed=True)
        return np.concatenate([_solved(self.leading, first - self._across @ below, transposed=True), below])

    def quadratics(self, rows: Floats) -> Floats:
        """Return r M^-1 r' of every row r of `rows` (any number, k + m)."""
        first, second = self._whitened(rows.T)
        return np.asarray((first**2).sum(axis=0) + (second**2).sum(axis=0))

    def _whitened(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return the inverse of the whole factor times `columns` (k + m, ...), in its two blocks."""
        count = len(self.leading)
        first = _solved(self.leading, columns[:count])
        return first, _solved(self._corner, columns[count:] - self._across.T @ first)


def triangle(matrix: Floats) -> Floats:
    """Return L of a symmetric positive definite matrix L L'."""
    return np.asarray(np.linalg.cholesky(matrix), np.float64)


def _solved(factor: Floats, columns: Floats, *, transposed: bool = False) -> Floats:
    """Return L^-1 or L'^-1 times `columns` (k, ...)."""
    from scipy.linalg import solve_triangular  # noqa: PLC0415 - what only makes a strategy starts faster

    if not columns.size:
        return columns
    return np.asarray(solve_triangular(factor, columns, trans=int(transposed), lower=True, check_finite=False), np.float64)
