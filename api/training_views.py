"""What the API gives of trainings as a whole: comparison, fronts, curves, correlation, cost by layer. No FastAPI here."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.markup import Record
from api.tabular import Tabular
from api.views import View
from nas_service.lifecycle import CandidateState, JobState
from nas_service.search.control import Control
from nas_service.terms import FrontAccuracy, FrontCost

_NO_FIGURES = {"runs", "attack", "cost"}  # of a pair
_WHOSE = ("candidate", "architecture", "method", "seed")

Place = Annotated[tuple[str, str], Field(description="Method and architecture.")]


class AttackView(View):
    """How accuracies under attack were measured: only those measured alike are put side by side."""

    eps: float = Field(description="Largest change of a pixel, pixels being in [0, 1].")
    restarts: int = Field(description="Random starts of every attack that has one.")
    images: int = Field(description="Number of test images.")
    attacks: tuple[str, ...] = Field(description="Names of all attacks.")


class RunView(View):
    """One seed of a pair."""

    candidate: str
    training: str
    seed: int
    test_accuracy: float = Field(description="Of the frozen network, in [0, 1].")
    validation_accuracy: float
    attacked: float | None = Field(description="Share of the test images that stand every attack; null if it was not attacked.")


class PairView(View):
    """One method on one architecture, over all seeds."""

    method: str = Field(description="Name, with the settings that were given; over several trainings also with what differs.")
    architecture: str
    search_id: str = Field(description="Of the search that found the architecture.")
    architecture_rank: int = Field(description="Among what that search found, 1 best.")
    architecture_score: float | None = Field(
        description="What the search thought of it, in the unit of its strategy; null of a control."
    )
    control: Control | None = Field(None, description="Which kind of control the architecture is; null of one that was found.")
    seeds: int = Field(description="A seed that several trainings trained alike counts once, the newest.")
    runs: list[RunView] = Field(description="One entry a seed, by seed.")
    test_mean: float
    test_spread: float | None = Field(description="Sample standard deviation over seeds; null for one seed.")
    validation_mean: float
    balanced_mean: float | None = Field(
        description="Mean balanced test accuracy: that of a candidate is the mean over the classes that have test images. Null, "
        "as are the next three, if an earlier version trained one of the candidates."
    )
    balanced_spread: float | None = Field(description="As `test_spread`, of the balanced test accuracy.")
    worst_class: str | None = Field(description="The class with the lowest test accuracy, the mean over seeds.")
    worst_class_mean: float | None = Field(description="Its mean test accuracy.")
    attacked_mean: float | None = Field(
        description="Mean share of the test images that stand every attack; null, as are the next two and `attack`, if a seed "
        "was not attacked, or not as the others."
    )
    attacked_spread: float | None = Field(description="As `test_spread`, of that share.")
    eps: float | None = Field(description="Of `attack`.")
    attack: AttackView | None
    rank: float = Field(description="Among the methods on this architecture by mean test accuracy; equal ones share it.")
    packed_bytes: float
    ops: float = Field(description="FLOPs + BOPs / 64 for one image, the mean over seeds.")
    cost: dict[str, float] = Field(description="Parameters, FLOPs, BOPs and bytes, each the mean over seeds.")
    seconds: float


class MethodView(View):
    """One method over all architectures that were found."""

    method: str
    test_mean: float
    balanced_mean: float | None = Field(description="Mean of its pairs' balanced test accuracies; null if one has none.")
    mean_rank: float
    score_correlation: float | None = Field(
        description="Spearman's rank correlation between the search's score and the trained test accuracy; null under three "
        "architectures, and where several searches found them."
    )


class FrontView(View):
    """The pairs that no other pair beats in accuracy and cost at once, among those that were measured alike."""

    accuracy: FrontAccuracy = Field(description="Mean test accuracy: clean, or of the images that stand every attack.")
    cost: FrontCost
    attack: AttackView | None = Field(description="How the accuracies under attack were measured; null for clean ones.")
    members: list[Place] = Field(description="The cheapest first; equal ones are all there.")
    left_out: list[Place] = Field(description="Pairs without such an accuracy, or with one that was measured in another way.")


class HandMadeView(View):
    """A found architecture beside the hand-made network whose OPs are nearest to its own, trained alike."""

    method: str
    architecture: str = Field(description="The found one.")
    network: str = Field(description="Name of the reference network, with the settings that are not its own.")
    hand_made: str = Field(description="Id of its architecture, in its newest training.")
    training: str = Field(description="Id of that training.")
    seeds: int = Field(description="Of the hand-made one, as the next two, over all its trainings.")
    test_mean: float
    test_spread: float | None = Field(description="Sample standard deviation over seeds; null for one seed.")
    ops_ratio: float = Field(description="OPs of the found one over those of the hand-made: at most 1.5, at least its inverse.")
    bytes_ratio: float = Field(description="As `ops_ratio`, of the bytes of the frozen networks.")
    gain: float = Field(description="Mean test accuracy of the found one less that of the hand-made.")
    gain_error: float | None = Field(description="Standard error of `gain` over seeds; null where either has a single seed.")


class ControlsView(View):
    """The controls of one kind beside the best of what was found; of each the mean over the seeds of the best counts."""

    control: Control
    architectures: int
    left_out: int = Field(description="Controls that have not all seeds of the best: they failed, or are not over.")
    mean: float = Field(description="Mean test accuracy over the architectures.")
    spread: float | None = Field(description="Sample standard deviation between architectures; null for one.")
    best: float = Field(description="Test accuracy of the one that validation images choose.")
    apart: float = Field(description="Largest distance of one from the best in OPs or parameters, as a share of the best's.")
    gain: float = Field(description="Mean test accuracy of the best of what was found, less `mean`.")
    gain_error: float | None = Field(
        description="Standard error of `gain`, over seeds and between architectures; null with fewer than two of either."
    )
    p_value: float | None = Field(
        description="One-sided p of no gain, paired by seed; null with fewer than three seeds or architectures: too few to tell."
    )


class ControlLineView(View):
    """The best that a search found, with one method, beside random architectures that were trained alike."""

    method: str
    search_id: str
    architecture: str = Field(description="The best, by mean validation accuracy over seeds.")
    test_mean: float
    test_spread: float | None = Field(description="Sample standard deviation over seeds; null for one seed.")
    seeds: int
    uniform: ControlsView | None = Field(description="Drawn uniformly; null: none is trained.")
    like_cost: ControlsView | None = Field(
        description="With OPs and parameters within a tenth of the best's; null: none is trained, or none costs as much."
    )
    unlike: int = Field(description="Controls of like cost that are left out: they cost otherwise than the best.")
    trainings_paid: float | None = Field(
        description="Whole trainings that the optimizer steps of the search would have paid for; null where they are not known."
    )
    random_best: float | None = Field(
        description="Expected test accuracy of the best of so many random trainings, rounded down, from the uniform controls; "
        "null where there are fewer controls than that."
    )


class LiveNetworkView(View):
    """A search or training of a reference network that is not over."""

    job: str = Field(description="Its id.")
    kind: Literal["search", "training"] = Field(description="`search`: its training follows.")
    state: JobState
    network: str = Field(description="Name of the reference network, with the settings that are not its own.")
    methods: list[str] = Field(description="Those of what is compared that it will be trained with alike.")


class ComparisonView(Tabular):
    """The finished candidates of one training or more, all on the same data, compared."""

    pairs: list[PairView]
    methods: list[MethodView]
    controls: list[ControlLineView] = Field(
        [], description="One entry a search and method of which controls were trained with what it found (`training.controls`)."
    )
    hand_made: list[HandMadeView] = Field(
        description="One entry a pair of which a network of the literature, of like cost, was trained alike: here or anywhere."
    )
    under_way: list[LiveNetworkView] = Field(
        description="Networks of the literature that are being trained alike; those of like cost will be in `hand_made`."
    )
    networks: list[str] = Field(
        description="Networks of the literature that `POST /v1/trainings/{id}/hand-made` trains beside; none beside such ones."
    )
    pareto: list[FrontView] = Field(
        description="For clean accuracies, and for each way in which pairs were attacked, one front over OPs and one over bytes."
    )

    def records(self) -> list[Record]:
        """Return a pair a row, without its single runs."""
        return [pair.model_dump(mode="json", exclude=_NO_FIGURES) for pair in self.pairs]

    def headings(self) -> list[str]:
        """Return their names."""
        return [name for name in PairView.model_fields if name not in _NO_FIGURES]


class CurveView(View):
    """The epochs of one candidate."""

    candidate: str
    architecture: str
    method: str = Field(description="Label: name, with the settings that were given.")
    seed: int
    state: CandidateState
    epochs_total: int | None = Field(description="That it is trained; early stopping may end it sooner. Null if not known.")
    epochs_done: int = Field(description="That there are figures of.")
    epoch: list[int] = Field(description="The epochs that are told, from 0.")
    columns: dict[str, list[float | None]] = Field(description="By field, one value an epoch of `epoch`.")


class CurvesView(Tabular):
    """The curves of a whole training."""

    fields: list[str]
    candidates: list[CurveView] = Field(description="In the training's order, those without an epoch too.")
    thinned: bool = Field(description="Whether epochs were left out; first, last and extremes of every bucket are there.")

    def records(self) -> list[Record]:
        """Return an epoch of a candidate a row."""
        return [
            {
                **{name: getattr(curve, name) for name in _WHOSE},
                "epoch": epoch,
                **{name: curve.columns[name][place] for name in self.fields},
            }
            for curve in self.candidates
            for place, epoch in enumerate(curve.epoch)
        ]

    def headings(self) -> list[str]:
        """Return their names."""
        return [*_WHOSE, "epoch", *self.fields]


class ScorePointView(View):
    """One method on one architecture: what the search thought of it, and what it reached."""

    architecture: str
    rank: int = Field(description="Among what the search found, 1 best.")
    score: float = Field(description="In the unit of the search's strategy.")
    method: str
    dataset: str = Field(description="That it was trained on; what was trained on other data is kept apart.")
    test_mean: float
    seeds: int


class ScoreCorrelationView(View):
    """How well the search's scores foretold one method on one dataset."""

    method: str
    dataset: str
    rho: float | None = Field(description="Spearman's; null with fewer than three architectures, or where one side is constant.")
    n: int = Field(description="Number of architectures.")


class CorrelationView(View):
    """The search's scores against trained accuracies, over all trainings of its architectures."""

    points: list[ScorePointView]
    methods: list[ScoreCorrelationView]


class LayerCostView(View):
    """A part of a network that counts: a convolution, or what stands around it."""

    cell: int | None = Field(description="Place of the cell in the network, from 0; null for stem, hidden layers and classifier.")
    cell_type: str | None
    edge: str | None = Field(description="`source-target`; null outside of edges.")
    operation: str | None = Field(description="On the edge; null outside of edges.")
    layer: str
    weight_bits: int = Field(description="Of its parameters: 1 or 32.")
    parameters: int
    flops: int = Field(description="Multiply-accumulates with a float operand, for one image.")
    bops: int = Field(description="Multiply-accumulates of two binary operands, for one image.")
    ops: float = Field(description="FLOPs + BOPs / 64.")
    bytes: int = Field(description="In the frozen network.")


class CCostView(View):
    """What an architecture takes in generated C, planned as the generator does and before any training."""

    flash_bytes: int = Field(description="Constants, records and code together.")
    constant_bytes: int = Field(description="Weights, thresholds and factors: a trained network has these or fewer.")
    record_bytes: int = Field(description="The table of stages, where pointers have 4 bytes.")
    code_bytes: int = Field(description="Machine code of a Cortex-M4, `arm-none-eabi-gcc -Os`: an estimate.")
    arena_bytes: int = Field(description="RAM for all maps, without the stack.")
    cortex_m4_instructions: int = Field(description="Of one image, compiled likewise: an estimate. They are no cycles.")


class ArchitectureCostView(View):
    """What an architecture costs, part by part; the sums are its cost."""

    rows: list[LayerCostView] = Field(description="In the order in which an image passes them.")
    totals: dict[str, float]
    method: dict[str, Any] = Field(description="Whose precision it is counted for: the one that binarized the search.")
    c: CCostView | None = Field(None, description="In generated C; null where there is no exact C: `c_refused` says why.")
    c_refused: str | None = Field(None, description="What has no exact form in C; null where all has.")
