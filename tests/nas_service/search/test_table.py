"""Architecture tables: what is written is read, and what is wrong is named."""

import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_service.search.liveness import live_genotypes
from nas_service.search.loop import run_search
from nas_service.search.strategy import STRATEGIES
from nas_service.search.table import METADATA_KEY, ArchitectureTable, TableEvaluator, gaussian
from search_spaces.errors import InvalidFieldError
from search_spaces.space import SPACES, ZEROISE, connect_all

TINY = SPACES.get("tiny")


def _table(rows: int | None = None) -> ArchitectureTable:
    genotypes = tuple(live_genotypes(TINY))[:rows]
    accuracies = np.random.RandomState(0).random_sample((len(genotypes), 4))
    scores = accuracies[:, 0].copy()
    scores[0] = np.nan
    integers = np.arange(len(genotypes))
    return ArchitectureTable(
        genotypes,
        accuracies[:, :2],
        accuracies[:, 2:],
        scores,
        {"ops": integers, "packed_bytes": 2 * integers, "parameters": 3 * integers},
        {"space": "tiny", "dataset": "made up", "seeds": [0, 1]},
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = _table()
    table.write(tmp_path / "t.parquet")
    read = ArchitectureTable.read(tmp_path / "t.parquet")
    assert read.genotypes == table.genotypes
    assert read.conditions == table.conditions
    for name in ("validation", "test", "supernet_score"):
        np.testing.assert_array_equal(getattr(read, name), getattr(table, name))
    for name in ("ops", "packed_bytes", "parameters"):
        np.testing.assert_array_equal(read.costs[name], table.costs[name])


def _rewritten(folder: Path, change: Callable[[pa.Table], pa.Table]) -> Path:
    _table().write(folder / "t.parquet")
    table = pq.read_table(folder / "t.parquet")
    pq.write_table(change(table), folder / "changed.parquet")
    return folder / "changed.parquet"


def _with(name: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values + table[name].to_pylist()[1:]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["test_1"]), r"table\.test_1.*missing: test_1"),
        (lambda table: table.drop_columns(["ops", "digest"]), r"table\.digest.*missing: digest, ops"),
        (lambda table: table.append_column("colour", pa.array([1] * len(table))), r"table\.colour.*only the columns"),
        (lambda table: table.replace_schema_metadata({}), r"table\.metadata"),
        (lambda table: table.replace_schema_metadata({METADATA_KEY: json.dumps({"dataset": "x"})}), r"table\.metadata.*space"),
        (lambda table: table.replace_schema_metadata({METADATA_KEY: '{"space": "other"}'}), r"table\.genotype.*'tiny'.*other"),
        (_with("digest", ["0" * 64]), r"table\.digest"),
        (_with("validation_0", [1.5]), r"table\.validation: 1\.5"),
        (_with("test_1", [float("nan")]), r"table\.test: nan"),
        (_with("ops", [None]), r"table\.ops"),
        (lambda table: pa.concat_tables([table, table.slice(3, 1)]), r"table\.genotype.*every genotype once"),
    ],
)
def test_a_wrong_file_is_refused_by_column(tmp_path: Path, change: Callable[[pa.Table], pa.Table], message: str) -> None:
    with pytest.raises(InvalidFieldError, match=message):
        ArchitectureTable.read(_rewritten(tmp_path, change))


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("no")
    for path in (tmp_path / "t.parquet", tmp_path / "none.parquet"):
        with pytest.raises(InvalidFieldError, match="parquet file"):
            ArchitectureTable.read(path)


def test_missing_genotypes_are_counted_and_the_first_is_named() -> None:
    first = tuple(live_genotypes(TINY))[700]
    with pytest.raises(InvalidFieldError, match="29 of 729 missing") as caught:
        TableEvaluator(_table(rows=700), TINY)
    assert first.to_json() in str(caught.value)


def test_a_table_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="a table of abandit-general"):
        TableEvaluator(_table(), SPACES.get("abandit-general"))


def test_a_table_with_genotypes_that_the_space_does_not_have_is_refused() -> None:
    smaller = replace(TINY, edges=connect_all(nodes=2, operations=("skip", "max-pool-3x3")))
    with pytest.raises(InvalidFieldError, match="live genotypes of tiny only"):
        TableEvaluator(_table(), smaller)


def test_only_live_genotypes_are_wanted() -> None:
    """Three operations with zeroise: edge 0-1 has two, the pair into node 2 has 9 - 1; two cell types."""
    space = replace(TINY, edges=connect_all(nodes=2, operations=("skip", "max-pool-3x3", ZEROISE)))
    genotypes = list(live_genotypes(space))
    assert len(genotypes) == (2 * 8) ** 2
    assert all(space.dead_node(genotype.choices) is None for genotype in genotypes)


def test_the_evaluator_answers_with_the_seed_it_was_given() -> None:
    table = _table()
    for seed in (0, 1):
        answers = TableEvaluator(table, TINY, training_seed=seed).evaluate(5, table.genotypes[:3])
        assert [answer.reward for answer in answers] == table.validation[:3, seed].tolist()


def test_noise_depends_on_seed_and_index_alone() -> None:
    table = _table()
    noisy = TableEvaluator(table, TINY, noise=0.1, seed=3)
    whole = [answer.reward for answer in noisy.evaluate(0, table.genotypes[:6])]
    assert [answer.reward for answer in noisy.evaluate(4, table.genotypes[4:6])] == whole[4:]
    expected = [table.validation[index, 0] + 0.1 * gaussian(3, index) for index in range(6)]
    assert whole == pytest.approx(expected, abs=1e-15)


def test_the_noise_is_standard_normal() -> None:
    """4,000 draws: mean within 4 / sqrt(n), standard deviation within 4 / sqrt(2 n)."""
    drawn = [gaussian(0, index) for index in range(4000)]
    assert abs(statistics.fmean(drawn)) < 4 / 4000**0.5
    assert abs(statistics.stdev(drawn) - 1) < 4 / 8000**0.5


@pytest.mark.parametrize(("settings", "field"), [({"training_seed": 2}, "training_seed"), ({"noise": -0.1}, "noise")])
def test_an_evaluator_that_cannot_be_is_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFieldError, match=field):
        TableEvaluator(_table(), TINY, **settings)


@pytest.mark.parametrize("name", ["abandit", "evolution", "random"])
def test_any_strategy_searches_a_table(name: str) -> None:
    strategy = STRATEGIES.get(name).from_settings(TINY, {}, 0)
    history = run_search(strategy, TableEvaluator(_table(), TINY, noise=0.01), (), 4, lambda _: None)
    assert len(history) == strategy.total
