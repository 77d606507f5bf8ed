"""What one call of ``whitecrow evaluate`` asks, whatever the kind of data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whitecrow.cli.console import Console
from whitecrow.core.errors import ParameterError

if TYPE_CHECKING:
    from whitecrow.detectors import Detector
    from whitecrow.metrics import Costs

__all__ = ["Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be judged, by what, and what is to be written.

    Parameters
    ----------
    console : Console
        Where notes and progress go.
    file : Path
        Labelled data.
    model : Path
        Model file.
    detector : Detector
        What that file holds.
    label : str or None
        Column with the labels, or the IDX file of them.
    normal : list of str or None
        Labels that mean normal.
    costs : Costs or None
        What outcomes cost; None if nobody said.
    report : Path or None
        HTML file to write.
    """

    console: Console
    file: Path
    model: Path
    detector: "Detector"
    label: str | None
    normal: list[str] | None
    costs: "Costs | None"
    report: Path | None

    @property
    def column(self) -> str:
        """Name of the column with the labels.

        Raises
        ------
        ParameterError
            If none was given.
        """
        if self.label is None:
            raise ParameterError(f"--label is needed: say which column of {self.file.name} holds the labels.")
        return self.label

    def document(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        """Return figures for JSON, with what they are figures of."""
        return {
            "model": str(self.model),
            "file": str(self.file),
            "report": None if self.report is None else str(self.report),
            **figures,
        }

    def head(self, data: Mapping[str, str]) -> dict[str, str]:
        """Return the names and values that stand above the figures."""
        costs = self.costs
        return {
            "Model": str(self.model),
            **data,
            "Threshold": f"{self.detector.threshold_:.6g} ({self.detector.threshold_source_})",
            "Costs": "" if costs is None else f"a miss {costs.miss:g}, a false alarm {costs.false_alarm:g}",
            "Report": "" if self.report is None else str(self.report),
        }
