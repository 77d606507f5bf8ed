"""Every error and warning that whitecrow raises on purpose.

::

    WhitecrowError
    ├── ParameterError        (ValueError)    a detector's parameter is out of its range
    ├── DataError             (ValueError)    a table, array or label vector cannot be used
    ├── FileFormatError       (ValueError)    a data file is truncated, malformed or of an unknown format
    ├── ModelFileError        (ValueError)    a model file is truncated, malformed or hostile
    ├── CheckpointError       (ValueError)    a checkpoint does not belong to this fit
    ├── UnknownNameError      (LookupError)   no detector or data set has this name
    ├── DatasetError          (RuntimeError)  a data set is absent or its checksum differs
    ├── TrainingError         (RuntimeError)  training cannot go on
    │   └── FitCancelled                      the caller asked to stop
    └── MissingExtraError     (ImportError)   an optional dependency is not installed

    WhitecrowWarning          (UserWarning)

``NotFittedError`` lives in :mod:`whitecrow.detectors`, because it derives from scikit-learn's. Those that one part
alone raises live there: ``ClusterError`` (ConnectionError) in :mod:`whitecrow.io`; ``LeakError`` and ``StoreError``
(ValueError) in :mod:`whitecrow.study`.
Each message says what was given, what is accepted and what to do.
"""

__all__ = [
    "CheckpointError",
    "DataError",
    "DatasetError",
    "FileFormatError",
    "FitCancelled",
    "MissingExtraError",
    "ModelFileError",
    "ParameterError",
    "TrainingError",
    "UnknownNameError",
    "WhitecrowError",
    "WhitecrowWarning",
    "missing_extra",
]


class WhitecrowError(Exception):
    """Base of every error that whitecrow raises on purpose."""


class ParameterError(WhitecrowError, ValueError):
    """A detector's parameter is unknown, of the wrong type or out of its range."""


class DataError(WhitecrowError, ValueError):
    """A table, array or label vector cannot be used as it is."""


class FileFormatError(WhitecrowError, ValueError):
    """A data file is truncated, malformed or of an unknown format."""


class ModelFileError(WhitecrowError, ValueError):
    """A model file is truncated, malformed or hostile."""


class CheckpointError(WhitecrowError, ValueError):
    """A checkpoint does not belong to this detector and this data."""


class UnknownNameError(WhitecrowError, LookupError):
    """No detector or data set has this name."""


class DatasetError(WhitecrowError, RuntimeError):
    """A data set is absent, or its checksum differs."""


class TrainingError(WhitecrowError, RuntimeError):
    """Training cannot go on."""


class FitCancelled(TrainingError):  # noqa: N818 - an event the caller asked for, not a fault
    """The caller asked a running fit to stop."""


class MissingExtraError(WhitecrowError, ImportError):
    """An optional dependency is not installed."""


class WhitecrowWarning(UserWarning):
    """Something was done that the caller should know of."""


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """Return the error that names the extra to install.

    Parameters
    ----------
    package : str
        The package that could not be imported.
    extra : str
        The extra of whitecrow that brings it.
    purpose : str
        What needs it, as the start of a sentence.
    """
    return MissingExtraError(
        f"{purpose} needs the package {package!r}, which is not installed. "
        f"Install it with: pip install 'whitecrow[{extra}]'"
    )
