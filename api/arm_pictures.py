"""Making the views of arms from arms. No FastAPI and no SQL here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from api.search_views import (
    AbandonedArmView,
    ArmFactsView,
    ArmHistoryView,
    ArmTableView,
    CellFacts,
    EdgeFacts,
    OperationHistory,
    RoundView,
)
from api.views import ArmView
from nas_service.search.bandit import Arm
from nas_service.search.rounds import Snapshot, abandoned_in, leading, total_rounds
from nas_service.search.strategy import Strategy

Floats = npt.NDArray[np.float64]


def arm_view(arm: Arm) -> ArmView:
    """Return one arm as it is listed."""
    return ArmView(
        cell=arm.key.cell,
        edge=arm.key.edge,
        operation=arm.key.operation,
        pulls=arm.pulls,
        mean=arm.mean,
        lower=arm.lower,
        upper=arm.upper,
        abandoned_round=arm.abandoned_round,
        best_probability=arm.best_probability,
    )


def arm_table(strategy: Strategy, arms: Sequence[Arm], at: int, samples: int) -> ArmTableView:
    """Return the arms after `at` of `samples` samples as columns."""
    space = strategy.space
    operations = list(dict.fromkeys(operation for edge in space.edges for operation in edge.operations))
    probabilities = [arm.best_probability for arm in arms]
    return ArmTableView(
        at=at,
        samples=samples,
        round=len(strategy.round_ends(at)),
        total_rounds=total_rounds(strategy),
        round_ends=list(strategy.round_ends(samples)),
        facts=ArmFactsView.model_validate(strategy.arm_facts),
        cells=[
            CellFacts(name=cell.name, role=cell.role.value, without=[name for name in operations if not cell.allows(name)])
            for cell in space.cell_types
        ],
        edges=[EdgeFacts.model_validate(edge) for edge in space.edges],
        inputs=space.inputs,
        operations=operations,
        pulls=[arm.pulls for arm in arms],
        mean=[arm.mean for arm in arms],
        lower=[arm.lower for arm in arms],
        upper=[arm.upper for arm in arms],
        abandoned_round=[arm.abandoned_round for arm in arms],
        best_probability=probabilities if any(entry is not None for entry in probabilities) else None,
        leading=list(leading(arms)),
    )


def round_view(snapshot: Snapshot, number: int) -> RoundView:
    """Return what the end of a round was like."""
    abandoned = [
        AbandonedArmView(
            position=position,
            cell=arm.key.cell,
            edge=arm.key.edge,
            operation=arm.key.operation,
            pulls=arm.pulls,
            mean=arm.mean,
            lower=arm.lower,
            upper=arm.upper,
        )
        for position in abandoned_in(snapshot.arms, number)
        for arm in (snapshot.arms[position],)
    ]
    return RoundView(round=number, samples=snapshot.samples, abandoned=abandoned, leader=list(leading(snapshot.arms)))


@dataclass(frozen=True)
class ArmHistory:
    """All arms after each of some numbers of samples, (points, arms); NaN where there is no figure.

    Attributes:
        at: The numbers of samples.
        pulls: How often each was sampled.
        figures: Mean, lower and upper bound.
        last: The arms at the last of them.
    """

    at: tuple[int, ...]
    pulls: npt.NDArray[np.int64]
    figures: tuple[Floats, Floats, Floats]
    last: tuple[Arm, ...]

    @classmethod
    def of(cls, at: Sequence[int], tables: Iterable[Sequence[Arm]]) -> "ArmHistory":
        """Put tables, one or more, on top of each other."""
        pulls: list[npt.NDArray[np.int64]] = []
        rows: list[Floats] = []
        last: tuple[Arm, ...] = ()
        for table in tables:  # one at a time: as objects they take ten times the room
            pulls.append(np.array([arm.pulls for arm in table], np.int64))
            rows.append(np.array([(arm.mean, arm.lower, arm.upper) for arm in table], np.float64))
            last = tuple(table)
        mean, lower, upper = np.moveaxis(np.stack(rows), 2, 0)
        return cls(tuple(at), np.stack(pulls), (mean, lower, upper), last)

    def view(self, positions: Sequence[int]) -> ArmHistoryView:
        """Return some of the arms."""
        return ArmHistoryView(at=list(self.at), operations=[self._operation(position) for position in positions])

    def _operation(self, position: int) -> OperationHistory:
        mean, lower, upper = ([_figure(value) for value in figures[:, position].tolist()] for figures in self.figures)
        arm = self.last[position]
        return OperationHistory(
            operation=arm.key.operation,
            position=position,
            pulls=self.pulls[:, position].tolist(),
            mean=mean,
            lower=lower,
            upper=upper,
            abandoned_round=arm.abandoned_round,
        )


def _figure(value: float) -> float | None:
    return None if np.isnan(value) else value
