"""Replaying a history: a strategy's state is that of its samples in order, and nothing else."""

from collections.abc import Callable
from typing import Generic, TypeVar

from nas_service.search.history import History, Sample

State = TypeVar("State")


class Replay(Generic[State]):
    """The state after a history.

    The last one is remembered, so that a history that goes on from it costs its new samples only. That changes no answer: any
    other history is replayed from its beginning.
    """

    def __init__(self, fresh: Callable[[], State], add: Callable[[State, Sample], None]) -> None:
        """Remember nothing yet.

        Args:
            fresh: Makes the state before the first sample.
            add: Changes a state by one sample.
        """
        self._fresh, self._add = fresh, add
        self._seen: list[Sample] = []
        self._state: State | None = None

    def after(self, history: History) -> State:
        """Return the state after `history`, to be read and not to be changed."""
        known = len(self._seen)
        goes_on = known <= len(history) and all(a is b or a == b for a, b in zip(self._seen, history, strict=False))
        if self._state is None or not goes_on:
            self._state, self._seen = self._fresh(), []
        state = self._state
        try:
            for sample in history[len(self._seen) :]:
                self._add(state, sample)
                self._seen.append(sample)
        except BaseException:
            self._state = None  # it may have been changed by half
            raise
        return state
