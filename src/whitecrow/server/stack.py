"""The order in which the guards of an application stand around it."""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI

from whitecrow.core.errors import WhitecrowError
from whitecrow.server.headers import API_PATHS, SecurityHeaders
from whitecrow.server.limits import UNCOUNTED_PATHS, RequestLimits
from whitecrow.server.metrics import Metrics
from whitecrow.server.problems import install_problems
from whitecrow.server.security import OPEN_PATHS, Guard
from whitecrow.server.settings import Settings
from whitecrow.server.telemetry import Telemetry

__all__ = ["install_guards"]


def install_guards(
    app: FastAPI,
    settings: Settings,
    metrics: Metrics,
    *,
    statuses: Mapping[type[WhitecrowError], int] | None = None,
    open_paths: Sequence[str] = OPEN_PATHS,
    api_paths: Sequence[str] = API_PATHS,
    uncounted_paths: Sequence[str] = UNCOUNTED_PATHS,
) -> None:
    """Put everything of this package that guards an application around it, what is mounted on it included.

    From the outside in: log and count, headers, who may come in, how much, problem documents.

    Parameters
    ----------
    app : FastAPI
        Without middleware so far.
    settings : Settings
    metrics : Metrics
    statuses : mapping of error class to int, optional
        Statuses of errors of packages above; see :func:`~whitecrow.server.problems.install_problems`.
    open_paths : sequence of str
        Paths that need no token.
    api_paths : sequence of str
        Paths whose answers are data, not pages.
    uncounted_paths : sequence of str
        Paths whose requests do not count towards ``settings.max_concurrent``: those that stay open for long as well.
    """
    install_problems(app, statuses)
    # What is added later stands further out.
    app.add_middleware(RequestLimits, settings=settings, uncounted_paths=uncounted_paths)
    app.add_middleware(Guard, settings=settings, open_paths=open_paths, api_paths=api_paths)
    app.add_middleware(SecurityHeaders, api_paths=api_paths)
    app.add_middleware(Telemetry, metrics=metrics)
