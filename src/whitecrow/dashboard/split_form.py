"""The fields that say which rows train, which set the threshold, and which test."""

from nicegui import ui

from whitecrow.core.errors import ParameterError
from whitecrow.workspace import DatasetRecord, SplitRule

__all__ = ["SplitForm"]

_KINDS = {
    "random": "Random: a share trains",
    "order": "In order: the first rows train",
    "all": "None: all rows train",
}
_TIMES = ("date", "datetime", "time", "duration")
_NUMBERS = ("int", "uint", "float", "decimal")


class SplitForm:
    """The fields, within the element that is being filled. Only those that the kind of split asks for are shown.

    Parameters
    ----------
    record : DatasetRecord
        What is split.
    """

    def __init__(self, record: DatasetRecord) -> None:
        in_time = record.settings.time is not None or (record.kind == "sequence" and record.shape is None)
        self._kind = ui.select(_KINDS, label="Split", value="order" if in_time else "random")
        self._kind.props("outlined dense options-dense")
        self._share = _share("Share that trains", 0.5)
        self._validation = _share("Share that sets the threshold", None, "Empty: the threshold is set on training rows")
        self._test = _share("Share that tests", None, "Empty: the rest")
        self._time = ui.select(_orders(record), label="Order", value="").props("outlined dense options-dense")
        for field in (self._share, self._validation, self._test):
            field.bind_visibility_from(self._kind, "value", lambda kind: kind != "all")
        self._time.bind_visibility_from(self._kind, "value", lambda kind: kind == "order")

    def rule(self, injected: float | None) -> SplitRule:
        """Return what the fields say, with the share of injected anomalies; what is hidden has no say.

        Raises
        ------
        ParameterError
            If the share that trains is empty.
        """
        kind = self._kind.value
        if kind == "all":
            return SplitRule(kind, injected=injected)
        if self._share.value is None:
            raise ParameterError("The share that trains is empty. Give a number between 0 and 1.")
        return SplitRule(
            kind,
            float(self._share.value),
            injected,
            validation=_given(self._validation),
            test=_given(self._test),
            time=(self._time.value or None) if kind == "order" else None,
        )


def _orders(record: DatasetRecord) -> dict[str, str]:
    """Return by which columns rows can be ordered, times first; a row without a time has no place."""
    own = record.settings.time
    orders = {"": "As the data set is ordered" if own is None else f"As the data set is ordered, by {own}"}
    if record.shape is not None:
        return orders  # what stands beside arrays describes them
    for kinds in (_TIMES, _NUMBERS):
        for column in record.profile:
            name, complete = column["name"], not column["missing"]
            if column["kind"].startswith(kinds) and complete and name not in (own, record.settings.label):
                orders[name] = f"By {name}"
    return orders


def _share(label: str, value: float | None, hint: str = "") -> ui.number:
    field = ui.number(label, value=value, step=0.05, min=0.01, max=0.99).props("outlined dense")
    if hint:
        field.props["hint"] = hint
    return field


def _given(field: ui.number) -> float | None:
    return None if field.value is None else float(field.value)
