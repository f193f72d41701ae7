"""`nas`: the command line. It talks to a service over REST; only serve, evaluate, compile and train-local load torch."""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import httpx
import typer
from pydantic import ValidationError

from api.commands import compiling, datasets, demo, export, local, registrations, results, searches, service, trainings
from api.console import console, errors
from api.refusals import ApiError
from nas_service.checking.problems import field_errors
from nas_service.errors import NasError
from nas_service.settings import Settings
from search_spaces.errors import BrokenPackageError, InvalidFieldError, UnknownNameError

# What bad input and the world outside may raise; the network is apart, since its message says what to do.
EXPECTED = (
    ApiError,
    NasError,
    InvalidFieldError,
    UnknownNameError,
    BrokenPackageError,
    OSError,
    FloatingPointError,  # a training that diverged
    UnicodeError,  # words of the command line that are no text
    httpx.InvalidURL,
)

app = typer.Typer(
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
            console.print(f"{name} {version(name)}", highlight=False)
        except PackageNotFoundError:
            console.print(f"{name} is not installed", highlight=False)
    raise typer.Exit


@app.callback()
def prepare(
    is_asked: Annotated[  # noqa: FBT002 - typer's way
        bool,
        typer.Option("--version", help="Print versions, of torch and Ray too, and exit.", is_eager=True, callback=_tell_versions),
    ] = False,
) -> None:
    """Take what is asked of the program itself, before its commands."""


app.command()(service.serve)
app.command()(service.migrate)
app.command()(demo.demo)
app.add_typer(searches.app, name="search")
app.add_typer(trainings.app, name="training")
app.command("architectures")(results.list_architectures)
app.command("candidates")(results.list_candidates)
app.command()(results.compare)
app.command()(results.download)
app.command()(export.export)
app.command()(local.evaluate)
app.command("compile")(compiling.compile_bundle)
app.command("train-local")(local.train_local)
app.command()(service.catalogue)
app.add_typer(datasets.app, name="dataset")
app.add_typer(registrations.app, name="registration")


def main() -> None:
    """Run a command; an error is one message on standard error and exit status 1."""
    try:
        app()
    except ValidationError as error:
        for problem in field_errors(error):
            setting = f"NAS_{problem.field.upper()}" if error.title == Settings.__name__ else problem.field
            message = f"error: {setting}: {problem.given!r} is not allowed; allowed: {problem.allowed}"
            errors.print(message, markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except EXPECTED as error:
        errors.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except httpx.UnsupportedProtocol as error:
        message = (
            f"error: {str(error.request.url)!r} is no address of a service; allowed: http://HOST:PORT, with --url or NAS_URL"
        )
        errors.print(message, markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except httpx.TransportError as error:
        errors.print(f"error: {unanswered(error)}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


def unanswered(error: httpx.TransportError) -> str:
    """Say what became of a request: only one that reached nobody means that no service is there."""
    where = error.request.url.copy_with(raw_path=b"/")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return f"no service answers at {where} ({error}); start one with `nas serve`, or say where with --url or NAS_URL"
    asked = f"{error.request.method} {error.request.url.path}"
    if isinstance(error, httpx.TimeoutException):
        limit_s = error.request.extensions.get("timeout", {}).get("read")
        within = "in time" if limit_s is None else f"within {limit_s:g} s"
        return f"the service at {where} took the connection and did not answer {asked} {within}; it may still be at work on it"
    return (
        f"the service at {where} took the connection and gave it up before it had answered {asked} ({error}); its log may say why"
    )


if __name__ == "__main__":
    main()
