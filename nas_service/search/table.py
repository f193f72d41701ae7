"""Architecture tables: every live genotype of a small space, trained on its own, as one parquet file; and an evaluator.

A search that asks a table costs nothing, so that strategies can be compared over hundreds of seeds.

File format: one row a genotype, each once, all live genotypes of the space, any order; columns

    genotype        string   canonical JSON (`Genotype.to_json`)
    digest          string   SHA-256 of it (`Genotype.digest`)
    validation_0..  float    validation accuracy in [0, 1] of the stand-alone network of training seed 0, 1, ...
    test_0..        float    test accuracy of the same networks; as many columns as of validation_*
    supernet_score  float    validation accuracy with the shared weights of a supernet; null if there was none
    ops             int      FLOPs + BOPs / 64 of one image
    packed_bytes    int      size of the packed network
    parameters      int      number of parameters, binary and real

and under the key `nas-service` of the file's metadata a JSON object of conditions: at least `space` (its name), beside it
dataset, recipe, seeds, versions and whatever else describes how the figures came about.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nas_service.search.history import derived_random
from nas_service.search.liveness import live_genotypes
from nas_service.search.loop import Evaluation
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace

METADATA_KEY = b"nas-service"
COSTS = ("ops", "packed_bytes", "parameters")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ArchitectureTable:
    """A table in memory; rows in the order of the file.

    Attributes:
        genotypes: One a row.
        validation: Validation accuracies, (rows, training seeds).
        test: Test accuracies, (rows, training seeds).
        supernet_score: Accuracy with shared weights, (rows,); NaN where there is none.
        costs: `ops`, `packed_bytes` and `parameters`, (rows,) each.
        conditions: How the figures came about; `space` names the search space.
    """

    genotypes: tuple[Genotype, ...]
    validation: Floats
    test: Floats
    supernet_score: Floats
    costs: Mapping[str, npt.NDArray[np.int64]]
    conditions: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse a table that contradicts itself.

        Raises:
            InvalidFieldError: Naming the column, or the first genotype that is of another space or there twice.
        """
        rows = len(self.genotypes)
        for name, values in (("validation", self.validation), ("test", self.test)):
            if values.ndim != 2 or len(values) != rows or values.shape != self.validation.shape or not values.size:  # noqa: PLR2004 - rows and seeds
                raise InvalidFieldError(f"table.{name}", values.shape, f"accuracies of shape ({rows}, seeds), one seed or more")
            wrong = ~((values >= 0) & (values <= 1))
            if wrong.any():
                raise InvalidFieldError(f"table.{name}", float(values[wrong][0]), "accuracies in [0, 1]")
        sizes = {"supernet_score": self.supernet_score.shape, **{name: self.costs[name].shape for name in COSTS}}
        for name, shape in sizes.items():
            if shape != (rows,):
                raise InvalidFieldError(f"table.{name}", shape, f"one figure for each of {rows} genotypes")
        for genotype in self.genotypes:
            if genotype.space != self.space:
                raise InvalidFieldError("table.genotype", genotype.space, f"genotypes of {self.space}, the space in the metadata")
        if len(self.rows) < rows:
            twice = next(genotype for row, genotype in enumerate(self.genotypes) if self.rows[genotype] != row)
            raise InvalidFieldError("table.genotype", twice.to_json(), "every genotype once")

    @property
    def space(self) -> str:
        """Name of the search space."""
        return str(self.conditions["space"])

    @cached_property
    def rows(self) -> Mapping[Genotype, int]:
        """The row of every genotype."""
        return {genotype: row for row, genotype in enumerate(self.genotypes)}

    def check(self, space: SearchSpace) -> None:
        """Refuse a space whose genotypes are not all here.

        Raises:
            InvalidFieldError: If the table is of another space, or genotypes are missing: how many, and the first.
        """
        if space.name != self.space:
            raise InvalidFieldError("table.space", self.space, f"a table of {space.name}")
        genotypes = list(live_genotypes(space))
        missing = [genotype for genotype in genotypes if genotype not in self.rows]
        if missing:
            raise InvalidFieldError(
                "table.genotype",
                f"{len(missing)} of {len(genotypes)} missing",
                f"every live genotype of {space.name}; the first that is missing is {missing[0].to_json()}",
            )
        if len(self.rows) > len(genotypes):
            extra = next(iter(self.rows.keys() - set(genotypes)))
            raise InvalidFieldError("table.genotype", extra.to_json(), f"live genotypes of {space.name} only")

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        columns: dict[str, Any] = {
            "genotype": [genotype.to_json() for genotype in self.genotypes],
            "digest": [genotype.digest for genotype in self.genotypes],
        }
        for name, values in (("validation", self.validation), ("test", self.test)):
            columns |= {f"{name}_{seed}": values[:, seed] for seed in range(values.shape[1])}
        columns["supernet_score"] = pa.array(self.supernet_score, from_pandas=True)  # NaN becomes null
        columns |= {name: self.costs[name] for name in COSTS}
        table = pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(dict(self.conditions))})
        pq.write_table(table, path, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> "ArchitectureTable":
        """Read and check a file.

        Raises:
            InvalidFieldError: If the metadata or a column is missing, unknown or wrong, or a digest is not its genotype's.
        """
        if not path.is_file():
            raise InvalidFieldError("table", str(path), "a parquet file")
        try:
            table = pq.read_table(path)
        except pa.ArrowException as error:
            raise InvalidFieldError("table", str(path), f"a parquet file ({error})") from error
        conditions = _conditions(table.schema.metadata)
        seeds = _seeds(table.column_names)
        genotypes = tuple(Genotype.from_json(text) for text in _column(table, "genotype"))
        for genotype, digest in zip(genotypes, _column(table, "digest"), strict=True):
            if genotype.digest != digest:
                raise InvalidFieldError("table.digest", digest, f"{genotype.digest}, the digest of {genotype.to_json()}")
        scores = [float("nan") if score is None else score for score in table["supernet_score"].to_pylist()]
        return cls(
            genotypes,
            np.array([_column(table, f"validation_{seed}") for seed in range(seeds)], np.float64).T,
            np.array([_column(table, f"test_{seed}") for seed in range(seeds)], np.float64).T,
            np.array(scores, np.float64),
            {name: np.array(_column(table, name), np.int64) for name in COSTS},
            conditions,
        )


def _conditions(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    text = (metadata or {}).get(METADATA_KEY, b"").decode()
    try:
        conditions = json.loads(text)
    except json.JSONDecodeError:
        conditions = None
    if not isinstance(conditions, dict) or not isinstance(conditions.get("space"), str):
        allowed = f'metadata {METADATA_KEY.decode()} with a JSON object that has "space"'
        raise InvalidFieldError("table.metadata", text, allowed)
    return conditions


def _seeds(names: Sequence[str]) -> int:
    """Return the number of training seeds, after checking that just the right columns are there."""
    seeds = max(sum(name.startswith(prefix) for name in names) for prefix in ("validation_", "test_"))
    accuracies = {f"{prefix}_{seed}" for prefix in ("validation", "test") for seed in range(max(seeds, 1))}
    wanted = {"genotype", "digest", "supernet_score", *COSTS, *accuracies}
    if missing := sorted(wanted - set(names)):
        raise InvalidFieldError(f"table.{missing[0]}", None, f"a column; missing: {', '.join(missing)}")
    if unknown := sorted(set(names) - wanted):
        raise InvalidFieldError(f"table.{unknown[0]}", unknown, f"only the columns {', '.join(sorted(wanted))}")
    return seeds


def _column(table: pa.Table, name: str) -> list[Any]:
    if table[name].null_count:
        raise InvalidFieldError(f"table.{name}", None, "a value in every row")
    values: list[Any] = table[name].to_pylist()
    return values


class TableEvaluator:
    """Answers with a training seed's validation accuracy, plus Gaussian noise if asked for.

    The noise of a sample depends on `seed` and its index alone; it can carry a reward out of [0, 1].
    """

    def __init__(
        self, table: ArchitectureTable, space: SearchSpace, training_seed: int = 0, noise: float = 0.0, seed: int = 0
    ) -> None:
        """Check that every genotype of `space` is there.

        Args:
            table: What to answer from.
            space: What is searched.
            training_seed: Which of the table's seeds answers.
            noise: Standard deviation of the noise, in units of accuracy.
            seed: Of the noise.

        Raises:
            InvalidFieldError: If table and space do not go together, the seed is not there, or the noise is negative.
        """
        table.check(space)
        seeds = table.validation.shape[1]
        if not 0 <= training_seed < seeds:
            raise InvalidFieldError("training_seed", training_seed, f"0 to {seeds - 1}, the table's seeds")
        if not noise >= 0:
            raise InvalidFieldError("noise", noise, "a standard deviation of 0 or more")
        self._table, self._training_seed, self._noise, self._seed = table, training_seed, noise, seed

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> Sequence[Evaluation]:
        """Return one evaluation a genotype; no time passes.

        Raises:
            InvalidFieldError: If a genotype is not in the table.
        """
        return [self._evaluate(first_index + offset, genotype) for offset, genotype in enumerate(genotypes)]

    def _evaluate(self, index: int, genotype: Genotype) -> Evaluation:
        row = self._table.rows.get(genotype)
        if row is None:
            raise InvalidFieldError("genotype", genotype.to_json(), f"a genotype of the table of {self._table.space}")
        reward = float(self._table.validation[row, self._training_seed])
        reward += self._noise * gaussian(self._seed, index)
        return Evaluation(reward, loss=None, diverged=False, seconds=0.0, worker="table")


def gaussian(seed: int, index: int) -> float:
    """Return a number drawn from N(0, 1) that depends on `seed` and `index` alone."""
    uniform = derived_random(seed, "noise", index).random()
    return NormalDist().inv_cdf(uniform + 2.0**-54)  # `random` gives multiples of 2^-53 in [0, 1)
