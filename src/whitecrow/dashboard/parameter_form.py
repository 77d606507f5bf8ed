"""A form for the parameters of a detector, made from the detector's own schema."""

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from whitecrow.core import parameters
from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Field
from whitecrow.dashboard.formats import parameter
from whitecrow.dashboard.parts import details

__all__ = ["ParameterForm", "form_fields"]

# What a request to fit sets itself.
_ELSEWHERE = ("regime", "random_state", "checkpoint", "verbose", "device")
_NONE = "none"


def form_fields(cls: type) -> tuple[list[Field], list[Field]]:
    """Return the parameters that a form asks for: those of the method, and those that all methods have."""
    own = vars(cls).get("__annotations__", {})
    known = [field for name, field in parameters.fields(cls).items() if name not in _ELSEWHERE]
    return [field for field in known if field.name in own], [field for field in known if field.name not in own]


class ParameterForm:
    """Fields for all parameters of a detector, filled with its defaults, within the element that is being filled.

    Parameters
    ----------
    cls : type
        Class of the detector.
    values : dict, optional
        Values that differ from the defaults.
    first : sequence of str
        Parameters that all methods have and that stand at the front here, in this order.
    """

    def __init__(self, cls: type, values: dict[str, Any] | None = None, *, first: Sequence[str] = ()) -> None:
        self._cls, self._given = cls, values or {}
        self._schema = parameters.schema(cls)["properties"]
        self._inputs: dict[str, tuple[Field, Any]] = {}
        own, shared = form_fields(cls)
        named = {field.name: field for field in shared}
        front = [*own, *(named.pop(name) for name in first if name in named)]
        if front:
            with ui.element("div").classes("wc-form"):
                for field in front:
                    self._add(field)
        with details("Parameters that all methods have"), ui.element("div").classes("wc-form"):
            for field in named.values():
                self._add(field)

    def values(self) -> dict[str, Any]:
        """Return the values that differ from the detector's defaults.

        Raises
        ------
        ParameterError
            If a field holds no accepted value; it names the field.
        """
        found = {}
        for name, (field, made) in self._inputs.items():
            value = self._read(field, made)
            if value != field.default:
                found[name] = value
        return found

    def _add(self, field: Field) -> None:
        value = self._given.get(field.name, field.default)
        kind = self._schema[field.name]
        if kind.get("type") == "boolean":
            made: Any = ui.checkbox(field.name, value=bool(value))
        elif "enum" in kind:
            options = {str(k): parameter(one) for k, one in enumerate(kind["enum"])}
            chosen = next((str(k) for k, one in enumerate(kind["enum"]) if one == value), None)
            made = ui.select(options, label=field.name, value=chosen).props("outlined dense options-dense")
        else:
            made = ui.input(field.name, value=_NONE if value is None else parameter(value)).props("outlined dense")
            made.props["hint"] = parameters.describe(field.annotation)
            # Said where the field is, as soon as it is left; what is sent is checked again.
            made.on("blur", lambda _=None, field=field, made=made: self._judge(field, made), args=[])
        made.props["data-parameter"] = field.name
        self._inputs[field.name] = field, made

    def _read(self, field: Field, made: Any) -> Any:
        kind = self._schema[field.name]
        if kind.get("type") == "boolean":
            return bool(made.value)
        if "enum" in kind:
            return kind["enum"][int(made.value)]
        return parameters.parse(self._cls.__name__, field.name, str(made.value or ""), field.annotation)

    def _judge(self, field: Field, made: Any) -> None:
        try:
            self._read(field, made)
        except ParameterError as error:
            made.props["error"] = True
            made.props["error-message"] = str(error)
        else:
            made.props["error"] = False
