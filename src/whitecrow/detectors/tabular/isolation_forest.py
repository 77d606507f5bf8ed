"""Isolation forest: Liu, Ting and Zhou, "Isolation Forest", ICDM 2008."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whitecrow.core.parameters import Count, Range
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.nn import Networks

__all__ = ["IsolationForest"]


class IsolationForest(Detector):
    r"""Cut the space at random until rows stand alone; rows that few cuts isolate are anomalous.

    .. math:: s(x) = 2^{-\operatorname{mean}_t h_t(x) / c(\psi)}, \qquad
        c(n) = 2 (\ln(n - 1) + 0.5772\ldots) - \frac{2 (n - 1)}{n}                                 (eq. 1, 2)

    where :math:`h_t(x)` is the number of cuts on the way of x to its leaf in tree t, plus c of the number of
    training rows in this leaf. Scores lie between 0 and 1; rows without structure have 0.5.

    Parameters
    ----------
    n_estimators : int, default=100
        Number of trees.
    max_samples : int from 2, default=256
        Number of rows :math:`\psi` that each tree is grown on, or all rows if there are fewer. Memory grows with
        its product with the number of trees.
    max_features : float from 0 (excluded) to 1, default=1.0
        Share of the features that each tree may cut.

    Notes
    -----
    scikit-learn grows the trees; the scores equal the negative of its ``score_samples``. Every tree is stored as
    if all its leaves had one depth L: the nodes of a level stand in one row, and node p's children stand at 2p
    and 2p + 1 in the next. Children are positions, not data, so no file can lead a row out of its tree or in a
    circle. A leaf above the last level passes its rows on to the left.

    References
    ----------
    .. [1] F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation Forest", ICDM 2008. doi:10.1109/ICDM.2008.17
    """

    paper: ClassVar[str] = "Liu et al., ICDM 2008"
    year: ClassVar[int] = 2008
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    # One row costs a chunk; twice as many rows score 7 % faster each.
    chunk_rows: ClassVar[int] = 512

    n_estimators: Count = 100
    max_samples: Annotated[int, Range(2)] = 256
    max_features: Annotated[float, Range(0, 1, low_open=True)] = 1.0

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        from sklearn import ensemble

        n_rows = min(self.max_samples, len(X))
        forest = ensemble.IsolationForest(
            n_estimators=self.n_estimators,
            max_samples=n_rows,  # pyright: ignore[reportArgumentType]
            max_features=float(self.max_features),
            random_state=seed % 2**32,
        ).fit(X.cpu().numpy())
        trees = [tree.tree_ for tree in forest.estimators_]
        feature, threshold, path_length = _levels(trees, forest.estimators_features_)
        learnt = Networks(
            feature=torch.from_numpy(feature),
            threshold=torch.from_numpy(threshold),
            path_length=torch.from_numpy(path_length),
            typical_length=torch.from_numpy(_unsuccessful_search(np.array(n_rows))),
        )
        return learnt.to(X.device)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        n_trees = len(net.path_length) - len(net.feature)
        # Features first, so that a node's test reads one short stretch of memory for all rows.
        values = x.mT.reshape(-1)
        row = torch.arange(len(x), dtype=torch.int32, device=x.device).repeat(n_trees)
        node = torch.arange(n_trees, dtype=torch.int32, device=x.device).repeat_interleave(len(x))
        start, width = 0, n_trees
        while start < len(net.feature):
            feature, threshold = net.feature[start : start + width], net.threshold[start : start + width]
            value = values.index_select(0, (feature * len(x)).index_select(0, node).add_(row))
            # The sign of the difference says whether the value exceeds the threshold, faster than a comparison:
            # shifted, it is -1 if so and else 0.
            sign = threshold.index_select(0, node).sub_(value).view(torch.int32).bitwise_right_shift_(31)
            node.mul_(2).sub_(sign)
            start, width = start + width, 2 * width
        length = net.path_length.index_select(0, node).view(n_trees, len(x)).mean(0)
        return torch.exp2(-length / net.typical_length)

    def check_buffers(self, net: Networks) -> None:
        n = len(net.feature) if hasattr(net, "feature") and net.feature.dim() else 0
        leaves = len(net.path_length) if hasattr(net, "path_length") and net.path_length.dim() else 0
        check_layout(
            "IsolationForest", net, feature=(torch.int32, (n,)), threshold=(torch.float32, (n,)),
            path_length=(torch.float64, (leaves,)), typical_length=(torch.float64, ()),
        )  # fmt: skip
        # T trees of L levels have T (2^L - 1) nodes and T 2^L leaves.
        ratio = leaves // max(leaves - n, 1)
        if not 0 < n < leaves < 2**31 or leaves != ratio * (leaves - n) or ratio & (ratio - 1):
            refuse("IsolationForest", f"{n} nodes and {leaves} leaves are no complete trees")
        if bool(((net.feature < 0) | (net.feature >= self.spec_.n_features)).any()):
            refuse("IsolationForest", f"a node tests a feature outside 0 to {self.spec_.n_features - 1}")
        if bool((net.path_length < 0).any()) or float(net.typical_length) <= 0:
            refuse("IsolationForest", "a path length is negative")


def _levels(
    trees: list[Any], features: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float64]]:
    """Return what the trees test, level by level, and where they end.

    Parameters
    ----------
    trees : list of T trees of scikit-learn
        None deeper than L.
    features : list of T arrays of int
        The columns of X that each tree was grown on.

    Returns
    -------
    feature, threshold : ndarray [T (2^L - 1)]
        Of all trees' roots, then of all trees' nodes of depth 1, and so on.
    path_length : ndarray [T 2^L]
        h at depth L.
    """
    first = np.cumsum([0, *(tree.node_count for tree in trees)])
    offset = np.repeat(first[:-1], np.diff(first))
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    inner = left >= 0
    node = np.arange(len(left))
    left, right = np.where(inner, left + offset, node), np.where(inner, right + offset, node)
    # A leaf tests nothing: every finite number goes left.
    column = [used[np.maximum(tree.feature, 0)] for tree, used in zip(trees, features, strict=True)]
    feature = np.where(inner, np.concatenate(column), 0).astype(np.int32)
    threshold = np.concatenate([tree.threshold for tree in trees])
    threshold = _float32_below(np.where(inner, threshold, np.finfo(np.float32).max))

    at, depth = first[:-1], np.zeros(len(trees))
    tested: list[NDArray[np.int64]] = []
    while not tested or inner[at].any():
        tested.append(at)
        depth = np.repeat(depth + inner[at], 2)
        at = np.stack([left[at], right[at]], axis=1).ravel()
    levels = np.concatenate(tested)
    in_leaf = np.concatenate([tree.n_node_samples for tree in trees])
    return feature[levels], threshold[levels], depth + _unsuccessful_search(in_leaf)[at]


def _float32_below(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 up to each number: what float32 exceeds the one also exceeds the other."""
    rounded = threshold.astype(np.float32)
    below = np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return below + np.float32(0)  # no -0, whose sign says nothing of its size


def _unsuccessful_search(n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean length of an unsuccessful search in a binary tree of ``n`` rows (eq. 1)."""
    m = np.maximum(n, 3) - 1.0
    return np.where(n > 2, 2 * (np.log(m) + np.euler_gamma) - 2 * m / (m + 1), n > 1).astype(np.float64)
