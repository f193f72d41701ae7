"""Options that many commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[str | None, typer.Option("--url", help="Address of the service; NAS_URL if left out.")]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
Watching = Annotated[bool, typer.Option("--watch", help="Show its progress until it is over, too.")]
Priority = Annotated[
    int | None,
    typer.Option(
        min=-100, max=100, help="Of the queued jobs of one owner the highest goes first, of the same the oldest; 0 at first."
    ),
]
