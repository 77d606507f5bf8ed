"""Supervised classifier: Elkan, Noto, "Learning Classifiers from Only Positive and Unlabeled Data", KDD 2008."""

from collections.abc import Sequence
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, NonNegative, Positive, Probability
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Activation, Networks, hidden_width, mlp, softplus
from whitecrow.train import Batch, Execution, Stage

__all__ = ["Classifier"]


class Classifier(DeepDetector):
    r"""Learn to tell the known anomalies from all other rows; score by the logit of being one of them.

    .. math:: s(x) = \operatorname{logit} p(y = 1 \mid x)

    under equal shares of both classes, trained on the cross-entropy, each class averaged by itself,

    .. math:: \frac{w \operatorname{mean}_{y = 1} H(x) + \operatorname{mean}_{y \ne 1} H(x)}{w + 1}, \qquad
        H(x) = -(1 - p)^\gamma \log p,

    where p is the probability that the network gives to the class of x. This is the supervised baseline: it learns what
    the known anomalies look like, and says little about anomalies of other kinds.

    Parameters
    ----------
    hidden_dims : tuple of int or None, default=None
        Widths of the hidden layers, input side first; an empty tuple is logistic regression. None takes two layers, h
        and h / 2, where h is the power of two nearest to D, from 16 to 256.
    activation : str, default="relu"
        Between layers; the logit is linear.
    dropout : float from 0 to 1 (excluded), default=0
        Probability of dropping a hidden value in training.
    anomaly_weight : float, default=1
        w. Above 1 a missed anomaly costs more than a false alarm.
    focus : float, default=0
        :math:`\gamma` of the focal loss [2]_. Above 0, rows that are already told apart count less.
    regime : {"labelled"}, default="labelled"
        The only one: ``y`` says 1 anomaly, 0 normal, -1 unlabelled, and at least one row is an anomaly. Normal and
        unlabelled rows are the other class.

    Notes
    -----
    If the known anomalies are a random sample of all anomalies, those that hide among the unlabelled rows lower the
    probabilities but leave the ranking as it is (lemma 1 of [1]_). Half of each batch are known anomalies, drawn with
    replacement. ``validation`` is 0 by default, because known anomalies are few.

    References
    ----------
    .. [1] C. Elkan, K. Noto, "Learning Classifiers from Only Positive and Unlabeled Data", KDD 2008.
    .. [2] T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár, "Focal Loss for Dense Object Detection", ICCV 2017,
       arXiv 1708.02002.
    """

    execution: ClassVar[Execution] = "direct"
    uses_labels: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True
    paper: ClassVar[str] = "Elkan and Noto, KDD 2008"
    year: ClassVar[int] = 2008
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    hidden_dims: tuple[Count, ...] | None = None
    activation: Activation = "relu"
    dropout: Probability = 0.0
    anomaly_weight: Positive = 1.0
    focus: NonNegative = 0.0
    regime: Literal["contaminated", "clean", "labelled"] = "labelled"
    weight_decay: NonNegative = 0.01
    validation: Probability = 0.0

    def networks(self, spec: InputSpec) -> Networks:
        h = hidden_width(spec.n_features)
        hidden = self.hidden_dims if self.hidden_dims is not None else (h, max(h // 2, 2))
        return Networks(phi=mlp(spec.n_features, *hidden, 1, activation=self.activation, dropout=self.dropout))

    def stages(self) -> Sequence[Stage]:
        return (Stage(balanced=True),)

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        logit, known = self.score_batch(net, batch.x), cast(Tensor, batch.y) == 1
        entropy = softplus(torch.where(known, -logit, logit))
        if self.focus:
            # The floor keeps the slope of a power below 1 finite.
            entropy = (-torch.expm1(-entropy)).clamp_min(1e-12) ** self.focus * entropy
        # By class, because validation rows come in their natural shares.
        anomalous, other = (self._mean_over(rows, batch, entropy) for rows in (known, ~known))
        return (self.anomaly_weight * anomalous + other) / (self.anomaly_weight + 1)

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.phi(x).squeeze(-1)

    def _mean_over(self, rows: Tensor, batch: Batch, values: Tensor) -> Tensor:
        weight = rows.to(values.dtype) if batch.weight is None else rows * batch.weight
        return Batch(batch.x, batch.y, weight).mean(values)
