"""Detectors that are trained by gradients."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from importlib.metadata import version
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Contamination, Count, NonNegative, Positive, Probability
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.detectors._base import Detector, NotFittedError
from whitecrow.nn import Networks
from whitecrow.train import Batch, Checkpoint, Execution, Progress, Stage, train
from whitecrow.train.engine import Settings, Training
from whitecrow.train.plan import Schedule, idle

__all__ = ["DeepDetector"]

_VALIDATION_ROWS = 5000


class DeepDetector(Detector):
    """Base of the detectors that are trained by gradients.

    A method writes :meth:`networks`, :meth:`loss` and :meth:`score_batch`, and the other hooks where it needs them.
    It holds no loop, optimiser, device, scaling or threshold.

    Parameters
    ----------
    n_replicas : int, default=1
        Independently seeded copies, trained at once; the score is their mean.
    epochs : int or None, default=None
        Most passes over the training rows. None takes as many as make about 4,000 optimiser steps, from 8 to 200.
    batch_size : int, default=256
        Rows per step; at most a tenth of the training rows (but no fewer than 8), so that an epoch has some steps.
    lr : float or None, default=1e-3
        Learning rate of Adam. None takes the method's own for the kind of data.
    lr_schedule : {"constant", "cosine"}, default="constant"
        Whether the rate stays, or falls to zero along half a cosine.
    weight_decay : float, default=0
        Factor of an L2 penalty on the weights.
    clip_norm : float or None, default=None
        Largest norm of a replica's gradient.
    validation : float from 0 to 1 (excluded), default=0.1
        Share of the training rows (at most 5,000) that stop the training early and choose its epoch. 0 trains to the
        end and keeps the last.
    patience : int, default=20
        Epochs without improvement on the validation rows after which a replica stops.
    trim : float from 0 to 0.5, default=0
        Share of the training rows that each epoch leaves out: those with the largest losses after the epoch before.
        For training rows that hold anomalies; about as large as their share, or a little larger.
    checkpoint : str or None, default=None
        File that the fit writes at the ends of epochs, and resumes from if it is there: a killed or interrupted fit
        ends with the same result as an undisturbed one. Needs an integer ``random_state``.

    Attributes
    ----------
    history_ : dict of str to list of list of float
        ``"fit.loss"`` and the like: one list per epoch with the mean loss of each replica.
    n_epochs_ : list of int [R]
        Epochs after which each replica was kept.
    diverged_ : list of bool [R]
        Whether a replica was set back and frozen because its numbers were no longer finite.
    """

    execution: ClassVar[Execution] = "vmap"
    # Where ``epochs`` is None: as many as make about so many steps, within these bounds.
    aimed_steps: ClassVar[int] = 4000
    least_epochs: ClassVar[int] = 8
    most_epochs: ClassVar[int] = 200
    most_image_epochs: ClassVar[int | None] = None  # of images, where it differs
    default_lr: ClassVar[Mapping[Kind, float]] = {}  # by kind of data, where ``lr`` is None
    learnt: ClassVar[tuple[str, ...]] = ()  # members of the networks that only the fit adds, of sizes it finds

    clip: Positive | None = 10.0
    n_replicas: Count = 1
    epochs: Count | None = None
    batch_size: Count = 256
    lr: Positive | None = 1e-3
    lr_schedule: Schedule = "constant"
    weight_decay: NonNegative = 0.0
    clip_norm: Positive | None = None
    validation: Probability = 0.1
    patience: Count = 20
    trim: Contamination = 0.0
    checkpoint: str | None = None

    # ---- what a method writes -------------------------------------------------------------------------------------

    def networks(self, spec: InputSpec) -> Networks:
        """Build one replica, freshly initialised, for rows of this shape."""
        raise TypeError(f"{type(self).__name__} defines no networks(spec).")

    def loss(self, net: Networks, batch: Batch) -> Tensor:
        """Return the scalar loss of one replica on a batch: plain PyTorch on ``[B, ...]``.

        A method whose code names trailing axes only (``.sum(-1)``, ``batch.mean``, layers of :mod:`whitecrow.nn`)
        may set ``execution = "direct"``: the same lines then run on ``[R, B, ...]`` and return ``[R]``.
        """
        raise TypeError(f"{type(self).__name__} defines no loss(net, batch).")

    @idle
    def gradient(self, net: Networks, batch: Batch) -> tuple[Tensor, dict[Tensor, Tensor]] | None:
        """Return the value of :meth:`loss` and its gradient by parameter, written out by hand; None = not this time.

        For speed only: small networks spend as long in automatic differentiation as in arithmetic. It is used where
        ``loss`` is the only objective and the networks run directly; the contract holds it to ``loss``.
        """
        return None

    def stages(self) -> Sequence[Stage]:
        """Return the stages of training; one stage with the objective ``loss`` by default."""
        return (Stage(),)

    @idle
    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None:
        """Set the state of one fresh replica from all its training rows ``[N, ...]`` (a centre, a codebook)."""

    @idle
    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> Tensor | None:
        """Update the state of one replica; may return weights ``[N]`` of its training rows.

        ``epoch`` counts from 0 in each stage. The weights hold for the epochs that follow; None leaves them as
        they are, at first all equal. The validation loss is measured, and the best epoch is kept, with the state
        that this hook leaves.
        """
        return None

    @idle
    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]:
        """Return numbers that ``history_`` keeps of a replica after each epoch, measured on up to 64 training rows.

        For what the losses do not say, such as whether the samples of a generator are still diverse.
        """
        return {}

    @idle
    def finish(self, net: Networks, X: Tensor) -> None:
        """Set the state of one trained replica from all its training rows (a mixture, a scale of the scores)."""

    def encode_batch(self, net: Networks, x: Tensor) -> Tensor | None:
        """Return the latent codes of rows, ``[B, K]``, for a method that has them."""
        return None

    def row_losses(self, net: Networks, x: Tensor) -> Tensor:
        """Return what ``trim`` ranks training rows by, ``[B]``: their scores, unless those come later (``finish``)."""
        return self.score_batch(net, x)

    # ---- looking in -----------------------------------------------------------------------------------------------

    def as_of(self, progress: Progress) -> Self:
        """Return this detector as it stands after an epoch, for the observer of its fit.

        It scores what ``fit`` was given and what it was not, and its fit goes on as if nobody had looked. It has no
        threshold yet (``threshold_`` is nan): :meth:`set_threshold` sets one by rows that are given to it.

        Parameters
        ----------
        progress : Progress
            Of the end of an epoch, while the observer is being called with it.

        Raises
        ------
        NotFittedError
            Within an epoch, and for a method that learns its score only after the training.

        Examples
        --------
        >>> import numpy as np
        >>> from whitecrow import AutoEncoder
        >>> from whitecrow.train import monitor
        >>> X, detector, largest = np.random.default_rng(0).normal(size=(200, 5)), AutoEncoder(epochs=3), []
        >>> def look(progress):
        ...     if progress.networks is not None:
        ...         largest.append(detector.as_of(progress).anomaly_score(X).max())
        >>> with monitor(look):
        ...     _ = detector.fit(X)
        >>> len(largest)
        3
        """
        name = type(self).__name__
        if self.learnt:
            raise NotFittedError(f"{name} learns its score after the training: it cannot score after an epoch.")
        if progress.networks is None:
            raise NotFittedError(f"{name}.as_of: networks can be looked at when an epoch has ended, not within it.")
        early = copy(self)
        early.replicas_ = progress.networks()
        # Nothing of an earlier fit may be taken for this one's.
        early.calibration_scores_ = early.fit_scores_ = np.empty(0)
        early.threshold_, early.threshold_source_ = math.nan, "none yet: the fit goes on"
        return early

    def latent_code(self, X: Any) -> NDArray[np.float32]:
        """Return the latent codes of samples, for a look at what the networks make of them.

        Parameters
        ----------
        X : table, array-like [N, columns], or images
            As in ``fit``; for a series its windows, one code for each.

        Returns
        -------
        ndarray of float32 [N, K]
            Of the first replica: the axes of another's mean something else.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            If the samples cannot be used.
        ParameterError
            If the method has no latent code.
        """
        self._check_fitted()
        rows = self._accept(X, self.spec_.kind, fitting=False)

        def found(net: Networks, x: Tensor) -> Tensor:
            codes = self.encode_batch(net, x)
            if codes is None:
                raise ParameterError(f"latent_code: {type(self).__name__} has no latent code.")
            return codes

        return np.concatenate([codes[0] for codes in self._blocks(found, partial(self.encoder_.fill, rows))])

    # ---- fitting --------------------------------------------------------------------------------------------------

    @property
    def _n_replicas(self) -> int:
        return int(self.n_replicas)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.checkpoint is not None and not isinstance(self.random_state, (int, np.integer, tuple)):
            raise ParameterError(
                f"{type(self).__name__}(checkpoint={self.checkpoint!r}, random_state={self.random_state!r}): a "
                "fit that can be resumed needs the same seed next time. Give random_state an integer."
            )

    @property
    def _rate(self) -> float:
        """The learning rate; where it is None, the method's own for the kind of data."""
        return self.default_lr.get(self.spec_.kind, 1e-3) if self.lr is None else float(self.lr)

    def _settings(self, n: int) -> Settings:
        n_validation = min(int(self.validation * n), _VALIDATION_ROWS)
        n_training = n - n_validation
        batch_size = min(int(self.batch_size), max(8, n_training // 10))
        steps = -(-n_training // batch_size)
        most = self.most_epochs
        if self.spec_.kind == "image" and self.most_image_epochs is not None:
            most = self.most_image_epochs
        aimed = min(max(round(self.aimed_steps / steps), self.least_epochs), most)
        return Settings(
            epochs=aimed if self.epochs is None else int(self.epochs),
            batch_size=batch_size,
            lr=self._rate,
            lr_schedule=self.lr_schedule,
            weight_decay=float(self.weight_decay),
            clip_norm=self.clip_norm,
            n_validation=n_validation,
            patience=int(self.patience),
            trim=float(self.trim),
            verbose=bool(self.verbose),
        )

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...], rows: Tensor | None = None) -> None:
        checkpoint = None
        if self.checkpoint is not None:
            checkpoint = Checkpoint(self.checkpoint, self._fingerprint(X, y, seeds))
        training = train(
            self,
            X,
            y,
            spec=self.spec_,
            seeds=seeds,
            settings=self._settings(len(X if rows is None else rows)),
            rows=None if rows is None else rows.expand(len(seeds), -1),
            checkpoint=checkpoint,
        )
        self.replicas_ = training.replicas
        self.history_ = training.history
        self.n_epochs_ = training.n_epochs
        self.diverged_ = training.diverged

    def _take_replica(self, training: Training, r: int) -> None:
        """Set what a fit leaves behind from replica ``r`` of a training of several."""
        self.replicas_ = training.replicas.take(r)
        self.history_ = {name: [[epoch[r]] for epoch in values] for name, values in training.history.items()}
        self.n_epochs_, self.diverged_ = [training.n_epochs[r]], [training.diverged[r]]

    def _fingerprint(self, X: Tensor, y: Tensor, seeds: tuple[int, ...]) -> str:
        """Identify the method, what influences its training, and the data."""
        apart = {"checkpoint", "verbose", "random_state", "contamination", "device"}
        chosen = {name: value for name, value in self.get_params().items() if name not in apart}
        what = (version("whitecrow"), type(self).__name__, sorted(chosen.items()), seeds)
        digest = hashlib.blake2b(repr(what).encode())
        # Windows of a series overlap, so that some of them hold all of its steps.
        length = self.spec_.shape[0] if self.spec_.kind == "sequence" else 1
        for tensor in (X[::length], X[-1:], y):
            digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
        return digest.hexdigest()
