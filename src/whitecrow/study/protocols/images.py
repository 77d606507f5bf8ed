"""Sets of images with several classes, of which one is normal or one is the anomaly."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Count
from whitecrow.core.spec import Kind
from whitecrow.study.protocols.house import INJECTED, House
from whitecrow.study.protocols.splits import Flags, Names, OpenShare, Split, mix_in

__all__ = ["OneClassImages"]

# Stream of the draw of the anomalies that test.
_TESTED = 4


@dataclass(frozen=True, kw_only=True)
class OneClassImages(House):
    """A random share of the normal images trains; the others test, with the anomalies that are not set aside.

    What is an anomaly is the choice of a class and of one of the two conventions of the literature, whose figures
    must never be mixed. The test is the same for every contamination, and injections are nested over the shares.

    Parameters
    ----------
    convention : {"N1", "A1"}, default="N1"
        "N1": the one class is normal, and all others are anomalies. "A1": the one class is the anomaly, and all
        others are normal.
    one_class : str
        Name of the class. It has to be given.
    most_anomalies : int, optional
        Most anomalies to test on; more are thinned at random, with all classes alike. The others do not train either.
    train_share : float, default=0.8
        Share of the normal images that trains.
    """

    name: ClassVar[str] = "one-class-images"
    description: ClassVar[str] = "One class of images is normal (N1) or the anomaly (A1); 80 % of normal images train."
    source: ClassVar[str] = (
        'N1 as in L. Ruff et al., "Deep One-Class Classification", ICML 2018; A1 as in H. Zenati et al., "Efficient '
        'GAN-Based Anomaly Detection", arXiv:1802.06222, and S. Akçay et al., "GANomaly", ACCV 2018.'
    )
    faults: ClassVar[tuple[str, ...]] = (
        "Stated: N1 trains on one class and A1 on all but one. A1 is much harder, and figures of the two do not "
        "compare.",
        "Stated: under N1 most of the test are anomalies, so that average precision is near 1 for anything: read "
        "AUROC.",
        "Stated: the share of anomalies in the test is that of no stream of images, so F1 and average precision "
        "compare only with tests of the same share.",
        "Avoided: the originals split in three ways (the files' own parts, 80 to 20 of all images, or the files' parts "
        "with the anomalies of both in the test, depending on whether a seed is given); here 80 % of the normal images "
        "train, drawn anew for each seed.",
        "Avoided: one original splits in file order, and gives average precision with the normal class as the positive "
        "one; here the anomaly is the positive class.",
        "Avoided: some public code picks its best epoch by the AUROC of the test, and scales scores by those of the "
        "test; a protocol here holds no threshold, and scores are taken as they are.",
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("image",)

    train_share: OpenShare = 0.8
    convention: Literal["N1", "A1"] = "N1"
    one_class: str = ""
    most_anomalies: Count | None = None

    def labels(self, y: ArrayLike, families: ArrayLike | None = None) -> NDArray[Any]:
        """Return which images are anomalies by the class and the convention; ``y`` is not looked at."""
        if families is None:
            raise ParameterError(f"{self.name} needs the class of each image, and this data set names none.")
        names = np.asarray(families).astype(np.str_)
        ones = names == self.one_class
        if not ones.any():
            raise ParameterError(
                f"{self.name}(one_class={self.one_class!r}): the classes are {', '.join(np.unique(names).tolist())}. "
                'Choose one of them, for instance options = { convention = "N1", one_class = "3" }.'
            )
        return ~ones if self.convention == "N1" else ones

    def _split(self, y: Flags, seed: int, contamination: float, families: Names | None) -> Split:
        clean, pool = self._set_aside(y, seed, INJECTED)
        rng = np.random.default_rng([seed, INJECTED, 1])
        train, injected = mix_in(clean.train, pool, contamination, rng)
        return Split(train, self._thinned(clean.test, y, seed), injected)

    def _thinned(self, test: NDArray[np.int64], y: Flags, seed: int) -> NDArray[np.int64]:
        if self.most_anomalies is None:
            return test
        anomalies = np.random.default_rng([seed, _TESTED]).permutation(test[y[test]])
        return np.sort(np.concatenate([test[~y[test]], anomalies[: self.most_anomalies]]))
