"""The report of a study: one HTML page that is complete in itself, and Markdown for a repository."""

from pathlib import Path

from whitecrow.core.files import write_bytes
from whitecrow.study.report.markdown import markdown
from whitecrow.study.report.page import page
from whitecrow.study.store import Store
from whitecrow.study.summary import summarise

__all__ = ["write_html", "write_markdown"]


def write_html(store: Store, name: str | None, path: str | Path, *, reference: str | None = None) -> None:
    """Write the report of a study as an HTML page, whole or not at all.

    Parameters
    ----------
    store : Store
        Where the cells are.
    name : str or None
        The study; the latest if None.
    path : path
        File to write.
    reference : str, optional
        Title of the detector that the others are compared with; by default the one with the best mean rank.

    Raises
    ------
    UnknownNameError
        If there is no such study, or no such detector in it.
    FileNotFoundError
        If the folder of the file does not exist.
    """
    write_bytes(path, page(summarise(store, name, reference=reference)))


def write_markdown(store: Store, name: str | None, path: str | Path, *, reference: str | None = None) -> None:
    """Write the report of a study as Markdown, whole or not at all; as for :func:`write_html`."""
    write_bytes(path, markdown(summarise(store, name, reference=reference)))
