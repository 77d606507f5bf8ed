"""The face of every detector: fit, score, threshold, explain, save."""

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import sklearn.exceptions
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import validate_data
from torch import Tensor

from whitecrow.calibrate import Quantile, p_values
from whitecrow.core import parameters
from whitecrow.core.errors import DataError, ParameterError, TrainingError, WhitecrowError
from whitecrow.core.parameters import Contamination, Positive, Probability
from whitecrow.core.spec import InputSpec, Kind
from whitecrow.data import as_table
from whitecrow.data.encoders import Encoder, Unfolded, encoder_class, kind_of
from whitecrow.detectors._constructor import Fields
from whitecrow.detectors._labels import read_labels
from whitecrow.detectors._prepared import Prepared
from whitecrow.nn import Networks, derive_seed
from whitecrow.train import Replicas, threads_for

if TYPE_CHECKING:
    from whitecrow.calibrate import Threshold
    from whitecrow.explain import Explanation

__all__ = ["Detector", "NotFittedError"]

_KEPT_SCORES = 100_000
_KEPT_ROWS = 500
_KEPT_VALUES = 1 << 20  # of the reference rows, where a row is an image or a long window
_CHUNK_VALUES = 1 << 19
_ENOUGH_TO_CALIBRATE = 100


class NotFittedError(WhitecrowError, sklearn.exceptions.NotFittedError):
    """The detector has not been fitted."""


class Detector(Fields, OutlierMixin, BaseEstimator):
    """Base of all detectors; subclasses add a method.

    A method without gradients writes two hooks, :meth:`learn` and :meth:`score_batch`. A method that is trained by
    gradients derives from :class:`~whitecrow.detectors.DeepDetector`. Hyperparameters are annotated fields of the
    class body; the constructor, its checks, the command line and the forms derive from them. Class attributes say
    where the method comes from (``paper``, ``year``), whether it learns from labels (``uses_labels``) and cannot do
    without known anomalies (``needs_labels``), and what a fit costs against the plain autoencoder's (``cost``: low up
    to 3 times, medium up to 10 times, high more).

    Parameters
    ----------
    regime : {"contaminated", "clean", "labelled"}, default="contaminated"
        What the training rows are, which decides what ``contamination`` means.
        *contaminated*: some are anomalous; the threshold flags the share ``contamination`` of the training rows.
        *clean*: all are normal; the threshold flags at most the share ``contamination`` of new normal rows, measured
        on rows held out of training.
        *labelled*: ``y`` says 1 anomaly, 0 normal, -1 unlabelled; rows labelled 1 are kept out of training, unless
        the method learns from them, and the threshold is set as in *clean*, on rows labelled 0, or unlabelled ones
        where there are fewer than 100 of these.
    contamination : float from 0 to 0.5, default=0.05
        Share that the threshold flags. At 0 nothing that was seen is flagged.
    calibration : float from 0 to 1 (excluded), default=0.1
        Share of the training rows held out to calibrate p-values and, in the clean regime, the threshold. 0 trains on
        all rows and leaves :meth:`p_value` without a basis.
    scaling : {"standard", "robust", "minmax", "none"}, default="standard"
        Scaling of numbers, fitted on training rows: to mean 0 and variance 1; the same by mean and variance of the
        winsorised values, which anomalies among the training rows do not inflate; to [0, 1]; or as they are.
    clip : float or None
        Largest magnitude of a scaled number.
    random_state : int, tuple of int, numpy.random.RandomState or None, default=None
        Seed. None draws one from the operating system. A tuple gives the seed of each replica.
    device : str, default="auto"
        Torch device. "auto" takes the first CUDA device, else the processor.
    verbose : bool, default=True
        Whether a fit of more than two seconds shows a progress line on a terminal.

    Attributes
    ----------
    threshold_ : float
        A row is flagged if its anomaly score exceeds this.
    threshold_source_ : str
        What the threshold means.
    calibration_scores_ : ndarray [n_calibration]
        Sorted scores of the held-out rows.
    fit_scores_ : ndarray [at most 100,000]
        Sorted scores of the rows given to ``fit``, known anomalies left out (evenly spaced order statistics beyond
        that number).
    reference_ : ndarray [at most 500, D]
        Encoded training rows that were not flagged, for explanations by neighbours. They are saved with the model.
    encoder_ : TableEncoder or ImageEncoder
        Fitted on the training rows.
    spec_ : InputSpec
        Kind and shape of a sample. A method sees each sample as one row of D numbers, whatever its kind.
    replicas_ : Replicas
        The fitted networks and buffers.
    replica_seeds_ : tuple of int
        Seed of each replica. A solo fit with one of them gives that replica.
    summary_ : dict
        Rows, seconds, regime, contamination and versions of the fit.
    n_features_in_ : int
        Columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Their names, for a table.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("table",)
    uses_labels: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    paper: ClassVar[str] = ""
    year: ClassVar[int] = 0
    cost: ClassVar[Literal["low", "medium", "high"]] = "low"
    chunk_rows: ClassVar[int] = 1024

    regime: Literal["contaminated", "clean", "labelled"] = "contaminated"
    contamination: Contamination = 0.05
    calibration: Probability = 0.1
    scaling: Literal["standard", "robust", "minmax", "none"] = "standard"
    clip: Positive | None = None
    random_state: int | tuple[int, ...] | np.random.RandomState | None = None
    device: str = "auto"
    verbose: bool = True

    # ---- what a method writes -------------------------------------------------------------------------------------

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        """Return the buffers that scoring needs.

        Parameters
        ----------
        X : Tensor [N, D], float32
            Encoded training rows; ``self.spec_`` says their kind and the shape before they were flattened.
        y : Tensor [N], int64
            Labels: 1 anomaly, 0 normal, -1 unlabelled.
        seed : int
            Source of all randomness.
        """
        raise TypeError(f"{type(self).__name__} defines no learn(X, y, seed).")

    def score_batch(self, net: Networks, x: Tensor) -> Tensor:
        """Return the anomaly scores ``[B]`` of encoded rows ``[B, D]``, higher = more anomalous."""
        raise TypeError(f"{type(self).__name__} defines no score_batch(net, x).")

    def feature_scores(self, net: Networks, x: Tensor) -> Tensor | None:
        """Return non-negative parts of the scores by feature, ``[B, D]``, for a method whose score splits so."""
        return None

    def map_batch(self, net: Networks, x: Tensor) -> Tensor | None:
        """Return scores by place for images, ``[B, H, W]``, higher = more anomalous, for a method that has them.

        By default the sums of :meth:`feature_scores` over the channels.
        """
        parts = self.feature_scores(net, x)
        return None if parts is None else parts.unflatten(-1, self.spec_.shape).sum(-3)

    def rebuild_batch(self, net: Networks, x: Tensor) -> Tensor | None:
        """Return the rows ``[B, D]`` as the method rebuilds them, for a method that does."""
        return None

    def patch_batch(self, net: Networks, x: Tensor) -> Tensor | None:
        """Return features of the patches of images, ``[B, h, w, C]``, for a method that compares patches by them."""
        return None

    def check_buffers(self, net: Networks) -> None:
        """Check the learnt buffers of a loaded model, whose dtypes and shapes are :meth:`learn`'s own choice.

        Raises
        ------
        ModelFileError
            If a buffer is absent, of another shape or dtype, or holds an index out of range.
        """

    # ---- fitting --------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Learn what normal rows look like.

        Parameters
        ----------
        X : table, array-like [N, columns], or images
            A pandas, polars or Arrow table with numbers, strings, booleans, dates and missing values, or a numeric
            array without missing values. For a detector of images, what :func:`whitecrow.data.as_images` takes:
            ``[N, H, W]``, ``[N, H, W, C]``, ``[N, C, H, W]``, a folder or a list of files. At least 2 samples.
        y : array-like [N], optional
            Labels, read in the labelled regime only: 1 anomaly, 0 normal, -1 unlabelled.

        Raises
        ------
        ParameterError
            If a hyperparameter is out of its range.
        DataError
            If the rows or labels cannot be used.
        """
        prepared = self._prepare_fit(X, y)
        X, y, rows = prepared.tensors(self._device())
        self._fit_networks(X, y, prepared.seeds, rows)
        self._complete_fit(prepared)
        return self

    def _prepare_fit(self, X: Any, y: ArrayLike | None) -> Prepared:
        """Check everything, choose the rows to hold out, and fit the encoder."""
        started = time.perf_counter()
        self._check_parameters()
        vars(self).pop("threshold_", None)  # a fit that fails must not leave a mixture with the one before
        kind = kind_of(X, self.kinds)
        rows = self._accept(X, kind, fitting=True)
        labels = self._labels(y, len(rows))
        seeds = self._resolve_seeds()
        self.encoder_ = self._encoder(kind)
        prepared = self._encode_all(rows, labels, seeds, started)
        self.spec_ = InputSpec(kind, self.encoder_.shape)
        if kind != "table":
            self.n_features_in_ = self.spec_.n_features
        self.replica_seeds_ = seeds
        return prepared

    def _encode_all(self, rows: Any, labels: NDArray[np.int64], seeds: tuple[int, ...], started: float) -> Prepared:
        """Choose the rows to hold out, fit the encoder on the others, and encode all."""
        fitting, held_out = self._split(labels)
        self.encoder_.fit(rows, rows=fitting)
        encoded = self.encoder_.transform(rows)
        return Prepared(encoded, labels, fitting, held_out, seeds, started)

    def _encoder(self, kind: Kind) -> Encoder:
        """Return an encoder for samples of this kind, not fitted."""
        if kind == "table":
            return encoder_class(kind)(scaling=self._scaling, clip=None if self.clip is None else float(self.clip))
        return encoder_class(kind)()

    @property
    def _scaling(self) -> str:
        return self.scaling

    def _complete_fit(self, prepared: Prepared) -> None:
        """Set what follows from the trained networks: scores of the fit, threshold, reference rows, summary."""
        encoded, fitting, held_out = prepared.encoded, prepared.fitting, prepared.held_out
        held_out_scores, scores = self._scores_of_fit(prepared)
        self.calibration_scores_ = np.sort(held_out_scores)
        self._set_fit_scores(np.sort(scores))
        self._default_threshold()
        self._keep_reference(encoded, fitting[prepared.labels[fitting] != 1])
        self.summary_ = {
            "rows": len(encoded if prepared.given is None else prepared.given),
            "rows_trained_on": len(fitting),
            "rows_held_out": len(held_out),
            "columns": self.n_features_in_,
            "features": encoded.shape[1],
            "seconds": round(time.perf_counter() - prepared.started, 3),
            "regime": self.regime,
            "contamination": float(self.contamination),
            "versions": {name: _installed(name) for name in ("whitecrow", "torch", "numpy", "scikit-learn")},
        }

    def _scores_of_fit(self, prepared: Prepared) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the scores of the held-out rows, and those of all rows that are not known to be anomalous."""
        encoded, normal = prepared.encoded, prepared.labels != 1
        held_out = self._score(encoded[prepared.held_out]).mean(0)
        return held_out, self._score(encoded if normal.all() else encoded[normal]).mean(0)

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...], rows: Tensor | None = None) -> None:
        """Set ``replicas_`` from the rows of X, or from those that ``rows`` chooses."""
        if rows is not None:
            X, y = X[rows], y[rows]
        self.replicas_ = Replicas.stack([self.learn(X, y, seeds[0])])

    def _check_parameters(self) -> None:
        for field in parameters.fields(type(self)).values():
            parameters.check(type(self).__name__, field.name, getattr(self, field.name), field.annotation)
        if self.needs_labels and self.regime != "labelled":
            raise ParameterError(
                f"{type(self).__name__}(regime={self.regime!r}): this detector learns from known anomalies, so its "
                "regime is 'labelled', with labels of 1 (anomaly), 0 (normal) and -1 (unlabelled) given to fit(X, y). "
                "Without known anomalies take another detector."
            )

    def _resolve_seeds(self) -> tuple[int, ...]:
        state = self.random_state
        if isinstance(state, tuple):
            if len(state) != self._n_replicas:
                raise ParameterError(
                    f"{type(self).__name__}(random_state={state!r}): a tuple gives one seed per replica; there are "
                    f"{self._n_replicas} replicas."
                )
            return tuple(int(s) for s in state)
        if state is None:
            state = int(np.random.SeedSequence().generate_state(1)[0])
        elif isinstance(state, np.random.RandomState):
            state = int(state.randint(2**31 - 1))
        first = int(state)
        return first, *(derive_seed(first, "replica", r) for r in range(1, self._n_replicas))

    @property
    def _n_replicas(self) -> int:
        return 1

    def _device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ParameterError(
                f"{type(self).__name__}(device={self.device!r}): torch cannot use this device ({error}). "
                'Accepted are "auto", "cpu" and the devices of this machine.'
            ) from error
        return device

    def _labels(self, y: ArrayLike | None, n: int) -> NDArray[np.int64]:
        if self.regime != "labelled":
            return np.full(n, -1, dtype=np.int64)
        return read_labels(y, n, type(self).__name__, need_anomalies=self.needs_labels)

    def _split(self, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows to train on and the rows to calibrate on, both in their order."""
        candidates = np.flatnonzero(labels != 1)
        # The same rows for every seed, so that a replica is what a solo fit with its seed gives.
        rng = np.random.default_rng(derive_seed("calibration"))
        normal, unlabelled = (rng.permutation(np.flatnonzero(labels == value)) for value in (0, -1))
        n_held_out = int(np.ceil(self.calibration * len(candidates)))
        # Rows known to be normal calibrate; unlabelled ones, which may hide anomalies, only where those are few. A
        # method that learns from labels keeps half of them.
        n_known = len(normal) // 2 if self.uses_labels and len(unlabelled) else len(normal)
        if n_known:
            n_held_out = min(n_held_out, max(n_known, _ENOUGH_TO_CALIBRATE))
        if len(candidates) - n_held_out < 2:
            n_held_out = 0
        held_out = np.sort(np.concatenate([normal[:n_known], unlabelled])[:n_held_out])
        pool = np.arange(len(labels)) if self.uses_labels else candidates
        return np.setdiff1d(pool, held_out), held_out

    def _set_fit_scores(self, scores: NDArray[np.float64]) -> None:
        if len(scores) > _KEPT_SCORES:
            scores = scores[np.linspace(0, len(scores) - 1, _KEPT_SCORES).round().astype(int)]
        self.fit_scores_ = scores

    def _keep_reference(self, encoded: NDArray[np.float32], candidates: NDArray[np.int64]) -> None:
        rng = np.random.default_rng(derive_seed("reference"))
        kept = min(_KEPT_ROWS, max(_KEPT_VALUES // encoded.shape[1], 1))
        sample = encoded[candidates[np.sort(rng.permutation(len(candidates))[: 2 * kept])]]
        normal = self._score(sample).mean(0) <= self.threshold_
        self.reference_ = sample[normal][:kept]

    # ---- input ----------------------------------------------------------------------------------------------------

    def _accept(self, X: Any, kind: Kind, *, fitting: bool) -> Any:
        """Return what the encoder takes, or raise what is wrong with it."""
        if kind == "table":
            return self._accept_table(X, fitting=fitting)
        encoder: Any = encoder_class(kind) if fitting else self.encoder_
        rows = encoder.read(X) if fitting else encoder.reread(X)
        if len(rows) < (2 if fitting else 1):
            raise DataError(
                f"{type(self).__name__}: Found {len(rows)} samples; at least {2 if fitting else 1} are needed."
            )
        return rows

    def _accept_table(self, X: Any, *, fitting: bool) -> Any:
        rows = as_table(X)
        if isinstance(rows, np.ndarray) or not hasattr(rows, "columns"):
            try:
                rows = validate_data(
                    self,
                    rows,  # pyright: ignore[reportArgumentType] - the stub takes the default for the type
                    reset=fitting,
                    dtype=(np.float64, np.float32),
                    ensure_all_finite=False,  # the encoder looks, and names the column
                    ensure_min_samples=2 if fitting else 1,
                )
            except WhitecrowError:
                raise
            except ValueError as error:
                raise DataError(f"{type(self).__name__}: {error}") from error
            return rows
        if len(rows) < (2 if fitting else 1) or not rows.columns:
            raise DataError(
                f"{type(self).__name__}: the table has {len(rows)} rows and {len(rows.columns)} columns; at least "
                f"{2 if fitting else 1} rows and 1 column are needed."
            )
        if fitting:
            self.n_features_in_ = len(rows.columns)
            self.feature_names_in_ = np.asarray(rows.columns, dtype=object)
        return rows

    def _encode(self, X: Any) -> NDArray[np.float32]:
        self._check_fitted()
        return self.encoder_.transform(self._accept(X, self.spec_.kind, fitting=False))

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call fit(X), or load a model file."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "threshold_")

    # ---- scores ---------------------------------------------------------------------------------------------------

    def _score(self, encoded: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the scores ``[R, N]`` of encoded rows."""

        def fill(block: NDArray[np.float32]) -> Iterator[int]:
            for start in range(0, len(encoded), len(block)):
                rows = encoded[start : start + len(block)]
                block[: len(rows)] = rows
                yield len(rows)

        return self._folded(Unfolded(len(encoded), self.replicas_.n), fill)

    def _folded(self, folding: Any, fill: Callable[[NDArray[np.float32]], Iterator[int]]) -> NDArray[np.float64]:
        """Return the scores ``[R, n]`` that ``folding`` makes of those of the rows with which ``fill`` fills a block.

        The block has one size, so that no row sees how many others there are.
        """
        for scores in self._blocks(self.score_batch, fill):
            folding.add(scores)
        out = folding.result()
        if not np.isfinite(out).all():
            raise TrainingError(
                f"{type(self).__name__}: {int((~np.isfinite(out)).sum())} of {out.size} scores are not finite. "
                f"Fit again with scaled input (scaling='standard', clip=10){' or a lower lr' * hasattr(self, 'lr')}."
            )
        return out

    def _blocks(
        self, hook: Callable[[Networks, Tensor], Tensor], fill: Callable[[NDArray[np.float32]], Iterator[int]]
    ) -> Iterator[NDArray[Any]]:
        """Yield what a hook returns, ``[R, b, ...]``, for the rows with which ``fill`` fills a block of one size."""
        replicas, width = self.replicas_, self.spec_.n_features
        size = self.chunk_rows if self.spec_.kind == "table" else max(1, min(self.chunk_rows, _CHUNK_VALUES // width))
        device = next(iter(replicas.stacked.values())).device
        replicas.train(False)
        with torch.inference_mode(), threads_for(size * replicas.n, heavy=replicas.foreign):
            block = torch.zeros(size, width)
            for filled in fill(block.numpy()):
                # No stale rows behind the last ones: a search does equal rows once.
                block[filled:] = 0
                replicas.seek_noise(0)
                yield replicas.scores(hook, block.to(device))[:, :filled].cpu().numpy()

    def anomaly_map(self, X: Any) -> NDArray[np.float32]:
        """Return the anomaly score of each pixel, higher = more anomalous.

        Parameters
        ----------
        X : images
            As in ``fit``, N of them.

        Returns
        -------
        ndarray of float32 [N, H, W]
            Mean over the replicas, in the unit of the method. An image's map depends on no other image.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            If the detector was not fitted on images, or the images cannot be used.
        ParameterError
            If the method has no scores by place.
        """
        maps = self._by_image("anomaly_map", X, self.map_batch, "scores an image as a whole and has no score by pixel")
        return maps.astype(np.float32)

    def reconstruction(self, X: Any) -> NDArray[np.float32]:
        """Return images as the detector rebuilds them, for display beside what was given.

        Parameters
        ----------
        X : images
            As in ``fit``, N of them.

        Returns
        -------
        ndarray of float32 [N, H, W] or [N, H, W, C]
            Pixels from 0 to 1; the mean over the replicas.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            If the detector was not fitted on images, or the images cannot be used.
        ParameterError
            If the method rebuilds nothing.
        """
        encoder: Any = self.encoder_
        return encoder.decode(self._by_image("reconstruction", X, self.rebuild_batch, "rebuilds no images"))

    def _by_image(
        self, what: str, X: Any, hook: Callable[[Networks, Tensor], Tensor | None], lack: str
    ) -> NDArray[np.floating]:
        """Return what a hook makes of images, the mean over the replicas, ``[N, ...]``."""
        self._check_fitted()
        if self.spec_.kind != "image":
            raise DataError(f"{what}: this {type(self).__name__} was fitted on a {self.spec_.kind}, not on images.")
        rows = self._accept(X, "image", fitting=False)

        def found(net: Networks, x: Tensor) -> Tensor:
            values = hook(net, x)
            if values is None:
                raise ParameterError(f"{what}: {type(self).__name__} {lack}.")
            return values

        return np.concatenate([values.mean(0) for values in self._blocks(found, partial(self.encoder_.fill, rows))])

    def anomaly_score(self, X: Any, *, return_std: bool = False) -> Any:
        """Return the anomaly score of each row, higher = more anomalous.

        Parameters
        ----------
        X : table, array-like [N, columns], or images
            Rows with the columns seen in ``fit``, or images of the size seen there.
        return_std : bool, default=False
            Return the standard deviation over the replicas as well.

        Returns
        -------
        ndarray [N], or two of them
            Mean over the replicas, in the unit of the method; a row's score depends on no other row.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            If the columns differ from those seen in ``fit``, or hold values that cannot be used.
        """
        rows, scores = self._flat_scores(X)
        mean = self.encoder_.present(rows, scores.mean(0))
        return (mean, self.encoder_.present(rows, scores.std(0))) if return_std else mean

    def _flat_scores(self, X: Any) -> tuple[Any, NDArray[np.float64]]:
        """Return the accepted samples and their scores ``[R, n]``."""
        self._check_fitted()
        rows = self._accept(X, self.spec_.kind, fitting=False)
        return rows, self._scores_of(rows)

    def _scores_of(self, rows: Any) -> NDArray[np.float64]:
        """Return the scores ``[R, n]`` of accepted samples."""
        return self._folded(self.encoder_.folding(rows, self.replicas_.n), partial(self.encoder_.fill, rows))

    def _of_scores(self, X: Any, function: Callable[[NDArray[np.float64]], NDArray[Any]]) -> Any:
        """Return a function of the scores, in the form in which ``anomaly_score`` returns them."""
        rows, scores = self._flat_scores(X)
        return self.encoder_.present(rows, function(scores.mean(0)))

    def is_anomaly(self, X: Any) -> Any:
        """Return whether each row's score exceeds ``threshold_``, bool [N]."""
        return self._of_scores(X, lambda scores: scores > self.threshold_)

    def p_value(self, X: Any) -> Any:
        r"""Return conformal p-values: how often a normal row scores at least as high.

        .. math:: p(x) = \frac{1 + \#\{i : s_i \ge s(x)\}}{n + 1}

        over the n held-out rows. If these and ``x`` are exchangeable normal rows, ``p <= a`` happens with probability
        at most ``a``. Held-out anomalies (the contaminated regime) make the p-values larger, so the bound still holds.

        Returns
        -------
        ndarray [N]
            From 1 / (n + 1) to 1, lower = more anomalous.

        Raises
        ------
        DataError
            If no rows were held out (``calibration=0``).
        """
        return self._of_scores(X, self._p_values)

    def _p_values(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if not len(self.calibration_scores_):
            raise DataError(
                f"{type(self).__name__}(calibration={self.calibration}) held out no rows, so there are no p-values. "
                "Fit with calibration > 0, on more rows."
            )
        return p_values(self.calibration_scores_, scores)

    def score_samples(self, X: Any) -> Any:
        """Return the negative anomaly score, scikit-learn's sign: lower = more anomalous, [N]."""
        return self._of_scores(X, lambda scores: -scores)

    def decision_function(self, X: Any) -> Any:
        """Return ``threshold_`` minus the anomaly score, scikit-learn's sign: negative = flagged, [N]."""
        return self._of_scores(X, lambda scores: self.threshold_ - scores)

    def predict(self, X: Any) -> Any:
        """Return -1 for flagged rows and +1 for the others, [N]."""
        return self._of_scores(X, lambda scores: np.where(scores > self.threshold_, -1, 1))

    @property
    def offset_(self) -> float:
        """``decision_function = score_samples - offset_``, as in scikit-learn."""
        return -self.threshold_

    # ---- threshold ------------------------------------------------------------------------------------------------

    def _default_threshold(self) -> None:
        rule = Quantile(self.contamination)
        held_out = self.regime != "contaminated" and len(self.calibration_scores_)
        scores = self.calibration_scores_ if held_out else self.fit_scores_
        self.threshold_ = float(rule.fit(scores))
        self.threshold_source_ = f"{rule.source}; {self._held_out_rows if held_out else 'training rows'}"

    @property
    def _held_out_rows(self) -> str:
        return "held-out normal rows" if self.regime == "clean" else "held-out rows without known anomalies"

    def set_threshold(self, rule: "float | Threshold", X: Any | None = None, y: ArrayLike | None = None) -> Self:
        """Set another threshold without fitting again.

        Parameters
        ----------
        rule : float or threshold rule
            A score, or a rule of :mod:`whitecrow.calibrate`.
        X : table or array-like, optional
            Rows to apply the rule to. By default it is applied to the held-out rows of the fit (the clean and the
            labelled regime) or to all rows of the fit (the contaminated regime).
        y : array-like [N], optional
            Labels of ``X`` (1 anomaly, 0 normal), for rules that need them.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        DataError
            If the rule needs labels and there are none.
        """
        self._check_fitted()
        if isinstance(rule, (int, float)):
            if not np.isfinite(rule):
                raise ParameterError(f"set_threshold({rule}): a threshold must be a finite number.")
            self.threshold_, self.threshold_source_ = float(rule), "set by hand"
            return self
        if X is not None:
            scores, basis = self._flat_scores(X)[1].mean(0), "rows given to set_threshold"
        elif self.regime != "contaminated" and len(self.calibration_scores_):
            scores, basis = self.calibration_scores_, self._held_out_rows
        else:
            scores, basis = self.fit_scores_, "training rows"
        self.threshold_ = float(rule.fit(scores, None if y is None else np.asarray(y)))
        self.threshold_source_ = f"{rule.source}; {basis}"
        return self

    # ---- explanation and file -------------------------------------------------------------------------------------

    def explain(
        self, X: Any, *, n_neighbours: int = 3, method: Literal["occlusion", "parts", "auto"] = "occlusion"
    ) -> "Explanation":
        """Say which columns make the rows anomalous; see :func:`whitecrow.explain.explain`."""
        from whitecrow.explain import explain

        return explain(self, X, n_neighbours=n_neighbours, method=method)

    def save(self, path: str | Path) -> None:
        """Write the fitted detector to one ``.safetensors`` file; see :func:`whitecrow.io.save`."""
        from whitecrow.io import save

        save(self, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags


@cache
def _installed(package: str) -> str:
    """Return the version of a package; the package's files say it, and reading them at every fit takes a while."""
    return version(package)
