"""Who has to be left to the scalar history, and from which instant on."""

import numpy as np

from cds_engine.history.table.columns import NEVER, Bools, Longs
from cds_engine.history.table.rows import Rows


class Untidy:
    """Persons of whom one variable cannot be read from columns any more.

    Args:
        persons: how many there are.
    """

    def __init__(self, persons: int) -> None:
        self._persons = persons
        self._since: Longs | None = None

    def ask(self, person: Longs, since: Longs) -> None:
        """Leave persons to the scalar history from an instant on."""
        if self._since is None:
            if not len(person) or int(since.min()) == NEVER:
                return
            self._since = np.full(self._persons, NEVER, dtype=np.int64)
        np.minimum.at(self._since, person, since)

    def doubt(self, rows: Rows) -> Bools:
        """Say in which rows the scalar history must be asked."""
        if self._since is None:
            return np.zeros(len(rows), dtype=np.bool_)
        return self._since[rows.person] <= rows.as_of
