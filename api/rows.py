"""Lists of views: read as far as they are looked at, drawn by notebooks, given to pandas."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from pydantic import BaseModel

from api.drawings import draw_rows
from api.frames import frame_of
from api.views import Page

if TYPE_CHECKING:
    import pandas as pd

Item = TypeVar("Item", bound=BaseModel)

_SHOWN = 100  # rows that are drawn
_NAMED = 3  # rows in a line of text


class Rows(Generic[Item]):
    """A list whose pages are asked for when they are looked at, and kept.

    It iterates, has a length, takes indices and slices, draws itself as a table, and `to_pandas()` is its frame.
    """

    def __init__(self, more: Callable[[str | None], Page[Item]] | None, view: Any = None) -> None:  # noqa: ANN401 - a class or a union of some
        """Take what gives the page at a cursor, None being the first; None: there is nothing."""
        self._more, self._view = more, view
        self._read: list[Item] = []
        self._cursor: str | None = None

    @classmethod
    def of(cls, items: Sequence[Item], view: Any = None) -> "Rows[Item]":  # noqa: ANN401 - as above
        """Return rows that are all here."""
        made = cls(None, view)
        made._read = list(items)
        return made

    def _reads(self) -> bool:
        """Read another page if there is one; a page that fails is asked for again the next time."""
        if self._more is None:
            return False
        page = self._more(self._cursor)
        self._read.extend(page.items)
        self._cursor = page.next
        if page.next is None:
            self._more = None
        return True

    def _all(self) -> list[Item]:
        while self._reads():
            pass
        return self._read

    def __iter__(self) -> Iterator[Item]:
        """Yield the rows."""
        position = 0
        while position < len(self._read) or self._reads():
            known = self._read[position:]
            yield from known
            position += len(known)

    def __len__(self) -> int:
        """Return how many there are; all pages are read."""
        return len(self._all())

    def __bool__(self) -> bool:
        """Whether there is one; a page is read."""
        return bool(self._read) or any(True for _ in self)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> "Rows[Item]": ...

    def __getitem__(self, place: int | slice) -> "Item | Rows[Item]":
        """Return a row, or rows, by position."""
        if isinstance(place, slice):
            self._read_to(place.stop)
            return Rows.of(self._read[place], self._view)
        self._read_to(place + 1 if place >= 0 else None)
        return self._read[place]

    def _read_to(self, stop: int | None) -> None:
        while (stop is None or stop < 0 or stop > len(self._read)) and self._reads():
            pass

    def __eq__(self, other: object) -> bool:
        """Whether other rows, or a list, hold the same."""
        if isinstance(other, Rows):
            return self._all() == other._all()
        return self._all() == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it grows as it is read

    def __repr__(self) -> str:
        """Tell of the first ones."""
        first = list(self[: _NAMED + 1])
        told = [repr(row) for row in first[:_NAMED]] + (["..."] if len(first) > _NAMED else [])
        return f"[{', '.join(told)}]"

    def _repr_html_(self) -> str:
        """Draw a table, for notebooks."""
        first = list(self[: _SHOWN + 1])
        return draw_rows(first[:_SHOWN], is_cut=len(first) > _SHOWN)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a frame with a column a field, `cost.ops` and the like for what stands in one.

        Raises:
            NotReadyError: If pandas is not installed.
        """
        return frame_of(self._all(), self._view)

    def __array__(self, *_: object, **__: object) -> NoReturn:
        """Refuse to be an array: pandas, which asks for one, would make columns without names of it.

        Raises:
            TypeError: It says what to call.
        """
        raise TypeError("rows are no array: rows.to_pandas() is their frame, with names and types")


class AsyncRows(Generic[Item]):
    """A list that is read as it is gone through: `async for row in rows`, or all of it: `await rows` gives `Rows`."""

    def __init__(self, more: Callable[[str | None], Awaitable[Page[Item]]], view: Any = None) -> None:  # noqa: ANN401 - as above
        """Take what gives the page at a cursor, None being the first."""
        self._more, self._view = more, view

    async def __aiter__(self) -> AsyncIterator[Item]:
        """Yield the rows."""
        cursor: str | None = None
        while True:
            page = await self._more(cursor)
            for row in page.items:
                yield row
            cursor = page.next
            if cursor is None:
                return

    def __await__(self) -> Generator[Any, None, Rows[Item]]:
        """Return all rows."""
        return self._whole().__await__()

    async def _whole(self) -> Rows[Item]:
        return Rows.of([row async for row in self], self._view)
