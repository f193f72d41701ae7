"""Views that are tables: drawn by notebooks, given to pandas."""

from typing import TYPE_CHECKING

from api.frames import frame_of_columns
from api.markup import Record, draw_records
from api.views import View

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 100  # rows that are drawn


class Tabular(View):
    """Base of views that say what their rows are."""

    def records(self) -> list[Record]:
        """Return the rows, each with the same names."""
        raise NotImplementedError

    def headings(self) -> list[str]:
        """Return the names, which are there without rows too."""
        raise NotImplementedError

    def to_pandas(self) -> "pd.DataFrame":
        """Return a frame with named columns.

        Raises:
            NotReadyError: If pandas is not installed.
        """
        records = self.records()
        return frame_of_columns({name: [record[name] for record in records] for name in self.headings()})

    def _repr_html_(self) -> str:
        """Draw a table, for notebooks."""
        records = self.records()
        note = f"the first {_SHOWN} of {len(records):,}; to_pandas() has all" if len(records) > _SHOWN else ""
        return draw_records(records[:_SHOWN], note=note) if records else "<div>nothing</div>"
