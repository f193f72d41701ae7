"""Views as notebooks show them."""

from collections.abc import Callable, Sequence

from pydantic import BaseModel

from api.frames import record_of
from api.job_views import JobRow
from api.job_words import describe
from api.markup import BLUE, GREY, ORANGE, bar, cell, draw_records, facts, picture, table, words
from api.training_views import PairView
from api.views import ArchitectureView, ArmView, CandidateView, EntryView, JobView, SampleView
from nas_service.lifecycle import JobState
from nas_service.reports import EpochReport

_WIDTH_PX = 120
_FAINT = ' style="opacity:.55"'

COLUMNS: dict[type[BaseModel], tuple[str, ...]] = {
    SampleView: (
        *("index", "wave", "reward", "clean_accuracy", "attacked_accuracy", "fidelity", "cost.ops", "cost.packed_bytes"),
        *("seconds", "diverged", "digest"),
    ),
    ArchitectureView: ("rank", "score", "attacked_score", "control", "cost.ops", "cost.packed_bytes", "digest", "id"),
    CandidateView: (
        *("method_label", "seed", "control", "state", "epochs_done", "validation_accuracy", "test_accuracy", "cost.ops"),
        *("cost.packed_bytes", "error", "id"),
    ),
    JobRow: ("kind", "name", "state", "space", "dataset", "strategy", "best", "created_at", "error", "id"),
    JobView: ("kind", "name", "state", "created_at", "finished_at", "error", "id"),
    EpochReport: ("epoch", "phase", "train_loss", "train_accuracy", "validation_accuracy", "flip_ratio", "seconds"),
    PairView: (
        "method",
        "architecture_rank",
        "control",
        "seeds",
        "test_mean",
        "test_spread",
        "attacked_mean",
        "ops",
        "packed_bytes",
    ),
    EntryView: ("name", "summary", "reference"),
}  # of classes and those made from them; others show what is one value


def draw_rows(views: Sequence[BaseModel], *, is_cut: bool = False) -> str:
    """Return views as a table; arms have bars."""
    if not views:
        return "<div>nothing</div>"
    note = f"the first {len(views)}; to_pandas() has all" if is_cut else ""
    arms = [view for view in views if isinstance(view, ArmView)]
    if len(arms) == len(views):
        return _draw_arms(arms, note)
    return draw_records([record_of(view) for view in views], _columns(views[0]), note)


def _columns(view: BaseModel) -> Sequence[str]:
    return next((COLUMNS[kind] for kind in type(view).__mro__ if kind in COLUMNS), ())


def _draw_arms(arms: Sequence[ArmView], note: str) -> str:
    figures = [entry for arm in arms for entry in (arm.lower, arm.mean, arm.upper) if entry is not None]
    place = _scale(figures)
    most = max(arm.pulls for arm in arms)
    rows = [_arm_cells(arm, place, most) for arm in arms]
    span = f"bars from {min(figures):.3g} to {max(figures):.3g}: bounds, and the mean as a dot" if figures else ""
    said = "; ".join(part for part in (span, note) if part)
    return table(("cell", "edge", "operation", "pulls", "mean", "bounds", "abandoned"), rows, said)


def _arm_cells(arm: ArmView, place: Callable[[float], float], most: int) -> list[str]:
    gone = arm.abandoned_round
    name = words(arm.operation)
    return [
        words(arm.cell),
        words(arm.edge),
        name if gone is None else f"<s{_FAINT}>{name}</s>",
        f"{bar(arm.pulls / most if most else 0.0, 40)} {arm.pulls:,}",
        cell("mean", arm.mean) if arm.mean is None else f"{arm.mean:.4g}",
        _interval(arm, place),
        "" if gone is None else f"round {gone}",
    ]


def _scale(figures: Sequence[float]) -> Callable[[float], float]:
    """Return what puts a figure into its place, in pixels."""
    low, high = (min(figures), max(figures)) if figures else (0.0, 1.0)
    wide = (high - low) or 1.0
    return lambda figure: 3 + (_WIDTH_PX - 6) * (figure - low) / wide


def _interval(arm: ArmView, place: Callable[[float], float]) -> str:
    if arm.mean is None:
        return ""
    low, high = (arm.mean if bound is None else bound for bound in (arm.lower, arm.upper))
    said = f"{low:.4g} to {high:.4g}"
    colour = BLUE if arm.abandoned_round is None else GREY
    return (
        f'<svg width="{_WIDTH_PX}" height="12" role="img" aria-label="{said}">'
        f'<rect x="{place(low):.1f}" y="4" width="{max(place(high) - place(low), 1):.1f}" height="4" fill="{colour}" '
        f'fill-opacity=".45"/><circle cx="{place(arm.mean):.1f}" cy="6" r="3" fill="{colour}"/></svg>'
    )


def draw_job(job: JobView) -> str:
    """Return a job as a card: what it is, how far, and why it failed."""
    done, total, said = describe(job)
    share = 1.0 if job.state == JobState.SUCCEEDED else done / total if total else 0.0
    colour = ORANGE if job.state in {JobState.FAILED, JobState.CANCELLED, JobState.LOST} else BLUE
    name = f" {words(job.name)}" if job.name else ""
    error = f"<div>{words(job.error)}</div>" if job.error else ""
    return (
        f"<div><b>{words(job.kind)}</b>{name} <code>{words(job.id)}</code> {words(job.state)}</div>"
        f"<div>{bar(share, 240, colour)} {words(said)}</div>{error}"
    )


def draw_view(view: BaseModel, svg: str | None = None) -> str:
    """Return one view: its figures, below its picture if there is one."""
    record = record_of(view)
    told = {name: value for name, value in record.items() if not isinstance(value, dict | list) and "_classes" not in name}
    shown = "" if svg is None else f"<div>{picture(svg)}</div>"
    return shown + facts(told)
