"""The guide in a notebook, run anew beside a service of its own: `python -m docs.notebook` (`make notebook`)."""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from api.commands.embedded import embedded_service
from nas_service.settings import Settings

NOTEBOOK = Path(__file__).resolve().parent / "guides" / "notebook.ipynb"
ROOT = NOTEBOOK.parents[2]
LIMIT_S = 300  # of one cell


def read(path: Path = NOTEBOOK) -> NotebookNode:
    """Return a notebook."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def executed(notebook: NotebookNode, url: str, folder: Path) -> NotebookNode:
    """Run all cells in a fresh kernel, in order, and return the notebook with what they showed.

    Args:
        notebook: What is run; its outputs are replaced.
        url: Of the service, which the client finds in NAS_URL.
        folder: Where the kernel stands: what it writes goes there.

    Raises:
        nbclient.exceptions.CellExecutionError: With the cell, if one fails.
    """
    program = folder / "nas"  # as an installed `nas` on PATH
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m api.cli "$@"\n')
    program.chmod(0o755)
    own = {
        "NAS_URL": url,
        "NAS_HOME": str(folder / "home"),
        "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=LIMIT_S, kernel_name="python3", resources=where, record_timing=False)
    ran: NotebookNode = client.execute(env={**os.environ, **own})
    return ran


def main() -> None:
    """Run the guide and keep what it showed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "work").mkdir()
        settings = Settings(home=folder / "home", object_store_bytes=100_000_000, poll_s=0.1)
        with embedded_service(settings) as url:
            notebook = executed(read(), url, folder / "work")
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
