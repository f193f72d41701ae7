"""The benchmark of scale: its fit, and all of it on a small scale."""

import pytest

from benchmarks.scale_drivers import percentiles
from benchmarks.scale_fill import Made
from benchmarks.scale_simulation import Load, simulate
from benchmarks.scale_slopes import Measured, Slope, Took, World, decades, fitted_exponent, measure, slopes_of
from nas_service.settings import Settings
from nas_service.storage.session import Database


def test_the_exponent_of_a_power_is_found_and_fixed_costs_hide_it_at_small_sizes_only() -> None:
    sizes = (10, 100, 1000, 10_000)
    assert fitted_exponent(sizes, [0.003 * size**0.7 for size in sizes]) == pytest.approx(0.7)
    slope = Slope("made up", "things", sizes, lambda *_: None, lambda _: Took(0, 0))
    seconds = tuple(0.1 + 0.001 * size for size in sizes)
    found = Measured(slope, sizes, seconds, seconds)
    assert found.exponent < 0.7
    assert 0.9 < found.last_exponent < 1
    assert fitted_exponent([5], [1.0]) == 0


def test_sizes_are_tenths_of_the_largest() -> None:
    assert (decades(1000), decades(10)) == ([1, 10, 100, 1000], [1, 10])


def test_every_slope_is_measured_at_every_size(database_url: str, settings: Settings) -> None:
    database = Database(database_url)
    world = World(settings.model_copy(update={"database_url": database_url}), database, Made.of_catalogue())
    wanted = slopes_of(jobs_most=10, samples_most=100, held_most=2)
    found = list(measure(world, wanted, times=1))
    database.close()
    assert {entry.slope.name for entry in found} == {slope.name for slope in wanted}
    assert all(len(entry.medians) == len(entry.slope.sizes) and min(entry.medians) > 0 for entry in found)


@pytest.mark.slow
def test_acted_drivers_start_look_commit_and_succeed(settings: Settings) -> None:
    found = simulate(settings, Load(held=2, seconds=4.0, wave_s=0.5, processes=1))
    assert found.deeds.failed == {}
    assert set(found.deeds.taken) >= {"start", "look", "wave", "succeed"}
    assert found.waits_s
    assert percentiles(found.steps_s)[0] < 2
