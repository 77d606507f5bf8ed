"""Figures of merit of anomaly maps: how well a map marks the pixels that a mask marks."""

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Range, check
from whitecrow.metrics.inputs import labelled_scores
from whitecrow.metrics.ranking import auroc

__all__ = ["aupro", "pixel_auroc"]

# Pixels of one image that share an edge or a corner are connected; images [N, ...] are not.
_NEIGHBOURS = np.zeros((3, 3, 3), dtype=bool)
_NEIGHBOURS[1] = True


def pixel_auroc(masks: ArrayLike, maps: ArrayLike) -> float:
    """Return the area under the ROC curve over all pixels of all images together.

    Large anomalies dominate it; :func:`aupro` gives every anomalous region the same weight.

    Parameters
    ----------
    masks : array_like of {0, 1}, shape [N, H, W]
        1 = anomalous pixel. Both classes are needed.
    maps : array_like, shape [N, H, W]
        Finite; higher = more anomalous.

    Returns
    -------
    float
        From 0 to 1, higher is better; 0.5 is chance.

    Raises
    ------
    DataError
        If masks or maps cannot be used.
    """
    labels, values = _pixels(masks, maps)
    return auroc(labels.ravel(), values.ravel())


def aupro(masks: ArrayLike, maps: ArrayLike, fpr_limit: float = 0.3) -> float:
    r"""Return the normalised area under the per-region overlap up to a false-positive rate.

    At each threshold the overlap is the mean, over the connected anomalous regions of all images, of the share of
    a region that is flagged:

    .. math::
        \mathrm{AUPRO} = \frac{1}{l} \int_0^{l} \mathrm{PRO}(f)\,df, \qquad
        \mathrm{PRO} = \frac{1}{R} \sum_{r=1}^{R} \frac{|P \cap C_r|}{|C_r|}

    Parameters
    ----------
    masks : array_like of {0, 1}, shape [N, H, W]
        1 = anomalous pixel. Both classes are needed. Pixels that share an edge or a corner are one region.
    maps : array_like, shape [N, H, W]
        Finite; higher = more anomalous.
    fpr_limit : float, default=0.3
        :math:`l`, above 0 and at most 1: the share of all normal pixels that may be flagged.

    Returns
    -------
    float
        From 0 to 1, higher is better; chance is half of ``fpr_limit``. It is exact: every distinct value of the
        maps is a threshold, and the curve is linear between them.

    Raises
    ------
    DataError
        If masks or maps cannot be used.
    ParameterError
        If ``fpr_limit`` is not accepted.

    References
    ----------
    .. [1] P. Bergmann et al., "The MVTec Anomaly Detection Dataset: A Comprehensive Real-World Dataset for
       Unsupervised Anomaly Detection", IJCV 129, 2021.
    """
    check("aupro", "fpr_limit", fpr_limit, Annotated[float, Range(0, 1, low_open=True)])
    labels, values = _pixels(masks, maps)
    region = np.zeros(labels.shape, dtype=np.intp)  # 0 for the normal pixels, then 1 to R
    ndimage.label(labels, structure=_NEIGHBOURS, output=region)
    region = region.ravel()
    sizes = np.bincount(region)  # [1 + R]
    share = np.append(0.0, 1 / ((len(sizes) - 1) * sizes[1:]))
    _, group = np.unique(-values.ravel(), return_inverse=True)  # pixels of one value are flagged together
    fpr = np.append(0.0, np.bincount(group, region == 0).cumsum()) / sizes[0]
    pro = np.append(0.0, np.bincount(group, share[region]).cumsum())
    # The last piece is cut at the limit.
    i = np.searchsorted(fpr, fpr_limit)
    at_limit = pro[i - 1] + (pro[i] - pro[i - 1]) * (fpr_limit - fpr[i - 1]) / (fpr[i] - fpr[i - 1])
    return float(np.trapezoid(np.append(pro[:i], at_limit), np.append(fpr[:i], fpr_limit)) / fpr_limit)


def _pixels(masks: ArrayLike, maps: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return checked masks and maps, both [N, H, W]."""
    marked, mapped = np.asarray(masks), np.asarray(maps)
    if marked.ndim != 3 or marked.shape != mapped.shape:
        raise DataError(
            f"masks have shape {marked.shape} and maps {mapped.shape}; accepted is the same shape [N, H, W] for both. "
            "Resize the maps to the masks, and drop a channel axis of one."
        )
    labels, values = labelled_scores(marked.ravel(), mapped.ravel())
    return labels.reshape(marked.shape), values.reshape(marked.shape)
