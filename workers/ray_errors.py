"""Ray's errors, for processes that may never load Ray: what was not loaded raised nothing."""

import sys


def is_ray_error(error: BaseException) -> bool:
    """Whether Ray itself met trouble."""
    return isinstance(error, _class("RayError"))


def cause_of(error: BaseException) -> BaseException | None:
    """Return the exception of one's own that Ray carried here from a task or an actor; None: it is no such error."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(error, _class("RayTaskError")) and isinstance(cause, BaseException) else None


def _class(name: str) -> type[BaseException] | tuple[()]:
    module = sys.modules.get("ray.exceptions")
    return () if module is None else getattr(module, name)
