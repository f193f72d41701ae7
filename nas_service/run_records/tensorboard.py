"""TensorBoard: one event file a candidate, in a folder that is named after method, rank and seed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas_service.run_records.record import RunRecord, figures_of

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

_UNSAFE = re.compile(r"[^A-Za-z0-9.,=()_-]+")
_LONGEST = 120  # letters of a label in a folder's name
_VERSION = "brain.Event:2"  # what event files begin with
_CHOSEN = ("method", "seed", "architecture", "rank", "score", "control")  # what a person varies or asks for


def write_tensorboard(records: Sequence[RunRecord], folder: Path) -> None:
    """Write an event file a candidate: a scalar an epoch and figure, results at the last epoch, and what was chosen for it.

    TensorBoard keeps scalars in single precision: seven digits.
    """
    from tensorboardX.proto.event_pb2 import Event  # noqa: PLC0415 - other commands start faster
    from tensorboardX.record_writer import RecordWriter  # noqa: PLC0415 - as above

    for name, record in zip(run_names(records), records, strict=True):
        run, created = folder / name, record.created_at.timestamp()
        run.mkdir()
        # tensorboardX's own writer puts the clock and the host's name into the file: no two exports would be alike.
        writer = RecordWriter(str(run / f"events.out.tfevents.{int(created)}.{record.candidate}"))
        events = [Event(wall_time=created, file_version=_VERSION)]
        events += [Event(wall_time=moment, step=step, summary=summary) for moment, step, summary in _summaries(record)]
        for event in events:
            writer.write(event.SerializeToString(deterministic=True))
        writer.close()


def run_names(records: Iterable[RunRecord]) -> list[str]:
    """Return a name for the run of each candidate that is a folder's name and nobody else's."""
    names: list[str] = []
    for record in records:
        method = _UNSAFE.sub("_", record.method)[:_LONGEST]
        kind = "rank" if record.control is None else f"control-{record.control}-"
        name = f"{method}-{kind}{record.rank}-seed{record.seed}"
        names.append(f"{name}-{record.candidate}" if name in names else name)
    return names


def _summaries(record: RunRecord) -> "Iterator[tuple[float, int, Summary]]":
    from tensorboardX.summary import hparams, scalar  # noqa: PLC0415 - as above

    results = {name.replace(".", "/"): value for name, value in record.results().items()}
    chosen = {name: value for name in _CHOSEN if (value := getattr(record, name)) is not None}
    for summary in hparams(chosen, results):
        yield record.created_at.timestamp(), 0, _in_order(summary)
    moment = record.began
    for report in record.epochs:
        moment += report.seconds
        for name, value in figures_of(report).items():
            yield moment, report.epoch, scalar(name.replace(".", "/", 1), value)
    ended = record.finished_at.timestamp() if record.finished_at else moment
    for name, value in results.items():
        yield ended, max(0, record.epochs_done - 1), scalar(name, value)


def _in_order(summary: "Summary") -> "Summary":
    """Write what was chosen, a map, in the order of its names: else in one that differs from process to process."""
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData  # noqa: PLC0415 - as above

    for value in summary.value:
        plugin = value.metadata.plugin_data
        plugin.content = HParamsPluginData.FromString(plugin.content).SerializeToString(deterministic=True)
    return summary
