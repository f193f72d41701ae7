"""Settings of the environment that are misspelt: they would be left out without a word."""

from collections.abc import Iterable
from difflib import get_close_matches

from api.console import tell
from nas_service.settings import Settings

_NEAR = 0.75  # so much alike: NAS_ is the beginning of others' variables, too


def unknown(names: Iterable[str]) -> list[str]:
    """Return the variables that begin as settings do and are none."""
    return sorted(name for name in names if name.upper().startswith(_prefix()) and name.upper() not in _known())


def misspelt(names: Iterable[str]) -> dict[str, str]:
    """Return the variables that look like a setting and are none, with the setting that is meant."""
    near = {name: get_close_matches(name.upper(), _known(), n=1, cutoff=_NEAR) for name in unknown(names)}
    return {name: found[0] for name, found in near.items() if found}


def _prefix() -> str:
    return str(Settings.model_config["env_prefix"]).upper()


def _known() -> list[str]:
    return [f"{_prefix()}{name.upper()}" for name in Settings.model_fields]


def tell_misspelt(names: Iterable[str]) -> None:
    """Say of every misspelt variable what is meant, on standard error."""
    for name, meant in sorted(misspelt(names).items()):
        tell(f"warning: {name} is no setting and changes nothing; did you mean {meant}?")
