"""The synchronous client, written from the asynchronous one, word by word: `python -m docs.synchronous` (`make docs`)."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES, MADE = ROOT / "api" / "asynchronous", ROOT / "api" / "synchronous"

_WORDS = (
    (r"# synchronous form: ", ""),  # what only a call that returns at once can do
    (r"\b(async|await) ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\basynchronous\b", "synchronous"),
    (r"\bconnect_http_async\b", "connect_http"),
    (r"\basyncio\b", "time"),
    (r"\b__a(enter|exit|iter)__\b", r"__\1__"),
    (r"\.a(close|read|iter_lines|iter_bytes)\(", r".\1("),
)


def synchronous(source: Path) -> str:
    """Return the synchronous form of a file, as the linter wants it."""
    text = source.read_text()
    if not text:
        return text  # __init__.py stays empty
    for word, instead in _WORDS:
        text = re.sub(word, instead, text)
    text = f"# Written by `python -m docs.synchronous` from {source.relative_to(ROOT)}: change that.\n{text}"
    for step in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *step, "--stdin-filename", str(MADE / source.name), "-"]
        text = subprocess.run(command, input=text, capture_output=True, check=True, text=True, cwd=ROOT).stdout  # noqa: S603 - our own linter
    return text


def made() -> dict[Path, str]:
    """Return what every file of the synchronous client should hold."""
    return {MADE / source.name: synchronous(source) for source in sorted(SOURCES.glob("*.py"))}


if __name__ == "__main__":
    for path, content in made().items():
        path.write_text(content)
