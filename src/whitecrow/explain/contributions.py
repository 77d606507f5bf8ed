"""How much of a row's anomaly score each column carries."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from whitecrow.explain.column_map import ColumnMap

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["adds_up", "drops", "parts"]

_REPLACEMENTS = 8
_SCORES_PER_ROW = 2000
_CANDIDATES = 2**18
_VALUES = 2**22


def parts(detector: "Detector", rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the parts of the scores by feature ``[N, D]``, the mean over the replicas.

    The detector must have ``feature_scores``. Rows pass in chunks of one size, as they do for the score.
    """
    replicas, size = detector.replicas_, detector.chunk_rows
    out = np.empty(rows.shape)
    replicas.train(False)
    with torch.inference_mode():
        padded = torch.zeros(size, *rows.shape[1:], device=next(iter(replicas.stacked.values())).device)
        for start in range(0, len(rows), size):
            chunk = torch.from_numpy(rows[start : start + size])
            padded[: len(chunk)] = chunk
            replicas.seek_noise(0)
            # A method without parts returns None and is not asked here: see adds_up.
            split = replicas.scores(detector.feature_scores, padded)[:, : len(chunk)]  # type: ignore[arg-type]
            out[start : start + len(chunk)] = split.double().mean(0).cpu().numpy()
    return out


def adds_up(detector: "Detector") -> bool:
    """Return whether the detector splits its score by feature into parts that sum to it."""
    replicas = detector.replicas_
    # A property of the detector, tried on its own rows, so that no row decides about another. They are tried shifted
    # too: scores that are all 0 tell nothing.
    rows = np.concatenate([detector.reference_, detector.reference_ + np.float32(1)])
    with torch.inference_mode():
        replicas.train(False)
        replicas.seek_noise(0)
        device = next(iter(replicas.stacked.values())).device
        probe = torch.zeros(1, *rows.shape[1:], device=device)
        if detector.feature_scores(replicas.replica(0), probe) is None:
            return False
    scores = detector._score(rows).mean(0)
    return np.allclose(parts(detector, rows).sum(axis=1), scores, rtol=1e-3, atol=1e-6 * np.abs(scores).max())


def drops(
    detector: "Detector",
    rows: NDArray[np.float32],
    scores: NDArray[np.float64],
    columns: ColumnMap,
    otherwise: NDArray[np.int32],
) -> NDArray[np.float64]:
    r"""Return the drop in score when one column takes the values it has in normal rows.

    .. math:: c_j(x) = s(x) - \operatorname{mean}_r s(x_{j \leftarrow r_j})

    over the (at most 8) reference rows r that resemble x most in all columns but j, so that the replacement
    fits the rest of the row. Beyond 250 columns there are fewer of them, so that one row needs at most 2,000
    scores, or one per column.

    Parameters
    ----------
    rows : ndarray [n, D]
        Encoded rows.
    scores : ndarray [n]
        Their anomaly scores.
    columns : ColumnMap
        The columns of the features.
    otherwise : ndarray of int [n, C, K]
        Reference rows that resemble each row in the other columns, best first.

    Returns
    -------
    ndarray [n, C]
        In the unit of the score; positive = the column makes the row more anomalous.
    """
    n_columns = len(columns.members)
    k = min(_REPLACEMENTS, max(1, _SCORES_PER_ROW // n_columns), otherwise.shape[2])
    codes = _codes(detector.reference_, columns)
    out = np.empty((len(rows), n_columns))
    block = max(1, _CANDIDATES // (n_columns * k))
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        replaced = _replaced_scores(detector, rows[part], scores[part], columns, otherwise[part, :, :k], codes)
        out[part] = scores[part, None] - replaced.mean(axis=2)
    return out


def _codes(reference: NDArray[np.float32], columns: ColumnMap) -> NDArray[np.int64]:
    """Return, for each column of each reference row, the first reference row of the same value, [M, C]."""
    codes = np.empty((len(reference), len(columns.members)), np.int64)
    for c, members in enumerate(columns.members):
        _, first, inverse = np.unique(reference[:, members], axis=0, return_index=True, return_inverse=True)
        codes[:, c] = first[inverse.reshape(-1)]
    return codes


def _replaced_scores(
    detector: "Detector",
    rows: NDArray[np.float32],
    scores: NDArray[np.float64],
    columns: ColumnMap,
    chosen: NDArray[np.int32],
    codes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the scores ``[n, C, k]`` of rows with one column replaced by that of the chosen rows."""
    n, n_columns, _ = chosen.shape
    # Reference rows share values: score each replacement once, and none that changes nothing.
    donors = codes[chosen, np.arange(n_columns)[:, None]]
    keys = np.arange(n * n_columns).reshape(n, n_columns, 1) * len(codes) + donors
    distinct, inverse = np.unique(keys, return_inverse=True)
    cell, donor = np.divmod(distinct, len(codes))
    row, column = np.divmod(cell, n_columns)
    result = scores[row]
    step = max(1, _VALUES // rows.shape[1])
    for start in range(0, len(distinct), step):
        r, c, d = (index[start : start + step] for index in (row, column, donor))
        candidates = np.where(columns.members[c], detector.reference_[d], rows[r])
        changed = np.flatnonzero((candidates != rows[r]).any(axis=1))
        if changed.size:
            result[start + changed] = detector._score(candidates[changed]).mean(0)
    return result[inverse.reshape(chosen.shape)]
