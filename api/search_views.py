"""What the API gives of a search for pictures: arms as columns, their history, rounds, series, the leader. No FastAPI here."""

from typing import Any

from pydantic import Field

from api.markup import Record
from api.tabular import Tabular
from api.views import View
from nas_service.search.arm_facts import ArmBounds, ArmUnit

Figure = float | None


class ArmFactsView(View):
    """What the figures of a search's arms mean."""

    unit: ArmUnit
    centre: float | None = Field(description="Mean of an arm that is like all others; null where the unit has none.")
    bounds: ArmBounds = Field(description="What `lower` and `upper` are.")
    higher_is_better: bool
    meaning: str


class CellFacts(View):
    """A kind of cell."""

    name: str
    role: str
    without: list[str] = Field(description="Operations of its edges that it never holds: skip where the cell is required.")


class EdgeFacts(View):
    """An edge that every cell has."""

    name: str
    source: int
    target: int
    operations: list[str]


class ArmTableView(View):
    """Every arm after some number of samples. Columns run over positions: for cell, for edge, for operation of the edge."""

    at: int = Field(description="Samples that the table tells of.")
    samples: int = Field(description="Samples that are committed.")
    round: int = Field(description="Rounds that were over after `at` samples.")
    total_rounds: int | None = Field(description="Of the whole search; null where the strategy has no rounds.")
    round_ends: list[int] = Field(description="After how many samples each round ended that is over by now.")
    facts: ArmFactsView
    cells: list[CellFacts]
    edges: list[EdgeFacts]
    inputs: int = Field(description="Of a cell.")
    operations: list[str] = Field(description="All of the space, in order of first appearance.")
    pulls: list[int]
    mean: list[Figure]
    lower: list[Figure]
    upper: list[Figure]
    abandoned_round: list[int | None]
    best_probability: list[Figure] | None = Field(description="Null where no arm has one.")
    leading: list[int | None] = Field(
        description="For every cell and edge the position of its live arm with the largest mean; null before the first."
    )


class PriorView(View):
    """What a search takes of another one."""

    search: str = Field(description="Id of the other search.")
    samples: int = Field(description="Its first so many.")
    told: int = Field(description="Of these, what is told: samples of one fidelity.")
    fidelity: float = Field(description="The highest that it had enough samples of; 1: whole trainings, or shared weights.")


class BeliefView(View):
    """How far a model believes what it knows of architectures beside their arms."""

    model: str = Field(description="Of which samples it is told.")
    covariate: str = Field(
        description="size: the logarithm of the number of parameters; screening: what short trainings say; prior search."
    )
    expected: float = Field(description="The slope before there were samples; its standard deviation was 1.")
    slope: float = Field(
        description="Rank scores that a standard deviation of it is worth; 0: it is not believed, negative: the opposite is."
    )
    deviation: float = Field(description="Standard deviation of the slope.")


class BeliefsView(View):
    """What a strategy's models believe after some number of samples."""

    at: int = Field(description="Samples that it is told of.")
    prior: PriorView | None = Field(description="Null where the search begins from no other.")
    beliefs: list[BeliefView] = Field(description="Empty where the strategy knows nothing beside arms.")


class OperationHistory(View):
    """One arm over time."""

    operation: str
    position: int
    pulls: list[int]
    mean: list[Figure]
    lower: list[Figure]
    upper: list[Figure]
    abandoned_round: int | None = Field(description="As of the last of `at`.")


class ArmHistoryView(View):
    """The arms of one edge after each of some numbers of samples."""

    at: list[int]
    operations: list[OperationHistory]


class AbandonedArmView(View):
    """An arm as it was when it was dropped."""

    position: int
    cell: str
    edge: str
    operation: str
    pulls: int
    mean: Figure
    lower: Figure
    upper: Figure


class RoundView(View):
    """A round that is over."""

    round: int = Field(description="From 1.")
    samples: int = Field(description="Committed when it ended.")
    abandoned: list[AbandonedArmView]
    leader: list[int | None] = Field(description="As `leading` in the arm table.")


class RoundsView(Tabular):
    """The rounds of a search that are over."""

    samples: int = Field(description="Committed.")
    rounds: list[RoundView]

    def records(self) -> list[Record]:
        """Return an arm that was dropped a row, with the round at whose end it was."""
        return [
            {"round": entry.round, "samples": entry.samples, **arm.model_dump(exclude={"position"})}
            for entry in self.rounds
            for arm in entry.abandoned
        ]

    def headings(self) -> list[str]:
        """Return their names."""
        return ["round", "samples", *(name for name in AbandonedArmView.model_fields if name != "position")]


class SeriesView(Tabular):
    """Samples as columns of equal length."""

    fields: list[str]
    columns: dict[str, list[Any]]
    points: int = Field(description="Samples in the columns.")
    points_total: int = Field(description="Samples that there are.")
    thinned: bool = Field(description="Whether some were left out: never the first, the last, a new best or a lot's extremes.")

    def records(self) -> list[Record]:
        """Return a sample a row."""
        return [dict(zip(self.fields, row, strict=True)) for row in zip(*map(self.columns.__getitem__, self.fields), strict=True)]

    def headings(self) -> list[str]:
        """Return their names."""
        return self.fields


class LeaderView(View):
    """The genotype that the strategy would give first."""

    at: int = Field(description="Samples that it is chosen after.")
    genotype: dict[str, Any]
    digest: str
    score: float
    score_unit: ArmUnit
    cost: dict[str, int | float] | None = Field(description="Null where neither a sample nor a discovered architecture is it.")
    choices: list[int] = Field(description="Positions of its arms.")
