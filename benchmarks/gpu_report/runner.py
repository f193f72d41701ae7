"""Every part in a process of its own: one that fails, hangs or breaks the GPU's context takes nothing with it."""

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import torch

from benchmarks.gpu_report.page import Outcome, State
from benchmarks.gpu_report.parts import Order, Row, load


@dataclass(frozen=True)
class Planned:
    """The rows that there should be."""

    names: Sequence[str]


@dataclass(frozen=True)
class Ended:
    """A part came to its end; `error` is a traceback, or empty."""

    error: str


def share_s(left_s: float, weights: Sequence[float]) -> float:
    """Return the seconds of the first of several parts: its weight's share of what is left."""
    return left_s * weights[0] / sum(weights)


def run_part(outcome: Outcome, order: Order, changed: Callable[[], None]) -> None:
    """Carry out a part until `order.until`, keeping what it tells in `outcome`; `changed` hears of every bit of it."""
    started = time.monotonic()
    outcome.state, outcome.limit_s = State.RUNNING, order.left_s
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(outcome.name, order, sender))
    process.start()
    sender.close()  # so that the pipe ends with the process
    try:
        while outcome.state is State.RUNNING:
            _listen(receiver, order, outcome, process)
            outcome.seconds = time.monotonic() - started
            changed()
    finally:
        _end(process)
        receiver.close()


def _listen(receiver: "Connection[object, object]", order: Order, outcome: Outcome, process: BaseProcess) -> None:
    """Wait for the next thing that the part tells, or for its end."""
    if not receiver.poll(max(0.0, order.left_s)):
        outcome.state = State.CUT
        return
    try:
        message = receiver.recv()
    except EOFError:
        process.join()
        outcome.state, outcome.why = State.FAILED, f"its process ended by itself, with status {process.exitcode}"
        return
    if isinstance(message, Row):
        outcome.rows[message.name] = message
    elif isinstance(message, Planned):
        outcome.planned = message.names
    elif isinstance(message, Ended):
        outcome.state, outcome.why = (State.FAILED if message.error else State.DONE), message.error


def _work(name: str, order: Order, sender: "Connection[object, object]") -> None:
    """Carry out a part in this process, which leads a group so that what it starts can be ended with it."""
    os.setsid()
    try:
        if order.place.type == "cpu":
            torch.set_num_threads(1)
        part = load(name)
        sender.send(Planned(part.planned(order)))
        part.run(order, sender.send)
    except Exception:  # noqa: BLE001 - the report says it, and the exit status
        sender.send(Ended(traceback.format_exc()))
    else:
        sender.send(Ended(""))


def _end(process: BaseProcess) -> None:
    """End a part's process and all that it started."""
    assert process.pid is not None  # noqa: S101 - for the type checker; it was started
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def within(order: Order, limit_s: float) -> Order:
    """Return the order for a part that has so many seconds from now."""
    return replace(order, until=time.monotonic() + limit_s)
