"""Series: readers, windows, the folding of scores, periods, and the encoder."""

from whitecrow.data.series.encoder import SeriesEncoder, Window
from whitecrow.data.series.folding import Fold, Folding
from whitecrow.data.series.periods import autocorrelation, period
from whitecrow.data.series.reading import as_series
from whitecrow.data.series.rows import SeriesRows
from whitecrow.data.series.windows import (
    ChronologicalSplit,
    chronological_split,
    training_part,
    window_starts,
    window_view,
)

__all__ = [
    "ChronologicalSplit",
    "Fold",
    "Folding",
    "SeriesEncoder",
    "SeriesRows",
    "Window",
    "as_series",
    "autocorrelation",
    "chronological_split",
    "period",
    "training_part",
    "window_starts",
    "window_view",
]
