"""Thrift's compact protocol, as far as Parquet's metadata needs it: bytes to nested dicts by field number."""

from typing import Any

from whitecrow.core.errors import FileFormatError

__all__ = ["CompactReader"]

_MOST_DEPTH = 12  # Parquet's own structures nest about six deep
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)


class CompactReader:
    """Reads structs from bytes, within a budget of values.

    Parameters
    ----------
    data : bytes-like
    budget : int
        Values that may be read in all: each takes an object, so that few bytes could ask for much memory.
    """

    def __init__(self, data: memoryview, budget: int) -> None:
        self._data = data
        self._left = budget
        self._at = 0

    def struct(self, at: int) -> tuple[dict[int, Any], int]:
        """Return the struct that begins at a byte, and the byte behind it.

        Integers are int, binaries memoryview, lists list, and structs dict by field number; maps are skipped.

        Raises
        ------
        FileFormatError
            If the bytes end in it, are none, or the budget is spent.
        """
        self._at = at
        try:
            return self._struct(0), self._at
        except IndexError as error:
            raise FileFormatError("The metadata end in the midst of a field. Save the file again.") from error

    def _struct(self, depth: int) -> dict[int, Any]:
        if depth > _MOST_DEPTH:
            raise FileFormatError("The metadata are nested too deeply. Save the file again.")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._zigzag()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise FileFormatError("The metadata hold too many values. Save the file with larger row groups and pages.")
        if kind in _INTEGERS:
            return self._zigzag()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self._struct(depth + 1)
        if kind in (_LIST, _SET):
            head = self._byte()
            n = head >> 4 if head >> 4 != 15 else self._varint()
            return [self._item(head & 15, depth) for _ in range(n)]
        if kind == _MAP:
            n = self._varint()
            kinds = self._byte() if n else 0
            for _ in range(n):
                self._item(kinds >> 4, depth)
                self._item(kinds & 15, depth)
            return None
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise FileFormatError(f"The metadata have a field of the unknown type {kind}. Save the file again.")

    def _item(self, kind: int, depth: int) -> Any:
        if depth > _MOST_DEPTH:
            raise FileFormatError("The metadata are nested too deeply. Save the file again.")
        return self._value(kind, depth + 1)

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _bytes(self, n: int) -> memoryview:
        if n > len(self._data) - self._at:
            raise IndexError(n)
        value = self._data[self._at : self._at + n]
        self._at += n
        return value

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise FileFormatError("The metadata hold a number beyond 64 bits. Save the file again.")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
