"""Forecasters of the next step: Munir et al. (DeepAnT), IEEE Access 2019; Hundman et al. (Telemanom), KDD 2018."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Probability
from whitecrow.core.spec import InputSpec
from whitecrow.data.series.encoder import Window
from whitecrow.data.series.folding import Fold
from whitecrow.detectors._series import DeepSeriesDetector
from whitecrow.nn import Dropout, Networks, mlp
from whitecrow.train import Batch

__all__ = ["Forecaster"]

_LAW_WINDOWS = 5000  # evenly spaced training windows that the usual errors are taken from
_LEAST_SPREAD = 1e-2  # of a channel's errors, in units of the scaled channel


class Forecaster(DeepSeriesDetector):
    r"""Predict the last step of each window from the steps before it; what cannot be predicted is anomalous.

    .. math:: s(x) = \frac{1}{hC} \sum_{t = W - h + 1}^{W} \lVert x_t - \hat x_t(x_1, \dots, x_{W - h}) \rVert^2

    trained on the mean of the same error. A score depends on no later step.

    Parameters
    ----------
    model : {"cnn", "lstm"}, default="cnn"
        Convolutions with max-pooling, as in [1]_, or an LSTM that reads the past, as in [2]_.
    horizon : int, default=1
        h, the last steps of a window, which are predicted at once.
    channels : tuple of int, default=(32, 40)
        Channels of the convolutions of width 3, each of which is followed by pooling that halves the steps.
    head : {"flatten", "average"}, default="flatten"
        Whether the prediction sees where in the past a feature lies, or only its average over the past.
    hidden_dim : int, default=64
        Width of the layer before the prediction, or units of the LSTM.
    n_layers : int, default=1
        Layers of the LSTM.
    dropout : float, default=0.1
        Probability of dropping a value before the last layer in training.
    score_type : {"squared", "robust"}, default="squared"
        The score above, or the mean over the channels of the absolute error beyond its median in training, 0 below it,
        divided by 0.01 plus the interquartile range there: for channels that are not equally predictable.
    window : int or "auto", default=64
        Steps in a window, W: those that are looked at and the h that are predicted.
    fold : {"last", "centre", "mean", "median", "max"}, default="last"
        A prediction is about the end of its window, which *last* says.
    batch_size : int, default=128
        Windows per step.

    Notes
    -----
    A lasting change raises the error at its beginning only. :class:`~whitecrow.calibrate.DynamicThreshold` flags ranges
    of the scores by the rule of [2]_.

    References
    ----------
    .. [1] M. Munir, S. A. Siddiqui, A. Dengel, S. Ahmed, "DeepAnT: A Deep Learning Approach for Unsupervised Anomaly
       Detection in Time Series", IEEE Access 7, 2019.
    .. [2] K. Hundman, V. Constantinou, C. Laporte, I. Colwell, T. Soderstrom, "Detecting Spacecraft Anomalies Using
       LSTMs and Nonparametric Dynamic Thresholding", KDD 2018, arXiv 1802.04431.
    """

    paper: ClassVar[str] = "Munir et al., IEEE Access 2019"
    year: ClassVar[int] = 2019
    cost: ClassVar[Literal["low", "medium", "high"]] = "medium"
    aimed_steps: ClassVar[int] = 2000

    model: Literal["cnn", "lstm"] = "cnn"
    horizon: Count = 1
    channels: tuple[Count, ...] = (32, 40)
    head: Literal["flatten", "average"] = "flatten"
    hidden_dim: Count = 64
    n_layers: Count = 1
    dropout: Probability = 0.1
    score_type: Literal["squared", "robust"] = "squared"
    window: Window = 64
    fold: Fold = "last"
    batch_size: Count = 128

    def networks(self, spec: InputSpec) -> Networks:
        window, n_channels = spec.shape
        past, predicted = window - self.horizon, self.horizon * n_channels
        if past < 1:
            raise DataError(
                f"{type(self).__name__}(horizon={self.horizon}): windows have {window} steps, which leaves none to "
                "predict from. Take a longer window or a smaller horizon."
            )
        if self.model == "cnn":
            reader: nn.Module = self._convolutions(n_channels)
            widths = self._reader_width(past), self.hidden_dim
            last: nn.Module = nn.Sequential(mlp(*widths, output="relu"), self._dropout(), mlp(widths[1], predicted))
        else:
            reader = nn.LSTM(n_channels, self.hidden_dim, self.n_layers, batch_first=True)
            last = nn.Sequential(self._dropout(), mlp(self.hidden_dim, predicted))
        return Networks(reader=reader, last=last, middle=torch.zeros(n_channels), spread=torch.ones(n_channels))

    def _dropout(self) -> nn.Module:
        return Dropout(float(self.dropout)) if self.dropout else nn.Identity()

    def _convolutions(self, n_channels: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        before = n_channels
        for after in self.channels:
            # Of an odd number of steps, the last one is pooled alone.
            layers += [nn.Conv1d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2, ceil_mode=True)]
            before = after
        if self.head == "average":
            layers.append(nn.AdaptiveAvgPool1d(1))
        return nn.Sequential(*layers, nn.Flatten())

    def _reader_width(self, past: int) -> int:
        if self.head == "average":
            return self.channels[-1]
        for _ in self.channels:
            past = -(-past // 2)
        return past * self.channels[-1]

    def finish(self, net: Networks, X: Tensor) -> None:
        if self.score_type == "squared":
            return
        windows = X[:: -(-len(X) // _LAW_WINDOWS)]
        errors = torch.cat([self._errors(net, part) for part in windows.split(self.chunk_rows)]).abs().flatten(0, 1)
        low, middle, high = torch.quantile(errors, errors.new_tensor([0.25, 0.5, 0.75]), dim=0)
        net.middle.copy_(middle)
        net.spread.copy_(high - low + _LEAST_SPREAD)

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        return batch.mean(self._errors(net, batch.x).square().mean((-2, -1)))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        errors = self._errors(net, x)
        if self.score_type == "squared":
            return errors.square().mean((-2, -1))
        return ((errors.abs() - net.middle) / net.spread).relu().mean((-2, -1))

    def _errors(self, net: Networks, x: Tensor) -> Tensor:
        """Return the signed errors of the predictions, ``[B, h, C]``."""
        steps = x.unflatten(-1, self.spec_.shape)
        past, target = steps[:, : -self.horizon], steps[:, -self.horizon :]
        # A convolution wants time last; a reshape would mix steps and channels.
        read = net.reader(past.transpose(1, 2)) if self.model == "cnn" else net.reader(past)[0][:, -1]
        return target - net.last(read).unflatten(-1, target.shape[1:])
