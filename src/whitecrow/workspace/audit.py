"""Who did what to a workspace, and when. Lines are added, and never changed."""

import json
from dataclasses import dataclass
from typing import Any

from whitecrow.workspace.database import Database

__all__ = ["Audit", "AuditLine"]


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line.

    Parameters
    ----------
    id : int
        Counts the lines from 1.
    at : str
        When, in UTC.
    actor : str
        Who; empty for the workspace itself.
    action, subject : str
        What was done, to the data set or run of which id.
    detail : dict
        What else there is to know.
    """

    id: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class Audit:
    """The audit of a workspace.

    Parameters
    ----------
    database : Database
        Of the workspace.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def lines(self, *, subject: str | None = None, limit: int = 1000) -> list[AuditLine]:
        """Return the last lines, the newest first.

        Parameters
        ----------
        subject : str, optional
            Id of a data set or a run; all by default.
        limit : int, default=1000
            Most lines to return.
        """
        which, names = ("", ()) if subject is None else ("WHERE subject = ?", (subject,))
        with self._database.reading() as connection:
            found = connection.execute(f"SELECT * FROM audit {which} ORDER BY id DESC LIMIT ?", (*names, limit))
            return [AuditLine(**{**dict(row), "detail": json.loads(row["detail"])}) for row in found]
