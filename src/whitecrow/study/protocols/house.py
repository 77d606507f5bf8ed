"""The house's own protocols: a random half trains, anomalies are set aside, injected, or given with their label."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Count, Probability
from whitecrow.data.contamination import house_split
from whitecrow.study.protocols.splits import (
    Flags,
    Indices,
    Names,
    OpenShare,
    RandomProtocol,
    Split,
    mix_in,
    with_ratio,
)

__all__ = ["INJECTED", "House", "Robustness", "SemiSupervised"]

# Streams of the draws that come on top of the house split.
_LABELLED, INJECTED = 2, 3


@dataclass(frozen=True, kw_only=True)
class House(RandomProtocol):
    """A random half of the normal rows trains; the other half and the anomalies that are not set aside test.

    Parameters
    ----------
    holdout : float, default=0.4
        Share of the anomalies that is set aside for injection and never tested, so that the test is the same
        for every contamination. 0 tests all anomalies, where nothing is to be injected.
    train_share : float, default=0.5
        Share of the normal rows that trains.
    """

    name: ClassVar[str] = "house"
    description: ClassVar[str] = "Half of the normal rows trains; the others test, with the anomalies not set aside."
    source: ClassVar[str] = (
        'After D. Nkashama et al., "Robustness Evaluation of Deep Unsupervised Learning Algorithms for Intrusion '
        'Detection Systems", arXiv:2207.03576.'
    )
    faults: ClassVar[tuple[str, ...]] = (
        "Stated: the share of anomalies in the test is not the data set's, so F1 and average precision compare only "
        "with tests of the same share.",
        "Stated: copies of a row may fall on both sides of a random split; count them with leaks.duplicates.",
    )

    holdout: Probability = 0.4
    train_share: OpenShare = 0.5

    def _split(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        return self._house(y, seed, contamination)

    def _house(self, y: Flags, seed: int, contamination: float = 0.0) -> Split:
        drawn = house_split(y, seed, contamination=contamination, holdout=self.holdout, train_share=self.train_share)
        return Split(drawn.train, drawn.test, drawn.injected)

    def _set_aside(self, y: Flags, seed: int, stream: int) -> tuple[Split, Indices]:
        """Return the split without injection, and the anomalies it sets aside in a random order of their own."""
        clean = self._house(y, seed)
        aside = np.setdiff1d(np.flatnonzero(y), clean.test, assume_unique=True)
        return clean, np.random.default_rng([seed, stream]).permutation(aside)


@dataclass(frozen=True, kw_only=True)
class Robustness(House):
    """The house split, for curves over the share of injected anomalies, of all kinds or of one.

    The test is the same for every share and every ``family``, and injections are nested over the shares.

    Parameters
    ----------
    family : str, optional
        Inject anomalies of this family only; needs ``families``.
    test_ratio : float, optional
        Share of anomalies to bring the test to, by thinning out the class of which there are too many.
    """

    name: ClassVar[str] = "robustness"
    description: ClassVar[str] = "Anomalies set aside are injected at growing shares; the test stays the same."
    source: ClassVar[str] = (
        'D. Nkashama et al., "Robustness Evaluation of Deep Unsupervised Learning Algorithms for Intrusion Detection '
        'Systems", arXiv:2207.03576; the same authors, arXiv:2407.08838.'
    )
    faults: ClassVar[tuple[str, ...]] = (
        "Avoided: in early code the normal test rows come from a second permutation, about half of them training rows.",
        "Avoided: there, injected anomalies stay in the test.",
        "Avoided: there, scalers are fitted on all rows before the split; here a split is made before anything is "
        "fitted.",
        "Avoided: there, shallow models are fitted on the full table, and one study picks its best epoch by test F1.",
        "Avoided: the threshold is tuned on a labelled fifth of the test; a protocol here holds no threshold (the "
        "figure f1_tuned_on_test_fifth does so under its own name).",
    )
    shares: ClassVar[tuple[float, ...]] = (0.0, 0.01, 0.02, 0.05, 0.08, 0.12, 0.25)

    family: str | None = None
    test_ratio: OpenShare | None = None

    def _split(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        clean, pool = self._set_aside(y, seed, INJECTED)
        if self.family is not None:
            pool = pool[self._of_family(y, families)[pool]]
        rng = np.random.default_rng([seed, INJECTED, 1])
        test = clean.test if self.test_ratio is None else with_ratio(clean.test, y, self.test_ratio, rng)
        train, injected = mix_in(clean.train, pool, contamination, rng)
        return Split(train, test, injected)

    def _of_family(self, y: Flags, families: Names | None) -> Flags:
        if families is None:
            raise ParameterError(
                f"robustness(family={self.family!r}) needs the family of each row, and this data set names none. "
                "Leave family out."
            )
        found = y & (families == self.family)
        if not found.any():
            known = sorted(set(families[y].tolist()))
            raise ParameterError(f"robustness(family={self.family!r}): the anomalies are of {', '.join(known)}.")
        return found


@dataclass(frozen=True, kw_only=True)
class SemiSupervised(House):
    """The house split with some anomalies whose label the detector may see; all other training rows are unlabelled.

    The labelled anomalies are of those set aside, so the test is the same for every number of them, and a smaller
    choice is part of a larger one. Injected anomalies are never labelled; the contamination is their share among
    the unlabelled training rows.

    Parameters
    ----------
    labelled : float, default=0.05
        Share of all anomalies that is labelled, rounded down but at least one; from 0 to below 1.
    n_labelled : int, optional
        Number of labelled anomalies, in place of the share.
    """

    name: ClassVar[str] = "semi-supervised"
    description: ClassVar[str] = "The house split, with a few labelled anomalies among the training rows."
    source: ClassVar[str] = (
        'After L. Ruff et al., "Deep Semi-Supervised Anomaly Detection", ICLR 2020, and S. Han et al., "ADBench: '
        'Anomaly Detection Benchmark", NeurIPS 2022.'
    )
    faults: ClassVar[tuple[str, ...]] = (
        *House.faults,
        "Stated: labelled anomalies are of the kinds that are tested; new kinds are not tested apart.",
    )

    labelled: Probability = 0.05
    n_labelled: Count | None = None

    def _split(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        clean, aside = self._set_aside(y, seed, _LABELLED)
        n_labelled = max(1, int(y.sum() * self.labelled + 1e-9)) if self.n_labelled is None else self.n_labelled
        if n_labelled > len(aside):
            raise ParameterError(
                f"semi-supervised: {n_labelled} labelled anomalies are asked for, but {len(aside)} are set aside. "
                f"Ask for at most {len(aside)} (n_labelled), a share of {len(aside) / y.sum():.4f} of all anomalies "
                "(labelled), or raise holdout."
            )
        # Labels are given from one end of the order and injections from the other: neither moves the other.
        pool, known = np.split(aside, [len(aside) - n_labelled])
        rng = np.random.default_rng([seed, _LABELLED, 1])
        train, injected = mix_in(clean.train, pool, contamination, rng)
        return Split(rng.permutation(np.concatenate([train, known])), clean.test, injected, known[::-1])
