"""EncDec-AD, a recurrent encoder-decoder: Malhotra et al., Anomaly Detection Workshop at ICML 2016."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from whitecrow.core.errors import DataError
from whitecrow.core.parameters import Count, Positive
from whitecrow.core.spec import InputSpec
from whitecrow.data.series.encoder import Window
from whitecrow.detectors._series import DeepSeriesDetector
from whitecrow.nn import Networks
from whitecrow.nn.error_law import ErrorLaw
from whitecrow.train import Batch

__all__ = ["Seq2Seq"]

_LAW_WINDOWS = 2000  # evenly spaced training windows that the law of the errors is taken from


class Seq2Seq(DeepSeriesDetector):
    r"""Read a window into the state of a recurrent network and retell it backwards; what is told wrongly is anomalous.

    .. math:: s_t = \frac{1}{C} \lVert x_t - x'_t \rVert^2

    The encoder's last state is the decoder's first one. A linear layer reads the last step off it; the decoder takes
    that as input and goes on to the step before, down to the first. Trained on the mean of the same error.

    Parameters
    ----------
    hidden_dim : int, default=32
        Units of the encoder, and of the decoder: all that is kept of a window.
    cell : {"lstm", "gru"}, default="lstm"
        Kind of recurrent unit. On a processor the LSTM is several times as fast.
    reverse : bool, default=True
        Whether the decoder begins with the last step, which the encoder has just read, or with the first.
    teacher_forcing : bool, default=False
        Whether the decoder is trained with the true step before as its input, as in the paper. Validation and scores
        always feed its own predictions back.
    score_type : {"squared", "mahalanobis"}, default="squared"
        The score above, or :math:`(e_t - \mu)^\top \Sigma^{-1} (e_t - \mu)` of the errors :math:`e_t = x_t - x'_t` with
        their mean and covariance over the channels, taken from the training windows.
    window : int or "auto", default=100
        Steps in a window, W; one or two periods. Beyond some 200 steps a state carries too little back: take every
        second step instead.
    batch_size : int, default=64
        Windows per step.
    lr : float or None, default=1e-2
        Learning rate of Adam.
    clip_norm : float or None, default=1
        Largest norm of a replica's gradient.

    Notes
    -----
    The paper trains by teacher forcing alone, and its errors at scoring time are then those of a task that was never
    trained. It takes absolute errors into the Gaussian; signed ones are used here, as an error below the mean absolute
    one would be anomalous otherwise. The forget gates of an LSTM start with a bias of 1 [2]_.

    References
    ----------
    .. [1] P. Malhotra, A. Ramakrishnan, G. Anand, L. Vig, P. Agarwal, G. Shroff, "LSTM-based Encoder-Decoder for
       Multi-sensor Anomaly Detection", Anomaly Detection Workshop at ICML 2016, arXiv 1607.00148.
    .. [2] R. Jozefowicz, W. Zaremba, I. Sutskever, "An Empirical Exploration of Recurrent Network Architectures", ICML
       2015.
    """

    paper: ClassVar[str] = "Malhotra et al., ICML workshop 2016"
    year: ClassVar[int] = 2016
    cost: ClassVar[Literal["low", "medium", "high"]] = "high"
    aimed_steps: ClassVar[int] = 1500

    hidden_dim: Count = 32
    cell: Literal["lstm", "gru"] = "lstm"
    reverse: bool = True
    teacher_forcing: bool = False
    score_type: Literal["squared", "mahalanobis"] = "squared"
    window: Window = 100
    batch_size: Count = 64
    lr: Positive | None = 1e-2
    clip_norm: Positive | None = 1.0

    def networks(self, spec: InputSpec) -> Networks:
        window, n_channels = spec.shape
        if window < 2:
            raise DataError(
                f"{type(self).__name__}: windows have {window} step, which leaves no step to tell from another. "
                "Take windows of at least 2 steps."
            )
        return Networks(
            encoder=self._unit(n_channels),
            decoder=self._unit(n_channels),
            output=nn.Linear(self.hidden_dim, n_channels),
            law=ErrorLaw(n_channels),
        )

    def _unit(self, n_channels: int) -> nn.LSTM | nn.GRU:
        if self.cell == "gru":
            return nn.GRU(n_channels, self.hidden_dim, batch_first=True)
        unit = nn.LSTM(n_channels, self.hidden_dim, batch_first=True)
        # Gates in the order input, forget, cell, output: cells start out remembering, over hundreds of steps.
        nn.init.ones_(unit.get_parameter("bias_ih_l0").data[self.hidden_dim : 2 * self.hidden_dim])
        return unit

    def finish(self, net: Networks, X: Tensor) -> None:
        if self.score_type == "mahalanobis":
            windows = X[:: -(-len(X) // _LAW_WINDOWS)]
            net.law.fit(torch.cat([self._errors(net, part) for part in windows.split(self.chunk_rows)]))

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        # Only training may look at the true steps: a validation that did so would be too good.
        errors = self._errors(net, batch.x, forced=self.teacher_forcing and net.training)
        return batch.mean(errors.square().mean((-2, -1)))

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        errors = self._errors(net, x)
        return net.law.distance(errors) if self.score_type == "mahalanobis" else errors.square().mean(-1)

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor:
        return x - self._errors(net, x).flatten(-2)

    def _errors(self, net: Networks, x: Tensor, *, forced: bool = False) -> Tensor:
        """Return the signed errors of rows ``[B, W * C]``, ``[B, W, C]``."""
        steps = x.unflatten(-1, self.spec_.shape)
        told = steps.flip(1) if self.reverse else steps
        state = net.encoder(steps)[1]
        # The state of an LSTM is (h, c), that of a GRU h alone.
        first = (state[0] if self.cell == "lstm" else state).transpose(0, 1)
        n = told.shape[1] - 1
        rest = net.decoder(told[:, :n], state)[0] if forced else _feed_back(net.decoder, net.output, state, n)
        errors = told - net.output(torch.cat([first, rest], 1))
        return errors.flip(1) if self.reverse else errors


def _feed_back(unit: nn.LSTM | nn.GRU, output: nn.Linear, state: Tensor | tuple[Tensor, Tensor], n: int) -> Tensor:
    """Return the n hidden states, ``[B, n, H]``, that follow where each input is the output of the state before."""
    w_in, w_state, b_in, b_state = (
        getattr(unit, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    if isinstance(state, tuple):
        # The output is linear in the hidden state, so that feeding it back amounts to other weights and no input.
        weights = (w_in, w_state + w_in @ output.weight, b_in + w_in @ output.bias, b_state)
        silence = state[0].new_zeros(state[0].shape[1], n, w_in.shape[1])
        return torch.lstm(silence, state, weights, True, 1, 0.0, unit.training, False, True)[0]
    hidden, states = state[0], []
    for _ in range(n):
        hidden = torch.gru_cell(output(hidden), hidden, w_in, w_state, b_in, b_state)
        states.append(hidden)
    return torch.stack(states, 1)
