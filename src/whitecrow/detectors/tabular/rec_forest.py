"""Reconstruction by a completely random forest: Xu et al., "Reconstruction-based Anomaly Detection ...", SDM 2021."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from whitecrow.core.parameters import Count, Range
from whitecrow.detectors._base import Detector
from whitecrow.detectors._buffers import check_layout, refuse
from whitecrow.nn import Networks

__all__ = ["RecForest"]


class RecForest(Detector):
    r"""Intersect the boxes in which random trees put a row; score it by its distance to the middle of what remains.

    The cuts on its way through tree t leave a row the box :math:`[l^t, u^t]`. With :math:`l^0` and :math:`u^0` the
    smallest and the largest value of each feature in training,

    .. math:: x'_q = \frac12 \left(\max_{t \ge 0} l^t_q + \min_{t \ge 0} u^t_q\right), \qquad
        s(x) = \lVert x - x' \rVert^2

    Parameters
    ----------
    n_estimators : int, default=100
        Number of trees. More of them make the boxes smaller.
    max_depth : int or None, default=None
        Most cuts on a row's way. None cuts until all rows of a leaf are equal.
    max_samples : int from 2, default=10_000
        Number of rows that each tree is grown on, drawn without repetition, or all rows if there are fewer. Memory
        grows with its product with the number of trees.

    Notes
    -----
    scikit-learn grows the trees. A cut takes one of the features that vary in the node, each as likely, and a threshold
    uniformly between its extremes there; a row goes left if :math:`x_q \le` threshold, and the box of each row is that
    of the way it really takes. The nodes of a tree stand in the order of their first visit: the left child is the next
    node and the right child comes later, so every step leads forward and no file can lead a row in a circle.

    References
    ----------
    .. [1] Y.-X. Xu, M. Pang, J. Feng, K. M. Ting, Y. Jiang, Z.-H. Zhou, "Reconstruction-based Anomaly Detection with
       Completely Random Forest", SDM 2021. doi:10.1137/1.9781611976700.15
    """

    paper: ClassVar[str] = "Xu et al., SDM 2021"
    year: ClassVar[int] = 2021
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    n_estimators: Count = 100
    max_depth: Count | None = None
    max_samples: Annotated[int, Range(2)] = 10_000

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        from sklearn.tree import ExtraTreeRegressor

        rows, rng = X.cpu().numpy(), np.random.default_rng(seed % 2**64)
        n, m = len(rows), min(int(self.max_samples), len(rows))
        trees = []
        for _ in range(self.n_estimators):
            sample = rows if m == n else rows[rng.permutation(n)[:m]]
            grower = ExtraTreeRegressor(max_features=1, max_depth=self.max_depth, random_state=int(rng.integers(2**31)))
            # The target is noise that no cut is chosen by: there is only one to choose from.
            trees.append(grower.fit(sample, rng.random(m)).tree_)
        root = np.cumsum([0, *(tree.node_count for tree in trees)])
        right = np.concatenate([tree.children_right for tree in trees])
        # A leaf leads to itself.
        right = np.where(right < 0, np.arange(root[-1]), right + np.repeat(root[:-1], np.diff(root)))
        learnt = Networks(
            root=torch.from_numpy(root[:-1].astype(np.int32)),
            right=torch.from_numpy(right.astype(np.int32)),
            feature=torch.from_numpy(np.concatenate([tree.feature for tree in trees]).clip(0).astype(np.int32)),
            threshold=torch.from_numpy(np.concatenate([tree.threshold for tree in trees])),
            lowest=torch.from_numpy(rows.min(0)),
            highest=torch.from_numpy(rows.max(0)),
        )
        return learnt.to(X.device)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return self.feature_scores(net, x).sum(1)

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor:
        low, high = self.box(net, x)
        return (x.double() - (low + high) / 2).square()

    def box(self, net: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lower and the upper corners ``[B, D]``, float64, of what the boxes of all trees share."""
        b, d = x.shape
        # The upper corners with a minus, so that both take the largest of the thresholds on the way.
        corners = torch.stack([net.lowest, -net.highest]).double().repeat_interleave(b, 0).view(-1)
        values = x.double().reshape(-1)
        # One walker for each row and tree, which drops out at a leaf.
        node = net.root.repeat(b)
        first = torch.arange(0, b * d, d, device=x.device).repeat_interleave(len(net.root))
        while True:
            right = net.right.index_select(0, node)
            walking = (right > node).nonzero().squeeze(1)
            if not len(walking):
                low, minus_high = corners.view(2, b, d)
                return low, -minus_high
            node, first, right = (t.index_select(0, walking) for t in (node, first, right))
            place = first + net.feature.index_select(0, node)
            threshold = net.threshold.index_select(0, node)
            above = values.index_select(0, place) > threshold
            corner = torch.where(above, place, place + b * d)
            corners.scatter_reduce_(0, corner, torch.where(above, threshold, -threshold), "amax")
            node = torch.where(above, right, node + 1)

    def check_buffers(self, net: Networks) -> None:
        d, whole, real = self.spec_.n_features, torch.int32, torch.float32
        n = len(net.right) if hasattr(net, "right") and net.right.dim() else 0
        check_layout(
            "RecForest", net, root=(whole, (self.n_estimators,)), right=(whole, (n,)), feature=(whole, (n,)),
            threshold=(torch.float64, (n,)), lowest=(real, (d,)), highest=(real, (d,)),
        )  # fmt: skip
        node = torch.arange(n, dtype=whole, device=net.right.device)
        if n == 0 or bool(((net.root < 0) | (net.root >= n)).any()):
            refuse("RecForest", f"a root is not one of its {n} nodes")
        # The last node is a leaf, so that the left child of every other stands in the list.
        if bool(((net.right < node) | (net.right >= n)).any()) or int(net.right[-1]) != n - 1:
            refuse("RecForest", "a way leads backwards, or out of the trees")
        if bool(((net.feature < 0) | (net.feature >= d)).any()):
            refuse("RecForest", f"a node tests a feature outside 0 to {d - 1}")
        if bool((net.lowest > net.highest).any()):
            refuse("RecForest", "a smallest value exceeds the largest")
