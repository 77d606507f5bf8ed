"""Deep anomaly detection: learn what normal looks like, score what departs from it, say why.

    >>> import numpy as np, whitecrow as wc
    >>> rng = np.random.default_rng(0)
    >>> det = wc.detector("pca", random_state=0).fit(rng.normal(size=(500, 4)))
    >>> bool(det.anomaly_score([[9, -9, 9, -9]])[0] > det.anomaly_score([[0, 0, 0, 0]])[0])
    True

Importing this package is cheap: what needs torch is loaded when it is first used. Detector classes
(``wc.AutoEncoder``) are names of this package too, those of installed plugins included.
"""

import os
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whitecrow.core.errors import WhitecrowError as WhitecrowError
    from whitecrow.core.spec import Kind
    from whitecrow.data import load_dataset as load_dataset
    from whitecrow.detectors import DeepDetector as DeepDetector
    from whitecrow.detectors import Detector as Detector
    from whitecrow.detectors import NotFittedError as NotFittedError
    from whitecrow.detectors.tabular.autoencoder import AutoEncoder as AutoEncoder
    from whitecrow.detectors.tabular.isolation_forest import IsolationForest as IsolationForest
    from whitecrow.detectors.tabular.knn import KNN as KNN
    from whitecrow.detectors.tabular.lof import LOF as LOF
    from whitecrow.detectors.tabular.one_class_svm import OneClassSVM as OneClassSVM
    from whitecrow.detectors.tabular.pca import PCA as PCA
    from whitecrow.detectors.tabular.vae import VAE as VAE
    from whitecrow.io import load as load
    from whitecrow.train import monitor as monitor

# A row's product must not depend on where the row stands. MKL, which torch multiplies with, rounds by place on some
# processors unless it is asked for reproducible results, before its first product; that takes no more time.
os.environ.setdefault("MKL_CBWR", "AUTO")

__version__ = version("whitecrow")

_HOMES = {
    "DeepDetector": "whitecrow.detectors",
    "Detector": "whitecrow.detectors",
    "NotFittedError": "whitecrow.detectors",
    "WhitecrowError": "whitecrow.core.errors",
    "load": "whitecrow.io",
    "load_dataset": "whitecrow.data",
    "monitor": "whitecrow.train",
}

__all__ = [
    "DeepDetector",
    "Detector",
    "NotFittedError",
    "WhitecrowError",
    "__version__",
    "detector",
    "detectors",
    "load",
    "load_dataset",
    "monitor",
]


def detectors(kind: "Kind | None" = None) -> list[str]:
    """Return the registry names of all detectors, or of those for one kind of data.

    Parameters
    ----------
    kind : {"table", "image", "sequence", "tokens"}, optional
        Kind of data.
    """
    from whitecrow.core import registry

    return registry.names(kind)


def detector(name: str, **parameters: Any) -> "Detector":
    """Return a new detector by its registry name: ``detector("vae", lr=1e-4)`` is ``VAE(lr=1e-4)``.

    Raises
    ------
    UnknownNameError
        If no detector has this name.
    ParameterError
        If the detector has no such parameter.
    """
    from whitecrow.core import registry

    return registry.load(name)(**parameters)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if not name.startswith("_"):
        from whitecrow.core import registry

        cls = registry.class_named(name)
        if cls is not None:
            return cls
    raise AttributeError(f"module 'whitecrow' has no attribute {name!r}")


def __dir__() -> list[str]:
    from whitecrow.core import registry

    return sorted({*__all__, *registry.class_names()})
