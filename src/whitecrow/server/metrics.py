"""Prometheus metrics of one application, in a registry of its own."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counts what a server does; every name begins with ``whitecrow_``.

    Attributes
    ----------
    registry : prometheus_client.CollectorRegistry
        Of this object alone, so that several applications can live in one process.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        of_request = ("route", "method", "status")
        self._requests = Counter("whitecrow_requests", "Requests answered.", of_request, registry=self.registry)
        self._seconds = Histogram(
            "whitecrow_request_seconds", "Seconds from a request to the end of its answer.", ("route", "method"),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._active = Gauge("whitecrow_requests_active", "Requests being answered.", registry=self.registry)
        self._rows = Counter("whitecrow_rows_scored", "Rows scored.", registry=self.registry)
        self._calls = Histogram(
            "whitecrow_batch_requests", "Requests scored in one call.", buckets=_REQUESTS, registry=self.registry
        )
        self._waiting = Gauge("whitecrow_scoring_waiting", "Scoring requests that wait.", registry=self.registry)

    def watch_waiting(self, count: Callable[[], int]) -> None:
        """Ask ``count`` for the number of waiting requests whenever the metrics are read."""
        self._waiting.set_function(count)

    def observe_batch(self, requests: int, rows: int) -> None:
        """Count one call of scoring; what :class:`~whitecrow.server.batching.MicroBatcher` takes as ``observe``."""
        self._calls.observe(requests)
        self._rows.inc(rows)

    def begin(self) -> None:
        """Count a request that has come."""
        self._active.inc()

    def end(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that has been answered.

        Parameters
        ----------
        route : str
            Template of the route, never the path itself: each value is kept for ever.
        method : str
        status : int
        seconds : float
        """
        self._active.dec()
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)

    def response(self) -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)
