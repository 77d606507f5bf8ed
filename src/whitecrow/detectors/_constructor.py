"""Constructors from annotated fields: keyword-only, and stored as given, as scikit-learn wants it."""

import inspect
from difflib import get_close_matches
from typing import Any, dataclass_transform

from whitecrow.core import parameters
from whitecrow.core.errors import ParameterError

__all__ = ["Fields"]


@dataclass_transform(kw_only_default=True)
class Fields:
    """Base of classes whose annotated fields are their keyword-only constructor parameters."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__init__ = _constructor(cls)  # type: ignore[method-assign]


def _constructor(cls: type) -> Any:
    """Return a keyword-only constructor that stores the fields of ``cls``, as scikit-learn wants it."""
    fields = parameters.fields(cls)

    def __init__(self: Any, **given: Any) -> None:  # noqa: N807
        for name in given:
            if name not in fields:
                near = get_close_matches(name, fields, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise ParameterError(f"{cls.__name__} has no parameter {name!r}.{hint} It has: {', '.join(fields)}.")
        for name, field in fields.items():
            setattr(self, name, given.get(name, field.default))

    keyword = inspect.Parameter.KEYWORD_ONLY
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(inspect.Parameter(f.name, keyword, default=f.default, annotation=f.annotation) for f in fields.values()),
        ]
    )
    return __init__
