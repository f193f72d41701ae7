"""A search on one page: HTML without script, network or server, for whoever is to see what was found, how, and why.

It follows the reader's light or dark theme. Whatever somebody chose (names, settings, messages) is text in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from nas_service.beside_controls import ControlLine
from nas_service.comparison import compare
from nas_service.export.diagram import draw
from nas_service.export.report_charts import bounds_chart, rewards_chart
from nas_service.export.report_tables import arm_table, facts, heat_styles, scrolled, table
from nas_service.export.svg_paint import BACKGROUND, LINE, MUTED, PANEL, TEXT, Pair, Theme
from nas_service.export.svg_text import quoted
from nas_service.json_text import json_text
from nas_service.search.arm_facts import ArmFacts
from nas_service.search.bandit import Arm
from nas_service.trained import TrainedCandidate
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace

_PARTS = ("space", "dataset", "method", "strategy", "seed", "wave")
_SHADES = "Blue is below, orange above the mean of what lives on the same edge; struck through: abandoned."
_VARIABLES: dict[str, Pair] = {"ground": BACKGROUND, "panel": PANEL, "line": LINE, "text": TEXT, "muted": MUTED}


@dataclass(frozen=True)
class ReportedArchitecture:
    """An architecture of the search, as it is kept."""

    id: str
    rank: int
    score: float
    genotype: Genotype
    cost: Mapping[str, Any]
    attacked_score: float | None = None


@dataclass(frozen=True)
class SearchRecord:
    """What a report tells.

    Attributes:
        id: Of the search.
        name: That it has now.
        state: In which it is.
        error: Why it failed, if it did.
        times: When what happened, as text.
        spec: As it was submitted, with defaults.
        space: That was searched.
        arm_facts: What its strategy says of arms.
        standings: Fidelity and reward of every sample, in order.
        arms: As of the last sample.
        found: Architectures by rank.
        trained: Candidates that succeeded.
        controls: What it gained over random architectures that were trained alike.
    """

    id: str
    name: str
    state: str
    error: str | None
    times: Mapping[str, str]
    spec: Mapping[str, Any]
    space: SearchSpace
    arm_facts: ArmFacts
    standings: Sequence[tuple[float, float]] = ()
    arms: Sequence[Arm] = ()
    found: Sequence[ReportedArchitecture] = ()
    trained: Sequence[TrainedCandidate] = field(default_factory=tuple)
    controls: Sequence[ControlLine] = ()


def write_report(record: SearchRecord) -> str:
    """Return the page."""
    name = record.name or f"Search {record.id}"
    sections = [_summary(record), _samples(record), _found(record), _trained(record), _arms(record), _made(record)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{quoted(name)}</title><style>{_styles()}</style></head>"
        f"<body><main><h1><bdi>{quoted(name)}</bdi></h1>{''.join(sections)}</main></body></html>\n"
    )


def _styles() -> str:
    light, dark = (";".join(f"--{key}:{getattr(pair, theme)}" for key, pair in _VARIABLES.items()) for theme in ("light", "dark"))
    return (
        f":root{{color-scheme:light dark;{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        "body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif}"
        "main{max-width:1000px;margin:0 auto;padding:16px}h1,h2,h3,p,.facts td{overflow-wrap:anywhere}"
        "section{margin:28px 0}.wide{overflow-x:auto}svg{display:block;margin:8px 0}"
        "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
        "td,th{white-space:nowrap}.facts td{white-space:normal}"
        "th,td{border:1px solid var(--line);padding:4px 8px;text-align:left;vertical-align:top}th{background:var(--panel)}"
        ".arms td{text-align:right}.arms thead th{white-space:normal}"
        ".gone,.muted{color:var(--muted)}td.gone{background:var(--ground)}"
        "pre{background:var(--panel);border:1px solid var(--line);padding:8px;overflow-x:auto}"
        "h4{margin:12px 0 0}summary{cursor:pointer;padding:4px 0}" + heat_styles()
    )


def _section(title: str, *content: str) -> str:
    return f"<section><h2>{title}</h2>{''.join(content)}</section>"


def _note(said: str) -> str:
    return f'<p class="muted">{quoted(said)}</p>'


def _component(value: object) -> str:
    if not isinstance(value, Mapping):
        return "-" if value in {None, ""} else str(value)
    settings = value.get("settings") or {}
    told = ", ".join(f"{key}={entry}" for key, entry in settings.items())
    return f"{value.get('name')} ({told})" if told else str(value.get("name"))


def _summary(record: SearchRecord) -> str:
    rows = [("name", record.name or "-"), *((part, _component(record.spec.get(part))) for part in _PARTS)]
    rows += [("state", record.state), *([("error", record.error)] if record.error else []), *record.times.items()]
    rows.append(("samples", f"{len(record.standings):,}"))
    if short := sum(fidelity < 1 for fidelity, _ in record.standings):
        rows.append(("of them short trainings, with scores of their own", f"{short:,}"))
    if record.standings:
        best = max(range(len(record.standings)), key=record.standings.__getitem__)
        rows.append(("best reward", f"{_percent(record.standings[best][1])}, sample {best}"))
    left = sum(arm.abandoned_round is None for arm in record.arms)
    rows.append(("arms left", f"{left} of {sum(arm.is_possible for arm in record.arms)}"))
    return _section("The search", facts(rows))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %".replace("-", "\N{MINUS SIGN}")


def _samples(record: SearchRecord) -> str:
    if not record.standings:
        return _section("Samples", _note("No sample was committed yet."))
    return _section("Samples", scrolled(rewards_chart(record.standings)))


def _found(record: SearchRecord) -> str:
    if not record.found:
        return _section("Architectures", _note("None was found yet."))
    scores = ["score"] if all(entry.attacked_score is None for entry in record.found) else ["score", "under attack"]
    head = ["rank", "id", *scores, "OPs", "1-bit parameters", "32-bit parameters", "packed bytes"]
    rows = [
        (
            str(entry.rank),
            entry.id,
            *(_figure(score) for _, score in zip(scores, (entry.score, entry.attacked_score), strict=False)),
            *(f"{entry.cost[key]:,.0f}" for key in ("ops", "binary_parameters", "float_parameters", "packed_bytes")),
        )
        for entry in record.found
    ]
    pictures = []
    for entry in record.found:
        picture = draw(record.space, entry.genotype, theme=Theme.AUTO, title=f"Architecture {entry.id}, rank {entry.rank}")
        opened = " open" if entry is record.found[0] else ""
        pictures.append(f"<details{opened}><summary>Cells of rank {entry.rank}</summary>{scrolled(picture)}</details>")
    return _section("Architectures", table(head, rows), *pictures)


def _figure(score: float | None) -> str:
    return "-" if score is None else f"{score:.4f}".replace("-", "\N{MINUS SIGN}")


def _trained(record: SearchRecord) -> str:
    if not record.trained:
        return _section("Trained candidates", _note("Nothing was trained of what was found."))
    pairs, _ = compare(record.trained)
    ranks = {entry.id: f"rank {entry.rank}" for entry in record.found}
    ranks |= {pair.architecture: f"control ({pair.control})" for pair in pairs if pair.control is not None}
    head = ["architecture", "method", "seeds", "test accuracy", "spread", "validation accuracy", "packed bytes", "seconds"]
    rows = [
        (
            f"{ranks.get(pair.architecture, 'rank -')}, {pair.architecture}",
            pair.method,
            str(pair.seeds),
            _percent(pair.test_mean),
            _percent(pair.test_spread),
            _percent(pair.validation_mean),
            f"{pair.packed_bytes:,.0f}",
            f"{pair.seconds:,.0f}",
        )
        for pair in pairs
    ]
    said = "Means over seeds; spread: their sample standard deviation. The search never saw the test images."
    return _section("Trained candidates", table(head, rows), _note(said), *_controls(record))


def _controls(record: SearchRecord) -> list[str]:
    """Return what was gained over random architectures, or nothing where none was trained."""
    head = ["method", "random architectures", "how many", "their mean", "spread between them", "best of them", "gain", "p"]
    rows = [
        (
            line.method,
            str(group.control),
            str(group.architectures),
            _percent(group.mean),
            _percent(group.spread),
            _percent(group.best),
            _percent(group.gain) + ("" if group.gain_error is None else f" ± {_percent(group.gain_error)}"),
            "too few to tell" if group.p_value is None else f"{group.p_value:.3g}",
        )
        for line in record.controls
        for group in (line.uniform, line.like_cost)
        if group is not None
    ]
    said = "Gain: mean test accuracy of the best architecture less that of the controls, and its standard error. "
    said += "Of like-cost ones only those within a tenth of its OPs and parameters count."
    return ["<h3>Beside random architectures</h3>", table(head, rows), _note(said)] if rows else []


def _arms(record: SearchRecord) -> str:
    if not record.arms:
        return _section("Why", _note("The arms are not known yet."))
    arms = {arm.key: arm for arm in record.arms if record.space.may_hold(arm.key)}
    content = [_note(f"{record.arm_facts.meaning} {_SHADES}")]
    for cell in record.space.cell_types:
        charts = []
        for edge in record.space.edges:
            here = [arm for key, arm in arms.items() if key[:2] == (cell.name, edge.name)]
            chart = scrolled(bounds_chart(f"Arms of edge {edge.name} of cell {cell.name}", here))
            charts.append(f"<h4>edge {quoted(edge.name)}</h4>{chart}")
        bounds = f"<details><summary>Bounds of cell {quoted(cell.name)}</summary>{''.join(charts)}</details>"
        content.append(f"<h3>Cell {quoted(cell.name)}</h3>{arm_table(record.space, cell, arms)}{bounds}")
    return _section("Why", *content)


def _made(record: SearchRecord) -> str:
    names = ("nas-service", "torch", "ray", "numpy")
    versions = table(["package", "version, where this page was written"], [(name, version(name)) for name in names])
    said = f"Search {record.id}. The same spec and seed give the same search: save what follows as spec.json, then"
    command = "<pre>nas search submit --spec spec.json</pre>"
    spec = f"<details><summary>spec.json</summary><pre>{quoted_lines(json_text(dict(record.spec)))}</pre></details>"
    return _section("How it was made", versions, _note(said), command, spec)


def quoted_lines(text: str) -> str:
    """Return a text of many lines as text in HTML, line breaks kept."""
    return "\n".join(quoted(line) for line in text.split("\n"))
