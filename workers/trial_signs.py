"""TrialSigns: what news of trials says of how long a trial may be silent. Each is measured by itself, whatever others tell."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from nas_service.reports import EpochReport
from workers.trial import Attacked, Attacking, Beat, Began, Done, Exporting, Failed, News


@dataclass
class _AtWork:
    """A trial that has a process.

    Attributes:
        heard: When it gave its last sign.
        known: Whether what it does now is what it gave signs of before.
        resumed_from: Epochs that an earlier trial did, and that it tells again.
    """

    heard: float
    known: bool = False
    resumed_from: int = 0


class TrialSigns:
    """Measures silences between a trial's signs, and knows which trials are at something new.

    New is what may be silent for minutes without a fault, however fast the beats come otherwise: from the start of its process
    to the end of its first epoch here, when everything was read, built, compiled and scored once, and a bundle's export.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a trial; `clock` gives seconds from anywhere, always growing."""
        self._clock = clock
        self._trials: dict[str, _AtWork] = {}

    @property
    def known(self) -> bool:
        """Whether trials are at work, and all of them at something that they did before."""
        return bool(self._trials) and all(trial.known for trial in self._trials.values())

    def start(self, name: str) -> None:
        """Note that a trial has a process."""
        self._trials[name] = _AtWork(self._clock())

    def end(self, name: str) -> None:
        """Note that a trial is over."""
        self._trials.pop(name, None)

    def hear(self, name: str, news: News) -> float | None:
        """Note what a trial told; return the silence that ended with it, in seconds, where that is usual of its work."""
        trial = self._trials.setdefault(name, _AtWork(self._clock()))
        silent_s, trial.heard = self._clock() - trial.heard, self._clock()
        match news:
            case Began():
                trial.known, trial.resumed_from = False, news.resumed_from
                return None
            case EpochReport() if news.epoch < trial.resumed_from:
                return None
            case EpochReport() | Attacking():
                trial.known = True
            case Exporting():
                trial.known = False
            case Beat() | Attacked():
                pass
            case Done() | Failed():
                self.end(name)
                return None
        return silent_s
