"""What the command line says of test images by class."""

from api.console import print_table, say
from nas_service.reports import ClassFigures
from nas_service.wording import listed, percent, printable

_NAMED = 5  # classes; --json has all


def _counted(figures: ClassFigures, place: int) -> str:
    return f"{percent(figures.accuracies[place])} ({figures.correct[place]} of {figures.images[place]})"


def _say(line: str) -> None:
    say(line)


def print_untested(figures: ClassFigures) -> None:
    """Name the classes without test images, if there are any."""
    if figures.missing:
        _say(f"without test images, so that nothing is known of them: {listed([*map(printable, figures.missing)], _NAMED)}")


def print_weak(figures: ClassFigures) -> None:
    """Name the classes below half of the accuracy, and those that were not tested."""
    half = figures.accuracy / 2
    if weak := [place for place in figures.worst if figures.correct[place] / figures.images[place] < half]:
        named = [f"{printable(figures.names[place])} {_counted(figures, place)}" for place in weak]
        _say(f"classes below half of the test accuracy: {listed(named, _NAMED)}")
    print_untested(figures)


def print_worst(figures: ClassFigures) -> None:
    """Print a table of the classes that do worst, if any image was classified wrongly, and those that were not tested."""
    rows = []
    for place in figures.worst[:_NAMED]:
        other = figures.confused_with[place]
        if other is not None:
            confused = f"{printable(figures.names[other])} ({figures.confused[place]})"
            rows.append((printable(figures.names[place]), _counted(figures, place), confused))
    if rows:
        print_table("worst classes", ["class", "accuracy", "most confused with (images)"], rows)
    print_untested(figures)
