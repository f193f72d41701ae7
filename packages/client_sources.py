"""The sources of `nas_client`: what the client is made of here, in a package that is alone in its wheel."""

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

from packages.closure import Allowed, closure, stated_names, written

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "nas_client"
REQUIRED = ("httpx", "pydantic", "rich")
ALLOWED = Allowed(anywhere=frozenset(REQUIRED), in_functions=frozenset({"IPython", "pandas"}))
FRONT = "api.client"
_DYNAMIC = 'dynamic = ["dependencies", "version"]\n'

_INIT = '''"""NasClient: nas-service as Python calls. These names are for users; inside are the service's own sources."""

from typing import TYPE_CHECKING

from {package}.{front} import (
{names}
)

{later}__version__ = "{version}"
__all__ = {all_names}
'''
_LATER = '''if TYPE_CHECKING:
{imports}
else:

    def __getattr__(name: str) -> object:
        """Load a module when one of its names is first asked for."""
        from importlib import import_module

        if name not in _LATER:
            raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}")
        return getattr(import_module(_LATER[name]), name)


_LATER = {places}
'''


def project(root: Path = ROOT) -> dict[str, Any]:
    """Return the `project` table of the service's pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def fronts(root: Path = ROOT) -> list[str]:
    """Return the modules whose names users import: `api.client`, then those of its kind that load when they are asked for."""
    others = sorted(f"api.{file.stem}" for file in (root / "api").glob("*_client.py"))
    return [FRONT, *others]


def write_client(folder: Path, root: Path = ROOT) -> Path:
    """Write the client as a project of its own into `folder`, and return its package.

    Raises:
        ClosureError: If the client imports what its wheel may not need.
    """
    facts, package = project(root), folder / PACKAGE
    shutil.copytree(root / "packages" / "client", folder, dirs_exist_ok=True)
    shutil.copy2(root / "LICENSE", folder)
    needs = [line for line in facts["dependencies"] if _name(line) in REQUIRED]
    file = folder / "pyproject.toml"
    file.write_text(file.read_text().replace(_DYNAMIC, f'version = "{facts["version"]}"\ndependencies = {json.dumps(needs)}\n'))
    written(closure(root, fronts(root), ALLOWED), root, package)
    (package / "__init__.py").write_text(_init(root, facts["version"]))
    (package / "py.typed").touch()
    return package


def _init(root: Path, version: str) -> str:
    """Return the source of the package itself: the names of the first front, and those of the others when asked for."""
    first, *others = (dict.fromkeys(stated_names(root / f"{front.replace('.', '/')}.py"), front) for front in fronts(root))
    later = {name: front for names in others for name, front in names.items() if name not in first}
    imports = "\n".join(f"    from {PACKAGE}.{front} import {name} as {name}" for name, front in later.items())
    places = json.dumps({name: f"{PACKAGE}.{front}" for name, front in later.items()}, indent=4)
    return _INIT.format(
        package=PACKAGE,
        front=FRONT,
        names="\n".join(f"    {name} as {name}," for name in first),
        later=_LATER.format(imports=imports, places=places) if later else "",
        version=version,
        all_names=json.dumps(sorted([*first, *later]), indent=4),
    )


def _name(requirement: str) -> str:
    return requirement.partition(">")[0].partition("[")[0].strip()
