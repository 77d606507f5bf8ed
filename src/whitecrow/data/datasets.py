"""Data sets by name: found on disk, made on the spot, or downloaded when asked for, never by themselves.

Files are looked for in the folder that the caller names, else in the folder that the environment variable
``WHITECROW_DATA`` names, else in the cache that :func:`fetch_dataset` fills. All three have the same layout.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.errors import DatasetError
from whitecrow.core.parameters import Natural, check
from whitecrow.data.catalogue import CATALOGUE, Dataset, Entry, SourceFile, entry
from whitecrow.data.images.idx import read_idx
from whitecrow.data.series.files import SERIES_READERS

__all__ = ["Dataset", "cache_folder", "dataset_entries", "dataset_names", "fetch_dataset", "load_dataset"]

KDD_SYMBOLIC = ("protocol_type", "service", "flag", "land", "logged_in", "is_host_login", "is_guest_login")
KDD_COLUMNS = (
    "duration", "protocol_type", "service", "flag", "src_bytes", "dst_bytes", "land", "wrong_fragment",
    "urgent",
    "hot", "num_failed_logins", "logged_in", "num_compromised", "root_shell", "su_attempted", "num_root",
    "num_file_creations", "num_shells", "num_access_files", "num_outbound_cmds", "is_host_login",
    "is_guest_login", "count", "srv_count", "serror_rate", "srv_serror_rate", "rerror_rate",
    "srv_rerror_rate",
    "same_srv_rate", "diff_srv_rate", "srv_diff_host_rate", "dst_host_count", "dst_host_srv_count",
    "dst_host_same_srv_rate", "dst_host_diff_srv_rate", "dst_host_same_src_port_rate",
    "dst_host_srv_diff_host_rate", "dst_host_serror_rate", "dst_host_srv_serror_rate", "dst_host_rerror_rate",
    "dst_host_srv_rerror_rate",
)  # fmt: skip
# The families of the task's description; NSL-KDD's test file has attacks of its own beyond the first 22.
KDD_FAMILIES = {
    "dos": "back land neptune pod smurf teardrop apache2 mailbomb processtable udpstorm",
    "probe": "ipsweep nmap portsweep satan mscan saint",
    "r2l": "ftp_write guess_passwd imap multihop phf spy warezclient warezmaster named sendmail "
    "snmpgetattack "
    "snmpguess worm xlock xsnoop",
    "u2r": "buffer_overflow loadmodule perl rootkit httptunnel ps sqlattack xterm",
}

Paths = list[Path]


def dataset_names() -> list[str]:
    """Return the names that :func:`load_dataset` knows, in alphabetical order.

    >>> "thyroid" in dataset_names()
    True
    """
    return list(CATALOGUE)


def dataset_entries(*, root: str | Path | None = None) -> list[dict[str, Any]]:
    """Return what is known of every data set without reading any.

    Parameters
    ----------
    root : path, optional
        Folder to look in first, as for :func:`load_dataset`.

    Returns
    -------
    list of dict
        With the keys ``name``, ``kind`` ("table", "image" or "sequence"), ``rows``, ``columns``, ``anomaly_share``
        (from 0 to 1), ``available`` (can be loaded here and now), ``fetchable`` (has a verified download), ``source``,
        ``licence``, ``description``.
    """
    folders = _folders(root)
    return [
        {
            "name": item.name,
            "kind": item.kind,
            "rows": item.rows,
            "columns": item.columns,
            "anomaly_share": item.anomalies / item.rows,
            "available": _find(item, folders) is not None,
            "fetchable": item.fetchable,
            "source": item.source,
            "licence": item.licence,
            "description": item.description,
        }
        for item in CATALOGUE.values()
    ]


def load_dataset(name: str, *, root: str | Path | None = None, seed: int = 0) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        One of :func:`dataset_names`.
    root : path, optional
        Folder that holds the files. By default the folder named by ``WHITECROW_DATA``, then the cache.
    seed : int, default=0
        Seed of what is drawn: the attacks of ``kdd-rev``, the anomalies of ``digits``, all of
        ``traffic-sim``.

    Returns
    -------
    Dataset
        Rows, labels, their kind, and where they come from.

    Raises
    ------
    UnknownNameError
        If no data set has this name.
    DatasetError
        If its files are nowhere, or cannot be read.
    """
    item = entry(name)
    check("load_dataset", "seed", seed, Natural)
    folders = _folders(root)
    paths = _find(item, folders)
    if paths is None:
        remedy = f"Get it with: whitecrow data fetch {name}" if item.fetchable else (
            "It cannot be downloaded, for no checksum of an upstream copy is known: place the file there "
            "yourself "
            f"(source: {item.source})"
        )  # fmt: skip
        raise DatasetError(
            f"The data set {name!r} needs {' and '.join(file.path for file in item.files)}, found in none "
            f"of: "
            f"{', '.join(map(str, folders))}. {remedy}."
        )
    try:
        return _READERS[item.reader](item, paths, seed)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, pl.exceptions.PolarsError) as error:
        raise DatasetError(
            f"The files of the data set {name!r} ({', '.join(map(str, paths))}) cannot be read: {error}. "
            "Replace them by a fresh copy."
        ) from error


def fetch_dataset(name: str, *, cache: str | Path | None = None, progressbar: Any = False) -> Path:
    """Download a data set's files into the cache and verify their checksums.

    Parameters
    ----------
    name : str
        One of :func:`dataset_names`.
    cache : path, optional
        Folder to fill; by default :func:`cache_folder`.
    progressbar : bool or object, default=False
        True shows pooch's own bar (needs the package ``tqdm``); an object with ``total``, ``update(n)``,
        ``reset()`` and ``close()`` is driven instead.

    Returns
    -------
    Path
        The folder that now holds the files, to be given to :func:`load_dataset` as ``root``.

    Raises
    ------
    UnknownNameError
        If no data set has this name.
    DatasetError
        If it needs no file, has no verified download, cannot be reached, or its checksum differs; a file that
        was not verified is never left behind.
    """
    item = entry(name)
    folder = Path(cache) if cache is not None else cache_folder()
    if not item.fetchable:
        reason = "no checksum of an upstream copy is known" if item.files else "it needs no file"
        raise DatasetError(f"The data set {name!r} cannot be downloaded: {reason}. Source: {item.source}.")
    for file in item.files:
        _retrieve(file, folder, progressbar)
    return folder


def cache_folder() -> Path:
    """Return the folder that downloads go to by default."""
    import pooch

    return Path(pooch.os_cache("whitecrow"))


def _retrieve(file: SourceFile, folder: Path, progressbar: Any) -> None:
    import pooch

    target = folder / file.path
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # what happens is the caller's to tell
    try:
        # pooch writes to a temporary file and moves it only after the checksum holds.
        pooch.retrieve(
            str(file.url),
            f"sha256:{file.sha256}",
            fname=target.name,
            path=target.parent,
            progressbar=progressbar,
        )
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{file.path} could not be downloaded from {file.url}: {error} Nothing was kept. Try again, or "
            f"place "
            f"the file at {target} yourself."
        ) from error
    finally:
        logger.setLevel(level)


def _folders(root: str | Path | None) -> list[Path]:
    if root is not None:
        return [Path(root)]
    named = os.environ.get("WHITECROW_DATA")
    return [*([Path(named)] if named else []), cache_folder()]


def _find(item: Entry, folders: list[Path]) -> Paths | None:
    """Return the item's files, all from the same folder, or None."""
    for folder in folders:
        found = [
            next((folder / name for name in (file.path, *file.instead) if (folder / name).is_file()), None)
            for file in item.files
        ]
        paths = [path for path in found if path is not None]
        if len(paths) == len(item.files):
            return paths
    return None


def _read_kdd(path: Path, extra: tuple[str, ...] = ()) -> tuple[pl.DataFrame, NDArray[np.str_]]:
    """Return the 41 columns, the symbolic ones still strings, and each row's label without its full stop."""
    symbolic = (*KDD_SYMBOLIC, "label")
    names = (*KDD_COLUMNS, "label", *extra)
    table = pl.read_csv(
        path,
        has_header=False,
        new_columns=list(names),
        schema_overrides=[
            pl.Categorical if n in symbolic else pl.Float32 if n.endswith("rate") else pl.Int64 for n in names
        ],
    )
    if table.width != len(names):
        raise ValueError(f"{path.name} has {table.width} columns, not {len(names)}")
    labels = table["label"].cast(pl.String).str.strip_suffix(".").to_numpy().astype(np.str_)
    return table.select(KDD_COLUMNS), labels


def _declare_levels(table: pl.DataFrame) -> pl.DataFrame:
    """Make the symbolic columns Enums of all the levels they hold, so that every part encodes alike."""
    levels = {name: table[name].cast(pl.String).unique().sort() for name in KDD_SYMBOLIC}
    return table.with_columns(pl.col(name).cast(pl.Enum(values)) for name, values in levels.items())


def _families(labels: NDArray[np.str_]) -> NDArray[np.str_]:
    family = {attack: name for name, attacks in KDD_FAMILIES.items() for attack in attacks.split()}
    distinct, codes = np.unique(labels, return_inverse=True)
    return np.array([family.get(label, label) for label in distinct.tolist()])[codes]


def _kdd(item: Entry, paths: Paths, seed: int) -> Dataset:
    table, labels = _read_kdd(paths[0])
    return item.dataset(_declare_levels(table), (labels == "normal").astype(np.int8), _families(labels))


def _kdd_rev(item: Entry, paths: Paths, seed: int) -> Dataset:
    table, labels = _read_kdd(paths[0])
    table = _declare_levels(table)
    attacks = labels != "normal"
    n_kept = int((~attacks).sum()) // 4
    drawn = np.random.default_rng(seed).choice(np.flatnonzero(attacks), n_kept, replace=False)
    rows = np.sort(np.concatenate([np.flatnonzero(~attacks), drawn]))
    return item.dataset(table[rows], attacks[rows].astype(np.int8), _families(labels[rows]))


def _nsl_kdd(item: Entry, paths: Paths, seed: int) -> Dataset:
    parts = [_read_kdd(path, ("difficulty",)) for path in paths]
    table = _declare_levels(pl.concat([part.with_columns(pl.col(KDD_SYMBOLIC).cast(pl.String)) for part, _ in parts]))
    labels = np.concatenate([part for _, part in parts])
    description = item.description
    if "20Percent" in paths[0].name:
        description = (
            f"NSL-KDD: the 20 % training file and the test file merged, {table.height:,} rows; the full "
            f"training "
            "file, which the literature uses, is absent here."
        )
    return item.dataset(table, (labels != "normal").astype(np.int8), _families(labels), description)


def _deepad(item: Entry, paths: Paths, seed: int) -> Dataset:
    table = pl.concat([pl.read_csv(path, infer_schema_length=None) for path in paths], how="vertical_relaxed")
    return item.dataset(
        table.drop("target").cast(pl.Float64).to_numpy(order="c"), table["target"].to_numpy().astype(np.int8)
    )


def _npz(item: Entry, paths: Paths, seed: int) -> Dataset:
    with np.load(paths[0], allow_pickle=False) as arrays:
        return item.dataset(arrays["X"].astype(np.float64), arrays["y"].ravel().astype(np.int8))


def _mat(item: Entry, paths: Paths, seed: int) -> Dataset:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        arrays = loadmat(paths[0], variable_names=["X", "y"])
    except (MatReadError, TypeError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    return item.dataset(arrays["X"].astype(np.float64), arrays["y"].ravel().astype(np.int8))


def _breast_cancer(item: Entry, paths: Paths, seed: int) -> Dataset:
    from sklearn.datasets import load_breast_cancer

    data: Any = load_breast_cancer()
    families = np.asarray(data.target_names)[data.target].astype(np.str_)
    return item.dataset(data.data.astype(np.float64), (families == "malignant").astype(np.int8), families)


def _digits(item: Entry, paths: Paths, seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    nines = np.flatnonzero(data.target == 9)
    drawn = np.random.default_rng(seed).choice(nines, item.anomalies, replace=False)
    rows = np.sort(np.concatenate([np.flatnonzero(data.target != 9), drawn]))
    digit = data.target[rows]
    return item.dataset(data.data[rows].astype(np.float64), (digit == 9).astype(np.int8), digit.astype(np.str_))


def _digits_8x8(item: Entry, paths: Paths, seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    return _classes(item, data.images, data.target)


def _mnist_28x28(item: Entry, paths: Paths, seed: int) -> Dataset:
    images, digits = map(read_idx, paths)
    if images.ndim != 3 or digits.shape != images.shape[:1]:
        raise ValueError(f"images of the shape {images.shape} and labels of the shape {digits.shape} do not match")
    return _classes(item, images, digits)


def _classes(item: Entry, images: NDArray[Any], classes: NDArray[Any]) -> Dataset:
    return item.dataset(images, np.zeros(len(images), dtype=np.int8), classes.astype(np.str_))


def _series(item: Entry, paths: Paths, seed: int) -> Dataset:
    found = SERIES_READERS[item.reader](paths)
    return item.dataset(found.X, found.y, found.families, train_end=found.train_end)


def _traffic_sim(item: Entry, paths: Paths, seed: int) -> Dataset:
    from whitecrow.data.traffic import simulate_traffic

    return simulate_traffic(rows=item.rows, attack_rate=item.anomalies / item.rows, seed=seed)


_READERS: dict[str, Callable[[Entry, Paths, int], Dataset]] = {
    "kdd": _kdd,
    "kdd-rev": _kdd_rev,
    "nsl-kdd": _nsl_kdd,
    "deepad": _deepad,
    "npz": _npz,
    "mat": _mat,
    "breast-cancer": _breast_cancer,
    "digits": _digits,
    "digits-8x8": _digits_8x8,
    "mnist-28x28": _mnist_28x28,
    **dict.fromkeys(SERIES_READERS, _series),
    "traffic-sim": _traffic_sim,
}
