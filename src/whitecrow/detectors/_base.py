"""The face of every detector: fit, score, threshold, explain, save."""

import inspect
import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, dataclass_transform

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
from whitecrow.data import TableEncoder, as_table
from whitecrow.detectors._prepared import Prepared
from whitecrow.nn import Networks, derive_seed
from whitecrow.train import Replicas, threads_for

if TYPE_CHECKING:
    from whitecrow.calibrate import Threshold
    from whitecrow.explain import Explanation

__all__ = ["Detector", "NotFittedError"]

_KEPT_SCORES = 100_000
_KEPT_ROWS = 500
_ENOUGH_TO_CALIBRATE = 100


class NotFittedError(WhitecrowError, sklearn.exceptions.NotFittedError):
    """The detector has not been fitted."""


@dataclass_transform(kw_only_default=True)
class _Fields:
    """Tells type checkers that annotated fields, from here on down, are keyword-only constructor parameters."""


class Detector(_Fields, OutlierMixin, BaseEstimator):
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
    scaling : {"standard", "minmax", "none"}, default="standard"
        Scaling of numbers, fitted on training rows: to mean 0 and variance 1, to [0, 1], or as they are.
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
    encoder_ : TableEncoder
        Fitted on the training rows.
    spec_ : InputSpec
        Shape of an encoded row.
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
    scaling: Literal["standard", "minmax", "none"] = "standard"
    clip: Positive | None = None
    random_state: int | tuple[int, ...] | np.random.RandomState | None = None
    device: str = "auto"
    verbose: bool = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__init__ = _constructor(cls)  # type: ignore[method-assign]

    # ---- what a method writes -------------------------------------------------------------------------------------

    def learn(self, X: Tensor, y: Tensor, seed: int) -> Networks:
        """Return the buffers that scoring needs.

        Parameters
        ----------
        X : Tensor [N, D], float32
            Encoded training rows.
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
        X : table or array-like [N, columns]
            A pandas, polars or Arrow table with numbers, strings, booleans, dates and missing values, or a numeric
            array without missing values. At least 2 rows.
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
        self._fit_networks(*prepared.tensors(self._device()), prepared.seeds)
        self._complete_fit(prepared)
        return self

    def _prepare_fit(self, X: Any, y: ArrayLike | None) -> Prepared:
        """Check everything, choose the rows to hold out, and fit the encoder."""
        started = time.perf_counter()
        self._check_parameters()
        vars(self).pop("threshold_", None)  # a fit that fails must not leave a mixture with the one before
        rows = self._accept(X, fitting=True)
        labels = self._labels(y, len(rows))
        seeds = self._resolve_seeds()
        fitting, held_out = self._split(labels)
        self.encoder_ = TableEncoder(scaling=self.scaling, clip=None if self.clip is None else float(self.clip)).fit(
            rows, rows=fitting
        )
        encoded = self.encoder_.transform(rows)
        self.spec_ = InputSpec("table", (encoded.shape[1],))
        self.replica_seeds_ = seeds
        return Prepared(encoded, labels, fitting, held_out, seeds, started)

    def _complete_fit(self, prepared: Prepared) -> None:
        """Set what follows from the trained networks: scores of the fit, threshold, reference rows, summary."""
        encoded, fitting, held_out = prepared.encoded, prepared.fitting, prepared.held_out
        normal = prepared.labels != 1  # or not known to be anomalous: what thresholds and explanations compare with
        self.calibration_scores_ = np.sort(self._score(encoded[held_out]).mean(0))
        self._set_fit_scores(encoded if normal.all() else encoded[normal])
        self._default_threshold()
        self._keep_reference(encoded[fitting[normal[fitting]]])
        self.summary_ = {
            "rows": len(encoded),
            "rows_trained_on": len(fitting),
            "rows_held_out": len(held_out),
            "columns": self.n_features_in_,
            "features": encoded.shape[1],
            "seconds": round(time.perf_counter() - prepared.started, 3),
            "regime": self.regime,
            "contamination": float(self.contamination),
            "versions": {name: version(name) for name in ("whitecrow", "torch", "numpy", "scikit-learn")},
        }

    def _fit_networks(self, X: Tensor, y: Tensor, seeds: tuple[int, ...]) -> None:
        """Set ``replicas_``."""
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
        if y is None:
            raise DataError(
                f"{type(self).__name__}(regime='labelled') needs y. Give fit(X, y) labels of 1 (anomaly), 0 (normal) "
                "and -1 (unlabelled), or choose another regime."
            )
        labels = np.asarray(y)
        if labels.dtype == object and all(isinstance(label, Real) for label in labels.ravel()):
            labels = labels.astype(np.float64)  # a column taken out of a mixed table
        if labels.shape != (n,):
            raise DataError(
                f"y has shape {labels.shape}; accepted is one label for each of the {n} rows, shape ({n},): 1 "
                "(anomaly), 0 (normal) or -1 (unlabelled)."
            )
        if labels.dtype.kind not in "biuf" or not np.isin(labels, (-1, 0, 1)).all():
            found = ", ".join(list(dict.fromkeys(map(repr, labels.tolist())))[:5])
            raise DataError(
                f"y has values such as {found}; each row's label must be a number, one of 1 (anomaly), 0 (normal) and "
                "-1 (unlabelled)."
            )
        labels = labels.astype(np.int64)
        if self.needs_labels and not (labels == 1).any():
            raise DataError(
                f"y labels none of the {n} rows 1, and {type(self).__name__} learns from known anomalies. Label at "
                "least one row 1 (anomaly; 0 is normal, -1 unlabelled), or take a detector that does without."
            )
        n_others = int((labels != 1).sum())
        if n_others < 2:
            raise DataError(
                f"y labels {n - n_others} of the {n} rows as anomalies; at least 2 other rows are needed to learn from."
            )
        return labels

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

    def _set_fit_scores(self, encoded: NDArray[np.float32]) -> None:
        scores = np.sort(self._score(encoded).mean(0))
        if len(scores) > _KEPT_SCORES:
            scores = scores[np.linspace(0, len(scores) - 1, _KEPT_SCORES).round().astype(int)]
        self.fit_scores_ = scores

    def _keep_reference(self, encoded: NDArray[np.float32]) -> None:
        rng = np.random.default_rng(derive_seed("reference"))
        sample = encoded[np.sort(rng.permutation(len(encoded))[: 2 * _KEPT_ROWS])]
        normal = self._score(sample).mean(0) <= self.threshold_
        self.reference_ = sample[normal][:_KEPT_ROWS]

    # ---- input ----------------------------------------------------------------------------------------------------

    def _accept(self, X: Any, *, fitting: bool) -> Any:
        """Return a polars table or a float array that the encoder takes, or raise what is wrong with it."""
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
        return self.encoder_.transform(self._accept(X, fitting=False))

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

        return self._score_blocks(len(encoded), fill)

    def _score_blocks(self, n: int, fill: Callable[[NDArray[np.float32]], Iterator[int]]) -> NDArray[np.float64]:
        """Return the scores ``[R, n]`` of the rows with which ``fill`` fills a block, some at a time.

        The block has one size, so that no row sees how many others there are.
        """
        replicas, size = self.replicas_, self.chunk_rows
        out = np.empty((replicas.n, n))
        device = next(iter(replicas.stacked.values())).device
        replicas.train(False)
        scored = 0
        with torch.inference_mode(), threads_for(size * replicas.n):
            block = torch.zeros(size, *self.spec_.shape)
            for filled in fill(block.numpy()):
                replicas.seek_noise(0)
                scores = replicas.scores(self.score_batch, block.to(device))[:, :filled]
                out[:, scored : scored + filled] = scores.cpu().numpy()
                scored += filled
        if not np.isfinite(out).all():
            raise TrainingError(
                f"{type(self).__name__}: {int((~np.isfinite(out)).sum())} of {out.size} scores are not finite. "
                f"Fit again with scaled input (scaling='standard', clip=10){' or a lower lr' * hasattr(self, 'lr')}."
            )
        return out

    def anomaly_score(self, X: Any, *, return_std: bool = False) -> Any:
        """Return the anomaly score of each row, higher = more anomalous.

        Parameters
        ----------
        X : table or array-like [N, columns]
            Rows with the columns seen in ``fit``.
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
        self._check_fitted()
        rows = self._accept(X, fitting=False)
        scores = self._score_blocks(len(rows), partial(self.encoder_.fill, rows))
        return (scores.mean(0), scores.std(0)) if return_std else scores.mean(0)

    def is_anomaly(self, X: Any) -> NDArray[np.bool_]:
        """Return whether each row's score exceeds ``threshold_``, bool [N]."""
        scores = self.anomaly_score(X)
        return scores > self.threshold_

    def p_value(self, X: Any) -> NDArray[np.float64]:
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
        scores = self.anomaly_score(X)
        return self._p_values(scores)

    def _p_values(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if not len(self.calibration_scores_):
            raise DataError(
                f"{type(self).__name__}(calibration={self.calibration}) held out no rows, so there are no p-values. "
                "Fit with calibration > 0, on more rows."
            )
        return p_values(self.calibration_scores_, scores)

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Return the negative anomaly score, scikit-learn's sign: lower = more anomalous, [N]."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return ``threshold_`` minus the anomaly score, scikit-learn's sign: negative = flagged, [N]."""
        scores = self.anomaly_score(X)
        return self.threshold_ - scores

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Return -1 for flagged rows and +1 for the others, [N]."""
        return np.where(self.is_anomaly(X), -1, 1)

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
            scores, basis = self.anomaly_score(X), "rows given to set_threshold"
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


def _constructor(cls: type) -> Any:
    """Return a keyword-only constructor that stores the fields of ``cls``, as scikit-learn wants it."""
    fields = parameters.fields(cls)

    def __init__(self: Any, **given: Any) -> None:  # noqa: N807
        for name in given:
            if name not in fields:
                near = get_close_matches(name, fields, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise ParameterError(f"{cls.__name__} has no parameter {name!r}.{hint} It has: {', '.join(fields)}.")
        for name, field in fields.items():
            setattr(self, name, given.get(name, field.default))

    keyword = inspect.Parameter.KEYWORD_ONLY
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(inspect.Parameter(f.name, keyword, default=f.default, annotation=f.annotation) for f in fields.values()),
        ]
    )
    return __init__
