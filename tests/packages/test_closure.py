"""Closures of made-up sources: what counts as an import, and what is refused."""

import textwrap
from pathlib import Path

import pytest

from packages.closure import Allowed, ClosureError, closure, moved, stated_names, written

ALLOWED = Allowed(anywhere=frozenset({"httpx"}), in_functions=frozenset({"pandas"}))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder of packages with one front, one module that it needs, and one that it does not."""
    for package in ("api", "nas_service", "nas_service/search"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "nas_service" / "errors.py").write_text("class NasError(Exception): ...\n")
    (tmp_path / "nas_service" / "search" / "bandit.py").write_text("import numpy\n")
    _front(tmp_path, "from nas_service.errors import NasError\n")
    return tmp_path


def _front(tree: Path, source: str) -> None:
    (tree / "api" / "client.py").write_text(textwrap.dedent(source))


def _found(tree: Path) -> list[str]:
    return list(closure(tree, ["api.client"], ALLOWED))


NEEDED = ["api", "api.client", "nas_service", "nas_service.errors"]


@pytest.mark.parametrize(
    "source",
    [
        "from nas_service.errors import NasError\n",
        "from nas_service import errors\n",
        "import nas_service.errors as e\n",
        "def f():\n    from nas_service.errors import NasError\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nas_service.errors import NasError\n",
        "import json, httpx\nfrom nas_service.errors import NasError\nasync def f():\n    import pandas\n",
        "from typing import TYPE_CHECKING\nimport nas_service.errors as e\nif TYPE_CHECKING:\n    import pandas\n",
    ],
)
def test_every_import_counts_wherever_it_stands(tree: Path, source: str) -> None:
    _front(tree, source)
    assert _found(tree) == NEEDED


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("from nas_service.search import bandit\n", r"^api.client -> nas_service.search.bandit, line 1, imports numpy"),
        ("import httpx\ndef f():\n    import torch.nn\n", r"^api.client, line 3, imports torch, which is not allowed there"),
        ("class A:\n    from pandas import DataFrame\n", r"imports pandas, .* inside functions alone"),
        ("from . import errors\n", r"imports relatively: write the whole name"),
        ("import nas_service.errors\n", r"write `from PACKAGE import MODULE`"),
        ("def f():\n    return load('nas_service.errors')\n", r"names nas_service.errors as a string, line 2"),
    ],
)
def test_what_cannot_be_taken_along_is_refused_with_the_way_to_it(tree: Path, source: str, said: str) -> None:
    _front(tree, source)
    with pytest.raises(ClosureError, match=said):
        _found(tree)


def test_a_moved_source_differs_in_the_names_of_our_packages_alone() -> None:
    source = textwrap.dedent("""\
        '''As `from api.client import NasClient`.'''
        import httpx, nas_service.errors as e, json
        from apiary import bee
        from api import views  # from api
        def f(): "größer"; from nas_service.errors import (
            NasError as api,
        )
        api = "api.client"
    """)
    assert moved(source, "nas_client") == textwrap.dedent("""\
        '''As `from api.client import NasClient`.'''
        import httpx, nas_client.nas_service.errors as e, json
        from apiary import bee
        from nas_client.api import views  # from api
        def f(): "größer"; from nas_client.nas_service.errors import (
            NasError as api,
        )
        api = "api.client"
    """)


def test_what_is_written_imports_itself(tree: Path, tmp_path: Path) -> None:
    written(closure(tree, ["api.client"], ALLOWED), tree, tmp_path / "out" / "mine")
    files = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.py")}
    assert files == {"mine/api/__init__.py", "mine/api/client.py", "mine/nas_service/__init__.py", "mine/nas_service/errors.py"}
    assert (tmp_path / "out" / "mine" / "api" / "client.py").read_text() == "from mine.nas_service.errors import NasError\n"


def test_names_for_users_have_to_be_stated(tree: Path) -> None:
    with pytest.raises(ClosureError, match="no __all__"):
        stated_names(tree / "api" / "client.py")
    _front(tree, "__all__ = ['b', 'a']\n")
    assert stated_names(tree / "api" / "client.py") == ["a", "b"]
