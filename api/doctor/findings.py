"""What the doctor finds: every check in a thread of its own and with one limit for all, so that what hangs hides nothing else."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nas_service.settings import Settings
from nas_service.wording import printable

LIMIT_S = 10.0  # for all checks together, which look at the same time


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # so it is, and it need not be otherwise
    WARNING = "warning"  # it works, and will not always, or not as meant
    BROKEN = "broken"  # it does not work


@dataclass(frozen=True)
class Finding:
    """What one check saw.

    Attributes:
        check: What was looked at, in a word.
        level: How bad it is.
        said: What is so, in a sentence.
        advice: What to do about it, in a sentence; empty where there is nothing to do.
    """

    check: str
    level: Level
    said: str
    advice: str = ""


def ok(check: str, said: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, said)


def note(check: str, said: str, advice: str = "") -> Finding:
    """Return what is good to know."""
    return Finding(check, Level.NOTE, said, advice)


def warning(check: str, said: str, advice: str) -> Finding:
    """Return what may go wrong."""
    return Finding(check, Level.WARNING, said, advice)


def broken(check: str, said: str, advice: str) -> Finding:
    """Return what is wrong."""
    return Finding(check, Level.BROKEN, said, advice)


@dataclass(frozen=True)
class Check:
    """Looks at one thing, and yields what it sees as it sees it."""

    name: str
    see: Callable[[Settings], Iterable[Finding]]


@dataclass
class _Look:
    check: Check
    seen: list[Finding] = field(default_factory=list)

    def begin(self, settings: Settings) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(settings,), name=f"doctor-{self.check.name}", daemon=True)
        thread.start()
        return thread

    def _run(self, settings: Settings) -> None:
        try:
            for finding in self.check.see(settings):
                self.seen.append(finding)
        except Exception as error:  # noqa: BLE001 - the world may be broken in ways that nobody thought of: that is told, too
            said = f"the look at it failed ({type(error).__name__}: {printable(str(error).partition(chr(10))[0])[:300]})"
            self.seen.append(broken(self.check.name, said, "see whether the others tell why; if none does, report it as a fault"))


def examine(checks: Sequence[Check], settings: Settings, limit_s: float = LIMIT_S) -> list[Finding]:
    """Carry all checks out at the same time, and return what they saw, in their order; what hangs is a finding, too."""
    deadline = time.monotonic() + limit_s
    looks = [_Look(check) for check in checks]
    threads = [look.begin(settings) for look in looks]
    found: list[Finding] = []
    for look, thread in zip(looks, threads, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        found += look.seen
        if thread.is_alive():
            name = look.check.name
            found.append(
                broken(name, f"no answer came within {limit_s:g} s", "see whether it hangs, or what is on the way to it")
            )
    return found
