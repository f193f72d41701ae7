"""A robust search at the paper's scale, by `robust_search.py`: timed to its end, or as far as the time goes and extrapolated."""

import statistics
import time

from benchmarks import robust_search
from benchmarks.gpu_report.images import images_said, open_images
from benchmarks.gpu_report.parts import Order, Row, Tell, Value

PAPER_HOURS = 1.94  # on one Titan V, by the paper's own account
ROW = "search"
_PAPER = ("--space", "abandit", "--batch-size", "512", "--eps", str(8 / 255), "--plain-samples", "0")
_SMALL = ("--evaluation", '{"max_steps": 2, "validation_images": 20}', "--samples", "3")
_SMOKE = ("--space", "tiny", "--batch-size", "8", "--eps", str(8 / 255), "--plain-samples", "0", *_SMALL)


def planned(order: Order) -> list[str]:
    """Return the one row."""
    del order
    return [ROW]


def whole_search_s(sample_s: list[float], so_far_s: float, total: int) -> float:
    """Return the seconds of a search of `total` samples: those so far, and a mean sample for each that is missing.

    Args:
        sample_s: Of the samples that are done; the first, which sets up, is left out of the mean where there are others.
        so_far_s: Of the search with everything that it does beside samples.
        total: Samples of the whole.
    """
    later = sample_s[1:] or sample_s
    return so_far_s + (total - len(sample_s)) * statistics.fmean(later)


def run(order: Order, tell: Tell) -> None:
    """Search, telling after every sample how long the whole takes."""
    given = robust_search.parsed(_SMOKE if order.smoke else _PAPER)
    dataset = open_images(order).without_test()

    def told(figures: robust_search.Figures) -> None:
        so_far_s, total = time.perf_counter() - started, search.strategy.total
        tell(Row(ROW, _figures(figures, so_far_s, total) | {"images": images_said(order)}))

    search = robust_search.Search(given, dataset, order.place, told)
    started = time.perf_counter()
    search.run()


def _figures(figures: robust_search.Figures, so_far_s: float, total: int) -> dict[str, Value]:
    done = len(figures.fast_s)
    whole_s = whole_search_s(figures.fast_s, so_far_s, total)
    return {
        "samples": done,
        "of": total,
        "minutes so far": so_far_s / 60,
        "first sample, s": figures.fast_s[0],
        "median sample, s": statistics.median(figures.fast_s),
        "images of a sample": figures.images,
        "images/s, everything counted": figures.images * done / so_far_s,
        "whole search, minutes": whole_s / 60,
        "which is": "measured" if done == total else "extrapolated",
        "the paper's, hours": PAPER_HOURS,
        "times the paper's speed": 3600 * PAPER_HOURS / whole_s,
    }
