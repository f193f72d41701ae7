"""Charts of a report, as SVG for the reader's own theme: rewards over samples, and the bounds of an edge's arms."""

from collections.abc import Callable, Sequence

from nas_service.export.palette import look_of
from nas_service.export.report_tables import signed
from nas_service.export.svg_paint import LINE, MUTED, TEXT, Paint, Pair, Theme
from nas_service.export.svg_text import FONT, cut, quoted, text
from nas_service.search.bandit import Arm
from nas_service.thinning import kept_places

_POINT = Pair("#0072b2", "#56b4e9")  # Okabe's and Ito's blues
_BEST = Pair("#b34d00", "#e69f00")  # and vermilion and orange
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 900, 300, 64, 16, 16, 44  # pixels
_POINTS = 1200  # of a chart, at most
_NAME, _ROW, _TRACK = 190, 20, 420  # pixels of a chart of bounds


def _svg(paint: Paint, size: tuple[float, float], title: str, body: str) -> str:
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="{FONT}"><title>{quoted(title)}</title>{paint.style()}{body}</svg>'
    )


def rewards_chart(standings: Sequence[tuple[float, float]]) -> str:
    """Return rewards (in [0, 1]) over samples, from (fidelity, reward), and the best so far of the longest trainings."""
    rewards = [reward for _, reward in standings]
    paint = Paint(Theme.AUTO)
    low, high = min(rewards), max(rewards)
    margin = (high - low) * 0.05 or 0.01
    low, high = low - margin, high + margin
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(index: float, reward: float) -> tuple[float, float]:
        x = _LEFT + across * (index / max(len(rewards) - 1, 1))
        return round(x, 1), round(_TOP + down * (high - reward) / (high - low), 1)

    parts = []
    for step in range(5):
        value = low + (high - low) * step / 4
        y = place(0, value)[1]
        parts.append(f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" {paint.attributes(stroke=LINE)}/>')
        end = f'text-anchor="end" {paint.attributes(fill=MUTED)}'
        parts.append(text(f"{100 * value:.1f} %".replace("-", "\N{MINUS SIGN}"), _LEFT - 6, y + 4, size=11, attributes=end))
    shown = kept_places([rewards], _POINTS)
    dots = "".join("M{:g} {:g}h0".format(*place(index, rewards[index])) for index in shown)
    parts.append(f'<path d="{dots}" fill="none" stroke-width="5" stroke-linecap="round" {paint.attributes(stroke=_POINT)}/>')
    parts.append(f'<path d="{_best_line(standings, place)}" fill="none" stroke-width="2" {paint.attributes(stroke=_BEST)}/>')
    muted = paint.attributes(fill=MUTED)
    parts.append(text("sample 0", _LEFT, _HEIGHT - 22, size=11, attributes=muted))
    last = f'text-anchor="end" {muted}'
    parts.append(text(f"sample {len(rewards) - 1}", _WIDTH - _RIGHT, _HEIGHT - 22, size=11, attributes=last))
    said = "dots: reward of a sample; line: the best so far"
    said += f" ({len(shown)} of {len(rewards)} samples drawn, extremes kept)" if len(shown) < len(rewards) else ""
    parts.append(text(said, _LEFT, _HEIGHT - 6, size=11, attributes=muted))
    return _svg(paint, (_WIDTH, _HEIGHT), f"Rewards of {len(rewards)} samples", "".join(parts))


def _best_line(standings: Sequence[tuple[float, float]], place: Callable[[float, float], tuple[float, float]]) -> str:
    best, steps = (0.0, float("-inf")), list[str]()
    for index, standing in enumerate(standings):
        if standing > best:
            best = standing
            x, y = place(index, standing[1])
            steps.append(f"M{x:g} {y:g}" if not steps else f"H{x:g}V{y:g}")
    return "".join([*steps, f"H{_WIDTH - _RIGHT}"])


def bounds_chart(title: str, arms: Sequence[Arm]) -> str:
    """Return a row an arm: its mean as a dot, its bounds as a line, and its figures; an abandoned one is grey and says when."""
    paint = Paint(Theme.AUTO)
    known = [value for arm in arms for value in (arm.mean, arm.lower, arm.upper) if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    span = (high - low) or 1.0
    figures = 210
    parts = []
    for row, arm in enumerate(arms):
        y = 12 + row * _ROW
        gone = arm.abandoned_round is not None
        colour = MUTED if gone else look_of(arm.key.operation).colour
        name = cut(arm.key.operation, 11, _NAME - 10)
        parts.append(text(name, 0, y + 4, size=11, attributes=paint.attributes(fill=colour)))
        if arm.mean is not None:
            ends = [arm.mean if value is None else value for value in (arm.lower, arm.mean, arm.upper)]
            left, middle, right = (round(_NAME + 6 + (_TRACK - 12) * (value - low) / span, 1) for value in ends)
            parts.append(f'<path d="M{left:g} {y}H{right:g}" stroke-width="2" {paint.attributes(stroke=colour)}/>')
            parts.append(f'<circle cx="{middle:g}" cy="{y}" r="4" {paint.attributes(fill=colour)}/>')
        told = f"{'-' if arm.mean is None else signed(arm.mean)}, {arm.pulls} pulls"
        told += f", gone in round {arm.abandoned_round}" if gone else ""
        parts.append(text(told, _NAME + _TRACK + 10, y + 4, size=11, attributes=paint.attributes(fill=MUTED if gone else TEXT)))
    size = (_NAME + _TRACK + 10 + figures, 4 + len(arms) * _ROW)
    return _svg(paint, size, title, "".join(parts))
