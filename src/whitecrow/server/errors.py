"""What a request can be refused for, each with the HTTP status that answers it.

::

    WhitecrowError
    └── RequestError            (ValueError)  400  the request cannot be understood
        ├── BodyTooLargeError                 413  more bytes, rows, columns or cells than the server takes
        ├── MediaTypeError                    415  a content type or encoding that the server does not read
        ├── ColumnsError                      422  rows lack columns that the model reads, or have others
        └── OverloadedError                   503  too much waits already; the same request may succeed later
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from whitecrow.core.errors import WhitecrowError

__all__ = ["BodyTooLargeError", "ColumnsError", "FieldError", "MediaTypeError", "OverloadedError", "RequestError"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request.

    Parameters
    ----------
    field : str
        Where it stands, such as ``records[3].bytes``.
    message : str
        What is wrong and what is accepted, without the value that was sent.
    """

    field: str
    message: str


class RequestError(WhitecrowError, ValueError):
    """A request cannot be understood.

    Parameters
    ----------
    message : str
        Given, accepted, remedy.
    errors : sequence of FieldError, default=()
        The fields that are wrong, where they can be named.

    Attributes
    ----------
    status : int
        HTTP status of the answer.
    """

    status: ClassVar[int] = 400

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class BodyTooLargeError(RequestError):
    """A body has more bytes, rows, columns or cells than the server takes."""

    status = 413


class MediaTypeError(RequestError):
    """A body is of a content type or encoding that the server does not read."""

    status = 415


class ColumnsError(RequestError):
    """Rows lack columns that the model reads, or have columns that it does not."""

    status = 422


class OverloadedError(RequestError):
    """Too much waits already.

    Attributes
    ----------
    retry_after : int
        Seconds after which to try again.
    """

    status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
