"""`nas`: the command line. It talks to a service over REST; only serve, evaluate, compile and train-local load torch."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from api.commands.loading import DeferredCommand, DeferringGroup

PREFIX = "NAS_"  # of the settings in the environment


class Commands(DeferringGroup):
    """Every command with the first sentence of its help; their code is loaded when they are called."""

    deferred = (
        DeferredCommand(
            "serve",
            "service:serve",
            "Run the service. The embedded database (SQLite) is brought up to date first; others need `nas migrate`.",
        ),
        DeferredCommand(
            "controller",
            "controllers:controller",
            "Run the controller alone, without a port; with services that have NAS_CONTROLLER=false, on the same database.",
        ),
        DeferredCommand("migrate", "service:migrate", "Bring the database up to date; do this before a new version serves."),
        DeferredCommand(
            "demo",
            "demo:demo",
            "Put a recorded search and its training into this home's database, to look at and to delete.",
        ),
        DeferredCommand(
            "doctor",
            "doctor:doctor",
            "Look at everything that a service stands on, and say what is wrong and what to do; status 1 if something is broken.",
        ),
        DeferredCommand(
            "status", "service_views:status", "Say whether the service can work, and what is in its way; status 1 if it cannot."
        ),
        DeferredCommand("system", "service_views:system", "Show what the service stands on, who works for it, and at what."),
        DeferredCommand("usage", "service_views:usage", "Show what the jobs of every owner held: times of GPUs and processors."),
        DeferredCommand("jobs", "all_jobs:app", "Look at jobs of every kind at once."),
        DeferredCommand("search", "searches:app", "Submit searches and look at them."),
        DeferredCommand("training", "trainings:app", "Train architectures with any methods and seeds."),
        DeferredCommand("architectures", "results:list_architectures", "List discovered architectures."),
        DeferredCommand("candidates", "results:list_candidates", "List trained networks."),
        DeferredCommand(
            "architecture", "pieces:architectures", "Look at one architecture: what it is, what it costs, how it is drawn."
        ),
        DeferredCommand("candidate", "pieces:candidates", "Look at one trained network: its figures and its epochs."),
        DeferredCommand(
            "compare",
            "results:compare",
            "Compare the methods of trainings: mean and spread over seeds, rank, and whether the search's score foretold it.",
        ),
        DeferredCommand("download", "results:download", "Download the files of a candidate or architecture."),
        DeferredCommand(
            "export",
            "export:export",
            "Write the curves and results of a training for TensorBoard or MLflow, or as Parquet or CSV tables.",
        ),
        DeferredCommand(
            "evaluate",
            "local:evaluate",
            "Verify a bundle's files, rebuild its network from genotype and weights, and classify the test images.",
        ),
        DeferredCommand(
            "compile",
            "compiling:compile_bundle",
            "Write a bundle's network as C with int16 activations, int8 weights or both: c/, packed.py, a card and a manifest.",
        ),
        DeferredCommand("train-local", "local:train_local", "Train one network here and now and write its bundle."),
        DeferredCommand(
            "catalogue",
            "service:catalogue",
            "List what can be asked for; --json adds every setting with its type, default and bounds.",
        ),
        DeferredCommand(
            "spec",
            "service_views:spec",
            "List the fields of what can be submitted, with what they take; --json prints the JSON schema.",
        ),
        DeferredCommand(
            "dataset",
            "datasets:app",
            "Register your images under a name, look at what was registered, export test images.",
        ),
        DeferredCommand("registration", "registrations:app", "Look at registrations of datasets that are under way or over."),
        DeferredCommand(
            "backup",
            "upkeep:back_up",
            "Write database and artifact store to a folder while the service goes on, and read it again.",
        ),
        DeferredCommand(
            "restore",
            "upkeep:restore",
            "Read a backup into an empty database and an empty artifact store, for a service that is not running yet.",
        ),
        DeferredCommand(
            "gc",
            "upkeep:collect_garbage",
            "Remove what nobody needs from the artifact store, and logs of deleted jobs; say which rows have lost their file.",
        ),
        DeferredCommand("keys", "keys:app", "Say who may use a service: run it where the service's database is."),
        DeferredCommand(
            "audit",
            "audit:audit",
            "Show what was changed, by whom and from where, and what was refused, newest first.",
        ),
    )


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Architecture search for 1-bit neural networks: submit searches, watch them, download networks.",
)


def _tell_versions(is_asked: bool) -> None:  # noqa: FBT001 - typer's way
    if not is_asked:
        return
    for name in ("nas-service", "torch", "ray"):
        try:
            typer.echo(f"{name} {version(name)}")
        except PackageNotFoundError:
            typer.echo(f"{name} is not installed")
    raise typer.Exit


@app.callback()
def prepare(
    context: typer.Context,
    is_asked: Annotated[  # noqa: ARG001, FBT002 - typer's way; its callback has done it
        bool,
        typer.Option("--version", help="Print versions, of torch and Ray too, and exit.", is_eager=True, callback=_tell_versions),
    ] = False,
) -> None:
    """Take what is asked of the program itself, before its commands."""
    if context.invoked_subcommand is not None and any(name.upper().startswith(PREFIX) for name in os.environ):
        from api.commands.environment import tell_misspelt  # noqa: PLC0415 - nobody else has to wait for it

        tell_misspelt(os.environ)


def main() -> None:
    """Run a command; an error is one message on standard error and exit status 1."""
    try:
        app()
    except Exception as error:
        from api.commands.failures import told  # noqa: PLC0415 - only those who fail wait for it
        from api.console import tell  # noqa: PLC0415 - as above

        said = told(error)
        if said is None:
            raise
        for line in said:
            tell(f"error: {line}")
        sys.exit(1)


if __name__ == "__main__":
    main()
