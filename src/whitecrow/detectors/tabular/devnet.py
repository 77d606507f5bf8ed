"""Deviation network: Pang, Shen, van den Hengel, "Deep Anomaly Detection with Deviation Networks", KDD 2019."""

from collections.abc import Sequence
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from whitecrow.core.parameters import Count, NonNegative, Positive, Probability
from whitecrow.core.spec import InputSpec
from whitecrow.detectors._deep import DeepDetector
from whitecrow.nn import Activation, Networks, mlp
from whitecrow.train import Batch, Execution, Stage

__all__ = ["DevNet"]


class DevNet(DeepDetector):
    r"""Learn a score that is near 0 for most rows and five standard deviations above it for known anomalies.

    .. math:: s(x) = \phi(x), \qquad dev(x) = \frac{\phi(x) - \mu_R}{\sigma_R}

    trained on the deviation loss, in which :math:`y = 1` for known anomalies and 0 for all other rows,

    .. math:: L(x, y) = (1 - y)\, |dev(x)| + y \max(0, a - dev(x)).

    The reference scores R are draws from N(0, 1), so :math:`\mu_R = 0`, :math:`\sigma_R = 1`, and a score of 1.96 is
    what 2.5 % of ordinary rows would exceed under that prior.

    Parameters
    ----------
    hidden_dims : tuple of int, default=(20,)
        Widths of the hidden layers, input side first. ``(1000, 250, 20)`` is the paper's deep variant, and an empty
        tuple its linear one.
    activation : str, default="relu"
        Between layers; the score is linear.
    margin : float, default=5
        :math:`a`, the score that known anomalies are pushed to.
    regime : {"labelled"}, default="labelled"
        The only one: ``y`` says 1 anomaly, 0 normal, -1 unlabelled, and at least one row is an anomaly. Normal and
        unlabelled rows are treated alike.

    Notes
    -----
    The paper takes the mean and the deviation of 5,000 draws for :math:`\mu_R` and :math:`\sigma_R`, which adds nothing
    but noise. Half of each batch are known anomalies, drawn with replacement, so one is enough. Known anomalies are too
    few to spare for validation: training takes all its steps, and ``validation`` and ``patience`` have no use here.
    The default of ``weight_decay`` is the gradient of the paper's penalty of 0.01 times the squared weights.

    References
    ----------
    .. [1] G. Pang, C. Shen, A. van den Hengel, "Deep Anomaly Detection with Deviation Networks", KDD 2019,
       arXiv 1911.08623.
    """

    execution: ClassVar[Execution] = "direct"
    uses_labels: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True
    paper: ClassVar[str] = "Pang et al., KDD 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"

    hidden_dims: tuple[Count, ...] = (20,)
    activation: Activation = "relu"
    margin: Positive = 5.0
    regime: Literal["contaminated", "clean", "labelled"] = "labelled"
    batch_size: Count = 512
    weight_decay: NonNegative = 0.02
    clip_norm: Positive | None = 1.0
    validation: Probability = 0.0

    def networks(self, spec: InputSpec) -> Networks:
        return Networks(phi=mlp(spec.n_features, *self.hidden_dims, 1, activation=self.activation))

    def stages(self) -> Sequence[Stage]:
        return (Stage(balanced=True, early_stop=False),)

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        deviation = self.score_batch(net, batch.x)  # [B], as batch.y: [B, 1] would broadcast to [B, B] and lose y
        hinge = (self.margin - deviation).clamp_min(0)
        return batch.mean(torch.where(cast(Tensor, batch.y) == 1, hinge, deviation.abs()))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        return net.phi(x).squeeze(-1)
