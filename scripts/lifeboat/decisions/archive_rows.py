"""The rows of each table in the SQL that pg_restore writes of an archive, counted as it passes by."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lifeboat.database_model import TableName

_END = b"\n\\.\n"
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)'
_COPY = re.compile(rf"COPY (?P<schema>{_NAME})\.(?P<name>{_NAME})(?: \(.*?\)| )? FROM stdin;\n", re.DOTALL)
# A statement that opens no data: the longest one names 1,600 columns of 63 bytes, quoted.
_LONGEST_COPY = 1_000_000


class RowCounter:
    """Counts the rows of every COPY of a text that comes in pieces; memory does not grow with the text."""

    def __init__(self) -> None:
        self.rows: dict[TableName, int] = {}
        self._table: TableName | None = None
        self._rest = b"\n"

    def feed(self, piece: bytes) -> None:
        """Count what is in the next piece."""
        self._rest += piece
        for _ in self._steps():
            pass

    @property
    def open_table(self) -> TableName | None:
        """Return the table whose rows have not ended; None where the text is whole."""
        return self._table

    def _steps(self) -> Iterator[None]:
        while self._count_rows() if self._table is not None else self._find_table():
            yield

    def _count_rows(self) -> bool:
        """Count rows up to the end of the data; return whether that is in what we have."""
        assert self._table is not None
        end = self._rest.find(_END)
        if end < 0:
            # The end may be cut in two: its first bytes stay for the next piece.
            keep = len(_END) - 1
            whole = len(self._rest) - keep
            if whole > 0:
                self.rows[self._table] += self._rest.count(b"\n", 0, whole)
                self._rest = self._rest[whole:]
            return False
        # The line break before the first row is counted for that row, and the last row's own is part of the end.
        self.rows[self._table] += self._rest.count(b"\n", 0, end)
        self._rest = self._rest[end + len(_END) - 1 :]
        self._table = None
        return True

    def _find_table(self) -> bool:
        """Go to the data of the next table; return whether there is one in what we have."""
        start = self._rest.find(b"\nCOPY ")
        if start < 0:
            self._rest = self._rest[-len(b"\nCOPY ") :]
            return False
        found = _COPY.match(self._rest[start + 1 : start + 1 + _LONGEST_COPY].decode(errors="replace"))
        if found is None:
            # Not whole yet, or no COPY of ours.
            whole = b" FROM stdin;\n" in self._rest[start:] or len(self._rest) - start > _LONGEST_COPY
            self._rest = self._rest[start + 1 :] if whole else self._rest[start:]
            return whole
        head = self._rest.index(b" FROM stdin;\n", start) + len(b" FROM stdin;\n")
        self._table = TableName(schema=_unquoted(found["schema"]), name=_unquoted(found["name"]))
        self.rows.setdefault(self._table, 0)
        self._rest = self._rest[head - 1 :]
        return True


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
