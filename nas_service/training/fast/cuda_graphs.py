"""CUDA graphs as a recorder of training steps. The only file of the engine that needs a GPU to run at all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch


class CudaGraphs:
    """Records work on one CUDA device as graphs, one after the other.

    All are recorded on one stream and share one pool of memory, which torch allows for graphs that are never replayed at the
    same time. Here even more holds: a graph is not replayed once the next one has been recorded, so that what it had
    may be written over. The last one is kept alive until then, since the pool lives as long as a graph that uses it.
    """

    def __init__(self, device: torch.device, generators: Sequence[torch.Generator] = ()) -> None:
        """Record on `device`; `generators` are those, beside the default one, that recorded work draws from."""
        self._stream = torch.cuda.Stream(device)
        self._generators = tuple(generators)
        self._last: torch.cuda.CUDAGraph | None = None

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """Work on the stream that graphs are recorded on: after what the current one was given, before what it will be."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return the replay of `work`, which is not carried out now.

        Random draws go on from replay to replay; torch refuses those of a generator that a graph was not told of.
        """
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        pool = None if self._last is None else self._last.pool()
        with torch.cuda.graph(graph, pool=pool, stream=self._stream):
            work()
        self._last = graph
        return graph.replay
