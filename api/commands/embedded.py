"""Starting a service of one's own for the length of a command."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from api.client import NasClient
from api.console import tell
from api.refusals import UnansweredError
from nas_service.errors import NotReadyError
from nas_service.settings import Settings

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _exit(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


@contextmanager
def _unwinding() -> Iterator[None]:
    """Inside the block, let signals that would end this process at once raise SystemExit, so that every `finally` is run.

    A signal that is ignored (`nohup`), or that somebody handles already, is left alone.
    """
    taken = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def embedded_service(settings: Settings) -> Iterator[str]:
    """Run `nas serve` on a free loopback port inside the block and give its address; for the main thread.

    SIGTERM and SIGHUP to this process end the service too.

    Raises:
        NotReadyError: If it does not become ready; its log says why.
    """
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    log_path = settings.home / "service.log"
    with _unwinding():
        with _opened(log_path) as log:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "api.cli", "serve", "--host", "127.0.0.1", "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **settings.environment()},
            )
        try:
            _wait_until_ready(process, address, log_path)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def serve_on(page: str) -> None:
    """Leave an embedded service at work until somebody ends this command (Ctrl-C); that is the wished end, and no failure."""
    tell(f"still serving {page}; Ctrl-C ends it")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _opened(log_path: Path) -> BinaryIO:
    home = log_path.parent
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        log_path.touch(mode=0o600)
        return log_path.open("ab")
    except OSError as error:
        is_file = isinstance(error, FileExistsError | NotADirectoryError)
        what = "is no folder" if is_file else f"cannot be written ({error.strerror})"
        raise NotReadyError(f"the folder {home} {what}: set NAS_HOME to a folder that can be written") from error


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    wrong = ""
    with NasClient(address) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                readiness = client.readiness()
            except UnansweredError:
                pass  # it does not listen yet
            else:
                if readiness.status != "not-ready":  # a degraded one works
                    return
                wrong = "".join(f"; {name}: {told}" for name, told in readiness.checks.items() if told != "ok")
            time.sleep(0.2)
    if process.poll() is not None:
        wrong = f": {_last_line(log_path)}"
    raise NotReadyError(f"the embedded service did not become ready{wrong}; its log is {log_path}")


def _last_line(log_path: Path) -> str:
    """Return what a service that ended said last."""
    lines = log_path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.removeprefix("error: ") for line in reversed(lines) if line.strip()), "it said nothing")
