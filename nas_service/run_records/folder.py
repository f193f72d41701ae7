"""A folder that is there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search_spaces.errors import InvalidFieldError

_ALLOWED = "a folder that is not there yet, or an empty one that is not the current one: what is in it is never touched"


def require_free(folder: Path) -> None:
    """Refuse a folder with files in it, before any work is done.

    Raises:
        InvalidFieldError: If it is a file, or holds something, or is where the process stands.
    """
    there = folder.exists() or folder.is_symlink()
    if there and (not folder.is_dir() or any(folder.iterdir()) or folder.samefile(Path.cwd())):
        raise InvalidFieldError("DIR", str(folder), _ALLOWED)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `folder` at the end of the block; if that raises, nothing is left.

    Raises:
        InvalidFieldError: As `require_free`.
    """
    require_free(folder)
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", dir=target.parent))
    try:
        yield scratch
        scratch.chmod(target.stat().st_mode if target.exists() else 0o777 & ~_umask())
        require_free(folder)
        scratch.rename(target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
