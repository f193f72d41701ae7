"""Genotypes as rows of small integers, one an edge, for models of a history. numpy, no torch."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nas_service.search.limits import Arms, Limits
from nas_service.search.liveness import live_genotypes, possible_arms, region_of
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import ZEROISE, SearchSpace

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float32]  # small whole numbers, which single precision holds exactly
TRIED = 16  # changes that break a limit on whole architectures before a climb gives up


class Encoding:
    """The codes of a space: the number of an operation among all operations of the space, at every place.

    Attributes:
        space: What is encoded.
        region: What is searched of it.
        operations: Name of every operation, in order of first appearance.
        edges: E, number of places: edges times cell types.
        possible_arms: At every place, the arms that a genotype of the region can hold.
        possible: Whether one can hold an operation at a place, (E, operations).
        spread: N, sum of the variances of the operations' counts in uniformly drawn architectures.
    """

    def __init__(self, space: SearchSpace, limits: Limits | None = None) -> None:
        """Number the operations."""
        self.space, self.region = space, region_of(space, limits)
        self.possible_arms: Arms = possible_arms(space, limits)
        self.operations = tuple(dict.fromkeys(key.operation for key in space.arms()))
        self._numbers = {operation: number for number, operation in enumerate(self.operations)}
        self.edges = len(self.possible_arms)
        self.possible = self.flags(self.possible_arms)
        chance = self.possible / self.possible.sum(axis=1, keepdims=True)
        self._expected = chance.sum(axis=0)
        self.spread = float((chance * (1 - chance)).sum()) or 1.0

    def flags(self, arms: Arms) -> Flags:
        """Return which operations `arms` holds at every place, (E, operations)."""
        flags = np.zeros((len(arms), len(self.operations)), np.bool_)
        for place, keys in enumerate(arms):
            flags[place, [self._numbers[key.operation] for key in keys]] = True
        return flags

    def arms(self, flags: Flags) -> Arms:
        """Return the arms that are flagged at every place, in the space's order."""
        numbers = self._numbers
        return [
            [key for key in keys if allowed[numbers[key.operation]]]
            for keys, allowed in zip(self.possible_arms, flags, strict=True)
        ]

    def codes(self, genotypes: Iterable[Genotype]) -> Codes:
        """Return one row a genotype, (rows, E)."""
        numbers = self._numbers
        rows = [[numbers[operation] for _, _, operation in genotype.choices] for genotype in genotypes]
        return np.array(rows, np.int64).reshape(len(rows), self.edges)

    def genotype(self, row: Sequence[int] | Codes) -> Genotype:
        """Return the genotype of a row."""
        return Genotype(
            self.space.name,
            tuple(Choice(cell, edge, self.operations[code]) for (cell, edge), code in zip(self._places, row, strict=True)),
        )

    def one_hot(self, codes: Codes) -> Floats:
        """Return 1 where an architecture holds an arm, (rows, E * operations)."""
        hot = codes[:, :, None] == np.arange(len(self.operations))
        return np.asarray(hot.reshape(len(codes), self.edges * len(self.operations)), np.float64)

    def agreement(self, rows: Codes, columns: Codes) -> Numbers:
        """Return on how many edges architectures agree, (rows, columns); worked out in single precision, in half the time."""
        first = self.one_hot(rows).astype(np.float32)
        second = first if rows is columns else self.one_hot(columns).astype(np.float32)
        return np.asarray(first @ second.T)

    def counts(self, codes: Codes) -> Floats:
        """Return c~ / sqrt(N): centred counts of the operations, (rows, operations)."""
        totals = (codes[:, :, None] == np.arange(len(self.operations))).sum(axis=1)
        return np.asarray((totals - self._expected) / np.sqrt(self.spread), np.float64)

    def within(self, codes: Codes, flags: Flags) -> Flags:
        """Return which architectures hold flagged arms only, (rows,)."""
        return np.asarray(flags[np.arange(self.edges), codes].all(axis=1))

    def keeps_inside(self, row: Codes) -> Flags:
        """Return which single changes of an architecture of the region leave it there, (E, operations).

        The last edge that carries something into a node cannot be cut. Limits on whole architectures are not looked at
        (`fits`): that would take milliseconds a change.
        """
        allowed = self.possible.copy()
        if self.region.limits is not None:
            held = self._costs[:, np.arange(self.edges), row]
            spare = np.array(self.region.limits.room) - held.sum(axis=1)
            allowed &= (self._costs - held[:, :, None] <= spare[:, None, None]).all(axis=0)
        if self._zeroise is not None:
            for node in self.region.nodes:
                carriers = [place for place in node if row[place] != self._zeroise]
                if len(carriers) == 1:
                    allowed[carriers[0], self._zeroise] = False
        return allowed

    def fits(self, row: Codes) -> bool:
        """Return whether an architecture keeps the limits on whole architectures, if it does those on sums."""
        limits = self.region.limits
        return limits is None or limits.whole is None or limits.fits(self.genotype(row).choices)

    def best_change(self, row: Codes, worths: Floats, above: float) -> tuple[int, int] | None:
        """Return the edge and the operation of the change that is worth most, more than `above`.

        One that leaves the region by a limit on whole architectures gives way to the next; after a few of these, as if there were
        none, it is None.

        Args:
            row: An architecture of the region, (E,).
            worths: Of its changes, -inf where they are not allowed, (E, operations).
            above: What they have to be worth more than.
        """
        few = 1 if self.region.limits is None or self.region.limits.whole is None else TRIED
        tops = [int(worths.argmax())] if few == 1 else np.argsort(-worths, axis=None, kind="stable")[:few].tolist()
        for top in tops:
            edge, operation = divmod(top, worths.shape[1])
            if not worths[edge, operation] > above:
                return None
            changed = row.copy()
            changed[edge] = operation
            if self.fits(changed):
                return edge, operation
        return None

    @cached_property
    def all_live(self) -> Codes:
        """Every architecture of the region; for small spaces."""
        return self.codes(live_genotypes(self.space, self.region.limits))

    def figures(self, of_arms: Mapping[Choice, tuple[float, ...]], count: int) -> Floats:
        """Return `count` figures of every arm as a table, (count, E, operations); 0 for arms that no genotype holds."""
        table = np.zeros((count, *self.possible.shape))
        for place, keys in enumerate(self.possible_arms):
            for key in keys if count else ():
                table[:, place, self._numbers[key.operation]] = of_arms[key]
        return table

    @cached_property
    def _costs(self) -> Floats:
        """What every arm costs, by limit, (limits, E, operations)."""
        limits = self.region.limits
        return self.figures({}, 0) if limits is None else self.figures(limits.costs, len(limits.room))

    @cached_property
    def apart(self) -> Floats:
        """1 for every pair of arms of different edges, once: above the diagonal, (E * operations, E * operations)."""
        width = len(self.operations)
        return np.asarray(np.kron(np.triu(np.ones((self.edges, self.edges)), 1), np.ones((width, width))))

    @cached_property
    def _places(self) -> tuple[tuple[str, str], ...]:
        return tuple((cell.name, edge.name) for cell in self.space.cell_types for edge in self.space.edges)

    @property
    def _zeroise(self) -> int | None:
        return self._numbers.get(ZEROISE)
