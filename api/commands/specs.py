"""Building a spec from options: a file, a few short options, and `--set path=value` for everything else."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from api.refusals import ApiError, UnansweredError
from nas_service.errors import InvalidInputError
from search_spaces.errors import InvalidFieldError

SpecFile = Annotated[Path | None, typer.Option("--spec", help="JSON file with a spec; the other options change it.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any field by its path: training.recipe.epochs=9, strategy.settings.samples=50; the value is JSON or a word.",
    ),
]


Answer = TypeVar("Answer")
_WANTS_TEXT = "text"  # what a service says that it allows where a number is no text


def _read_json(text: str) -> Any:  # noqa: ANN401 - JSON
    """Read JSON proper: Python's reader also takes NaN and 1e999, which cannot be sent."""
    value = json.loads(text)
    json.dumps(value, allow_nan=False)
    return value


def _value(text: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return _read_json(text)
    except ValueError:
        return text


def as_written(text: str | None) -> Any:  # noqa: ANN401 - JSON
    """Return what an option of a spec means: what is no number is the service's to refuse, with all else that is wrong."""
    return None if text is None else _value(text)


def set_field(spec: dict[str, Any], path: str, value: Any) -> None:  # noqa: ANN401 - JSON
    """Set a dotted field; a component that is a bare name becomes an object with that name.

    Raises:
        InvalidFieldError: If the path leads through something that is not an object.
    """
    *parents, leaf = path.split(".")
    place = spec
    for part in parents:
        below = place.get(part)
        if isinstance(below, str):
            below = {"name": below}
        if below is None:
            below = {}
        if not isinstance(below, dict):
            raise InvalidFieldError("--set", path, f"a field of an object; {part} is {below!r}")
        place[part] = below
        place = below
    place[leaf] = value


def make_robust(spec: dict[str, Any], eps: Any) -> None:  # noqa: ANN401 - JSON
    """Ask for the robust search of ABanditNAS: samples are trained with one-step FGSM unless the spec names another attack.

    A training that follows uses PGD unless the spec says otherwise, and its candidates are attacked. An `eps` that is given goes
    over the spec's.
    """
    amount = {} if eps is None else {"eps": eps}
    _put_below(spec, ["evaluation", "adversarial"], {}, amount)
    if spec.get("training"):
        _put_below(spec, ["training", "recipe", "adversarial"], {"attack": "pgd"}, amount)
        _put_below(spec, ["training", "robustness"], {}, amount)


def _put_below(spec: dict[str, Any], path: list[str], defaults: dict[str, Any], options: dict[str, Any]) -> None:
    """Put defaults under and options over what the spec says at `path`; the service says what is wrong if that is no object."""
    place: Any = spec
    for part in path[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            return
    given = place.get(path[-1])
    if given is None or isinstance(given, dict):
        place[path[-1]] = {**defaults, **(given or {}), **options}


@dataclass(frozen=True)
class Given:
    """A spec as the options of a command give it.

    Attributes:
        body: As far as it could be read.
        faults: What could not.
        sets: The `--set`s.
    """

    body: dict[str, Any]
    faults: tuple[InvalidFieldError, ...] = ()
    sets: tuple[str, ...] = ()

    def required(self) -> dict[str, Any]:
        """Return the body.

        Raises:
            InvalidInputError: If something could not be read.
        """
        if self.faults:
            raise InvalidInputError(self.faults)
        return self.body


def read_spec(file: Path | None, options: dict[str, Any], sets: list[str] | None, base: Mapping[str, Any] | None = None) -> Given:
    """Return the file's spec, or else `base`, with the options that were given, then the `--set`s, put into it."""
    spec, faults = dict(base or {}), []
    try:
        spec = _file_spec(file) if file is not None else spec
    except InvalidFieldError as error:
        faults.append(error)
    given = [(path, value) for path, value in options.items() if value is not None]
    for entry in sets or []:
        path, equals, text = entry.partition("=")
        if equals:
            given.append((path, _value(text)))
        else:
            faults.append(InvalidFieldError("--set", entry, "path=value"))
    for path, value in given:
        try:
            set_field(spec, path, value)
        except InvalidFieldError as error:
            faults.append(error)
    return Given(spec, tuple(faults), tuple(sets or ()))


def _file_spec(file: Path) -> dict[str, Any]:
    try:
        spec = _read_json(file.read_text(encoding="utf-8-sig"))  # editors of Windows begin a file with a mark
    except (OSError, ValueError) as error:
        raise InvalidFieldError("--spec", str(file), f"a readable JSON file ({error})") from error
    if not isinstance(spec, dict):
        raise InvalidFieldError("--spec", str(file), "a JSON object")
    return dict(spec)


def asked(
    ask: Callable[[dict[str, Any]], Answer], given: Given, probe: Callable[[dict[str, Any]], object] | None = None
) -> Answer:
    """Return the answer to a spec; a `--set` that looks like a number stays a word where a word is wanted: `path=2024`.

    Args:
        ask: The service.
        given: The spec.
        probe: What asks without starting anything: what it says of the rest is told beside what could not be read.

    Raises:
        ApiError: If the service refuses it.
        InvalidInputError: If it could not be read whole.
    """
    if given.faults:
        raise InvalidInputError([*given.faults, *(_refusals(probe, given.body) if probe is not None else ())])
    try:
        return ask(given.body)
    except ApiError as refused:
        wanted = {entry.field for entry in refused.problem.errors if entry.allowed == _WANTS_TEXT}
        words = dict(entry.split("=", 1) for entry in given.sets)
        meant = {path: word for path, word in words.items() if any(f".{field}".endswith(f".{path}") for field in wanted)}
        if not meant:
            raise
        for path, word in meant.items():
            set_field(given.body, path, word)
        return ask(given.body)


def _refusals(probe: Callable[[dict[str, Any]], object], body: dict[str, Any]) -> list[InvalidFieldError]:
    """Return what a service has against a spec; nothing where none answers, since there is enough to say."""
    try:
        probe(body)
    except ApiError as refused:
        return [InvalidFieldError(entry.field, entry.given, entry.allowed) for entry in refused.problem.errors]
    except UnansweredError:
        pass
    return []
