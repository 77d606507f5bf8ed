"""Which detector suits a table without labels: a short comparison, and a recommendation with its uncertainty."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from whitecrow.core import registry
from whitecrow.core.errors import DataError, ParameterError, WhitecrowError
from whitecrow.core.parameters import Count, Natural, Positive, check
from whitecrow.data import TableEncoder, as_table
from whitecrow.metrics import auroc
from whitecrow.study.selection.evidence import Evidence, cross_fitted_scores, tail_evidence
from whitecrow.study.selection.recommendation import Recommendation, recommend
from whitecrow.study.selection.synthetic import KINDS, AnomalyGenerator
from whitecrow.study.statistics.paired import rank_agreement

__all__ = ["CANDIDATES", "CRITERIA", "DEFAULT", "MARGIN", "Candidate", "Selection", "select"]

DEFAULT = "isolation-forest"
CANDIDATES = (DEFAULT, "knn", "pca", "lof", "one-class-svm", "dte-np", "autoencoder")
CRITERIA = ("stability", "consensus")  # whose ranks decide who leads
MARGIN = 0.1  # in consensus, by which a leader must exceed the default

_FEWEST_ROWS = 50
_TRAINING_SHARE = 0.4  # of the rows, in each of the two disjoint training parts of a repetition
_TOP = 0.05
_MOST_SYNTHETIC, _CLUSTERS = 100, 4
_MEASURED = (*KINDS, "stability", "overlap", "consensus")

Follow = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What was measured of one detector: means over the repetitions.

    Attributes
    ----------
    detector : str
        Registry name.
    auroc : dict of str to float
        AUROC of injected synthetic anomalies of each kind against held-out rows.
    stability : float
        Spearman correlation of the scores of held-out rows by two fits of other seeds to disjoint rows, from -1 to 1.
    overlap : float
        Share of the top 5 % of held-out rows that these fits have in common.
    consensus : float
        Spearman correlation with the mean rank that the other candidates give the held-out rows; 0 without others.
    seconds : float
        Time of all its fits and scores.
    merit : float
        Sum of its ranks among the candidates in stability and consensus.
    wins : float
        Share of the resampled repetitions that favour it; NaN for one repetition.
    repetitions : tuple of dict of str to float
        The measurements by repetition, under the names of the kinds, "stability", "overlap" and "consensus".
    """

    detector: str
    auroc: dict[str, float]
    stability: float
    overlap: float
    consensus: float
    seconds: float
    merit: float
    wins: float
    repetitions: tuple[dict[str, float], ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """A comparison without labels, and what it recommends.

    Attributes
    ----------
    recommended : str
        Registry name of the detector to fit.
    leader : str
        The one with the highest merit; another than ``recommended`` if its lead is too small or unsure.
    rivals : tuple of str
        Detectors that cannot be told apart, by merit; the recommended one alone if the comparison is clear.
    candidates : tuple of Candidate
        All that were compared, by merit.
    evidence : Evidence
        Whether there are signs of anomalies at all.
    left_out : dict of str to str
        Detectors that were asked for and not compared, with the reason.
    n_rows, n_compared, n_repetitions, n_asked : int
        Rows given and rows the comparison ran on; repetitions done and asked for.
    """

    recommended: str
    leader: str
    rivals: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    evidence: Evidence
    left_out: dict[str, str]
    n_rows: int
    n_compared: int
    n_repetitions: int
    n_asked: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {**asdict(self), "sentence": str(self)}

    def __str__(self) -> str:
        if len(self.candidates) == 1:
            return f"{self.recommended} is the only candidate; nothing was compared."
        others = ", ".join(name for name in self.rivals if name != self.recommended)
        if self.n_repetitions == 1:
            return f"{self.recommended} is taken: one repetition cannot tell it apart from {others}."
        if others:
            why = "it is the default" if self.recommended == DEFAULT else "it takes the least time"
            return f"{self.recommended} is recommended because {why}; it cannot be told apart from {others}."
        wins = next(c.wins for c in self.candidates if c.detector == self.recommended)
        sure = f"{100 * wins:.0f} % of the resampled repetitions say the same."
        if self.recommended == DEFAULT and self.leader != DEFAULT:
            return f"{DEFAULT}, the default, is kept: {self.leader} leads, but by too little. {sure}"
        return f"{self.recommended} is recommended: it leads in stability and consensus. {sure}"


def select(
    X: Any,
    *,
    detectors: Sequence[str] = CANDIDATES,
    n_repetitions: int = 5,
    max_rows: int = 5000,
    budget: float | None = None,
    seed: int = 0,
    follow: Follow | None = None,
) -> Selection:
    """Compare detectors on a table without labels, and recommend one.

    In each repetition two fits of every candidate, with seeds and training rows of their own (40 % of the rows each),
    score the rows held out from both, and synthetic anomalies among them. The candidate with the best ranks in
    stability and consensus leads; it is recommended if its consensus exceeds that of the default, isolation-forest, by
    0.1 or more, and the repetitions are sure of it. Else the default is (without it among the candidates, a leader).
    Detection of the synthetic anomalies is reported and does not decide: where there are labels, it ranked worse.

    Parameters
    ----------
    X : table or array-like, shape [N, columns]
        Rows, some of them possibly anomalous, without label columns. At least 50 rows.
    detectors : sequence of str
        Registry names of the candidates; ``CANDIDATES`` by default.
    n_repetitions : int, default=5
        Repetitions; with one, nothing can be told apart.
    max_rows : int, default=5000
        At most this many rows are compared on, at least 50; of more, a random sample.
    budget : float, optional
        Seconds after which no further fit is started. Candidates and repetitions that it leaves out are reported.
        At least one candidate is compared once.
    seed : int, default=0
        Source of all randomness.
    follow : callable, optional
        Called before each candidate with a text and the share of the work that is done.

    Returns
    -------
    Selection
        The measurements, the recommendation and the evidence of anomalies.

    Raises
    ------
    ParameterError
        If a setting is out of its range, a detector is named twice or learns from labels only.
    UnknownNameError
        If no detector has one of the names.
    DataError
        If there are too few rows, or none of the candidates can be fitted to them.

    Notes
    -----
    Without labels nothing proves that a candidate finds *your* anomalies. Measured regret is in the documentation.
    """
    _check(detectors, n_repetitions, max_rows, budget, seed)
    started = time.perf_counter()
    table = as_table(X)
    if len(table) < _FEWEST_ROWS:
        raise DataError(
            f"select: {len(table)} rows are too few to hold some out twice; accepted are {_FEWEST_ROWS} or more. "
            f"Fit {DEFAULT} instead."
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(table))[:max_rows])
    sample = table[chosen]
    encoder = TableEncoder(clip=None).fit(sample)
    rows = encoder.transform(sample)
    comparison = _Comparison(encoder, rows, detectors, seed)
    deadline = None if budget is None else started + budget
    for repetition in range(n_repetitions):
        if not comparison.repeat(rng, deadline, follow, repetition / n_repetitions, 1 / n_repetitions):
            break
    if not comparison.names:
        reasons = " ".join(f"{name}: {reason}" for name, reason in comparison.left_out.items())
        raise DataError(f"select: no candidate could be compared on these rows. {reasons}")
    evidence = tail_evidence(cross_fitted_scores(rows, seed))
    return comparison.selection(evidence, len(table), n_repetitions, seed)


def _check(detectors: Sequence[str], n_repetitions: int, max_rows: int, budget: float | None, seed: int) -> None:
    check("select", "n_repetitions", n_repetitions, Count)
    check("select", "max_rows", max_rows, Count)
    check("select", "budget", budget, Positive | None)
    check("select", "seed", seed, Natural)
    if max_rows < _FEWEST_ROWS:
        raise ParameterError(f"select(max_rows={max_rows}): max_rows must be an integer of at least {_FEWEST_ROWS}.")
    if isinstance(detectors, str) or not detectors or len(set(detectors)) != len(detectors):
        raise ParameterError(
            f"select(detectors={detectors!r}): detectors must be registry names, at least one, each once. See "
            "whitecrow.detectors('table')."
        )
    for name in detectors:
        cls: Any = registry.load(name)
        if cls.needs_labels or "table" not in cls.kinds:
            why = "learns from known anomalies" if cls.needs_labels else "does not take tables"
            raise ParameterError(f"select(detectors=[{name!r}, ...]): {name} {why}. Leave it out.")


class _Comparison:
    """Measurements of the candidates that are still in, by repetition."""

    def __init__(self, encoder: TableEncoder, rows: NDArray[np.float32], names: Sequence[str], seed: int) -> None:
        self.rows, self.names, self.seed = rows, list(names), seed
        self.generator = AnomalyGenerator.fit(encoder, rows, seed)
        self.left_out: dict[str, str] = {}
        self.seconds = dict.fromkeys(names, 0.0)
        self.measured: list[dict[str, dict[str, float]]] = []

    def repeat(
        self, rng: np.random.Generator, deadline: float | None, follow: Follow | None, done: float, share: float
    ) -> bool:
        """Measure every candidate once more; return False, with nothing kept, if the time is over."""
        order = rng.permutation(len(self.rows))
        n = int(_TRAINING_SHARE * len(order))
        parts, held_out = (order[:n], order[n : 2 * n]), order[2 * n :]
        synthetic = self._synthetic(rng, len(held_out))
        seeds = [int(s) for s in rng.integers(2**31 - 1, size=2)]
        scores: dict[str, NDArray[np.float64]] = {}
        for k, name in enumerate(list(self.names)):
            if deadline is not None and (scores or self.measured) and time.perf_counter() >= deadline:
                if self.measured:
                    return False
                for late in self.names[self.names.index(name) :]:
                    self.left_out[late] = "The budget was spent before its turn."
                self.names = [kept for kept in self.names if kept in scores]
                break
            if follow is not None:
                follow(name, done + share * k / len(self.seconds))
            try:
                scores[name] = self._scores(name, parts, seeds, np.concatenate([self.rows[held_out], synthetic]))
            except WhitecrowError as error:
                self.left_out[name] = str(error)
                self.names.remove(name)
        self.measured.append(dict(_measures(scores, len(held_out))))
        return bool(self.names)

    def _synthetic(self, rng: np.random.Generator, n_held_out: int) -> NDArray[np.float32]:
        """Return as many rows of each kind, one kind after the other; cluster anomalies in four clusters."""
        each = max(1, min(_MOST_SYNTHETIC, n_held_out) // _CLUSTERS)
        return np.concatenate([self.generator.draw(kind, each, rng) for kind in KINDS for _ in range(_CLUSTERS)])

    def _scores(
        self, name: str, parts: Sequence[NDArray[np.int64]], seeds: Sequence[int], rows: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return the scores ``[2, N]`` of rows by two fits."""
        started = time.perf_counter()
        cls: Any = registry.load(name)
        # The rows are standardised already; categories among them are not, as in a fit to the table itself.
        scaling = {"scaling": "none"} if cls.scaling == "standard" else {}
        models = [
            cls(calibration=0.0, random_state=seed, verbose=False, **scaling).fit(self.rows[part])
            for part, seed in zip(parts, seeds, strict=True)
        ]
        scores = np.stack([model.anomaly_score(rows) for model in models])
        self.seconds[name] += time.perf_counter() - started
        return scores

    def selection(self, evidence: Evidence, n_rows: int, n_asked: int, seed: int) -> Selection:
        """Return the recommendation with all that was measured."""
        names, repetitions = self.names, self.measured
        table = {key: np.array([[one[name][key] for name in names] for one in repetitions]) for key in _MEASURED}
        seconds = [self.seconds[name] for name in names]
        decisive = np.stack([table[key] for key in CRITERIA], axis=-1)
        default = names.index(DEFAULT) if DEFAULT in names else None
        found: Recommendation = recommend(decisive, default=default, margin=MARGIN, seconds=seconds, seed=seed)
        mean = {key: values.mean(0) for key, values in table.items()}
        order = sorted(range(len(names)), key=lambda c: (c != found.leader, -found.merit[c], seconds[c]))
        candidates = tuple(
            Candidate(
                names[c],
                {kind: float(mean[kind][c]) for kind in KINDS},
                *(float(mean[key][c]) for key in ("stability", "overlap", "consensus")),
                seconds=round(seconds[c], 3),
                merit=float(found.merit[c]),
                wins=float(found.wins[c]),
                repetitions=tuple(one[names[c]] for one in repetitions),
            )
            for c in order
        )
        return Selection(
            names[found.chosen],
            names[found.leader],
            tuple(names[c] for c in found.rivals),
            candidates,
            evidence,
            self.left_out,
            n_rows,
            len(self.rows),
            len(repetitions),
            n_asked,
        )


def _measures(scores: dict[str, NDArray[np.float64]], n_real: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each candidate with what two fits' scores ``[2, real rows and then synthetic ones]`` say of it."""
    ranks = {name: stats.rankdata(both[:, :n_real], axis=1).mean(0) for name, both in scores.items()}
    for name, both in scores.items():
        real, synthetic = both[:, :n_real], np.split(both[:, n_real:], len(KINDS), axis=1)
        y = np.repeat([0, 1], [n_real, synthetic[0].shape[1]])
        found = {
            kind: float(np.mean([auroc(y, np.concatenate(pair)) for pair in zip(real, part, strict=True)]))
            for kind, part in zip(KINDS, synthetic, strict=True)
        }
        others = [r for other, r in ranks.items() if other != name]
        found["stability"] = _agreement(*real)
        found["overlap"] = _overlap(*real)
        found["consensus"] = _agreement(ranks[name], np.mean(others, axis=0)) if others else 0.0
        yield name, found


def _agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    # Scores that are all the same rank nothing, so they agree with nothing.
    return float(np.nan_to_num(rank_agreement(a, b).spearman))


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    n = max(1, int(_TOP * len(a)))
    tops = [set(np.argsort(-scores, kind="stable")[:n].tolist()) for scores in (a, b)]
    return len(tops[0] & tops[1]) / n
