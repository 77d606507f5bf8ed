"""What each named data set is: size, source, licence, label rule, files, and the literature's encoding."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from whitecrow.core.registry import unknown_name
from whitecrow.core.spec import Kind
from whitecrow.data.series.catalogue import SERIES, SeriesFacts

__all__ = ["CATALOGUE", "Dataset", "Entry", "SourceFile", "entry"]


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """A labelled data set.

    Attributes
    ----------
    name : str
        The name :func:`whitecrow.data.load_dataset` knows it by.
    X : polars.DataFrame or ndarray
        The samples. Of kind "table": a table where columns differ in type, else an array ``[N, D]``. "image": an
        array ``[N, H, W]``. "sequence": one series, as an array ``[T, C]`` or as a table with a column of times, of
        which each step is a row; or fixed windows ``[N, W, C]``.
    y : ndarray of int8, shape (N,)
        1 = anomaly, 0 = normal, for each row. Images have all 0: a protocol chooses the class.
    description, citation, licence : str
        What it is, whom to cite, on what terms it is offered.
    label_rule : str
        Which rows count as anomalies.
    encoding : str
        The encoding that the literature uses, with its number of columns.
    families : ndarray of str, shape (N,), or None
        The label before it was made binary, for example the kind of attack.
    kind : {"table", "image", "sequence"}
        Kind of data, which says what detectors take it.
    train_end : int or None
        Rows before this one are the training part, where the files name one.
    """

    name: str
    X: pl.DataFrame | NDArray[np.float64]
    y: NDArray[np.int8]
    description: str
    citation: str
    licence: str
    label_rule: str
    encoding: str
    families: NDArray[np.str_] | None = None
    kind: Kind = "table"
    train_end: int | None = None

    def __repr__(self) -> str:
        rows, *lengths = self.X.shape
        form = "table" if isinstance(self.X, pl.DataFrame) else "array"
        kind = form if self.kind == "table" else f"{self.kind} {form}"
        share = f"{self.y.mean():.2%}" if rows else "no rows"
        return (
            f"Dataset({self.name!r}: {kind} of {' x '.join([f'{rows:,}', *map(str, lengths)])}, "
            f"{int(self.y.sum()):,} anomalies "
            f"({share}))"
            f"\n  {self.description}\n  anomaly: {self.label_rule}"
        )


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a data set: where it lies below the data folder, and where it comes from.

    ``url`` and ``sha256`` are None where no upstream copy could be verified: such a file is never downloaded.
    ``instead`` names files that serve as well where this one is absent, best first.
    """

    path: str
    url: str | None = None
    sha256: str | None = None
    instead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue; see :class:`Dataset` for the texts.

    ``rows``, ``columns`` and ``anomalies`` are what the complete data set holds, before any encoding: of images, the
    pixels are the columns; of a series, the steps are the rows and the channels the columns; of fixed windows, the
    windows and their steps. ``files`` is empty for what needs no file. ``reader`` says how the files are read.
    """

    name: str
    rows: int
    columns: int
    anomalies: int
    description: str
    citation: str
    licence: str
    label_rule: str
    encoding: str
    source: str
    reader: str
    files: tuple[SourceFile, ...] = ()
    kind: Kind = "table"

    @property
    def fetchable(self) -> bool:
        """Whether every file has a verified checksum, so that it can be downloaded."""
        return bool(self.files) and all(file.url and file.sha256 for file in self.files)

    def dataset(
        self,
        X: pl.DataFrame | NDArray[np.float64],
        y: NDArray[np.int8],
        families: NDArray[np.str_] | None = None,
        description: str | None = None,
        train_end: int | None = None,
    ) -> Dataset:
        """Return the data set with this entry's texts."""
        return Dataset(
            self.name, X, y, description or self.description, self.citation, self.licence, self.label_rule,
            self.encoding, families, self.kind, train_end,
        )  # fmt: skip


_UCI = "CC BY 4.0 (UCI Machine Learning Repository)"
_KDD_CITATION = "S. Stolfo et al., KDD Cup 1999 Data, UCI Machine Learning Repository, doi:10.24432/C51C7N."
_KDD_ENCODING = (
    "121 columns: one-hot of the 7 symbolic columns (3 protocols, 66 services, 11 flags, 2 + 2 + 1 + 2 = 87) "
    "and 34 numbers, the numbers standardised on the training rows"
)
_KDD_FILE = SourceFile(
    "intrusion/kddcup.data_10_percent.gz",
    "https://ndownloader.figshare.com/files/5976042",
    "8045aca0d84e70e622d1148d7df782496f6333bf6eb979a1b0837c42a9fd9561",
)
# A mirror; the publisher offers one archive whose checksum is not known to us. The pinned
# checksums of the two files are those that several independent users of the data set report.
_NSL = "https://raw.githubusercontent.com/defcom17/NSL_KDD/master/"
_NSL_FILES = (
    SourceFile(
        "intrusion/KDDTrain+.txt",
        _NSL + "KDDTrain%2B.txt",
        "1b86d2f957b33082081bba410fe129b475efebcc13c9014c3f447c8271aadf95",
        instead=(
            "intrusion/KDDTrain+.txt.gz",
            "intrusion/KDDTrain+_20Percent.txt",
            "intrusion/KDDTrain+_20Percent.txt.gz",
        ),
    ),
    SourceFile(
        "intrusion/KDDTest+.txt",
        _NSL + "KDDTest%2B.txt",
        "fa46b0935342616aa83b7c2578db355b6a7aaabbc492248172c7a1e8b7ab8f84",
        instead=("intrusion/KDDTest+.txt.gz",),
    ),
)

_INTRUSION = (
    Entry(
        "kddcup99-10", 494_021, 41, 97_278,
        "KDD Cup 1999, the 10 percent file: connections of a simulated military network, most of them "
        "attacks.",
        _KDD_CITATION, _UCI,
        "label 'normal.'; as in the literature the attacks, 80 % of the rows, are the normal class",
        _KDD_ENCODING, "UCI / KDD Cup 1999", "kdd", (_KDD_FILE,),
    ),
    Entry(
        "kdd-rev", 121_597, 41, 24_319,
        "KDD Cup 1999 reversed: all normal traffic, and attacks drawn at random (anew for each seed) to a "
        "fifth.",
        _KDD_CITATION, _UCI, "every label but 'normal.'", _KDD_ENCODING, "UCI / KDD Cup 1999", "kdd-rev",
        (_KDD_FILE,),
    ),
    Entry(
        "nsl-kdd", 148_517, 41, 71_463,
        "NSL-KDD: KDD Cup 1999 without its duplicate rows, full training and test file merged.",
        "M. Tavallaee et al., A detailed analysis of the KDD CUP 99 data set, CISDA 2009.",
        "free for research with citation (Canadian Institute for Cybersecurity)",
        "every label but 'normal'",
        "about 122 columns: one-hot of the symbolic columns and the numbers; the difficulty column is "
        "dropped",
        "Canadian Institute for Cybersecurity", "nsl-kdd", _NSL_FILES,
    ),
    Entry(
        "deepad", 10_000, 18, 2_000,
        "8,000 inliers and 2,000 outliers of KDD Cup 1999 as the deepad prototype tests on: 18 rates and "
        "counts.",
        "Cloudera Fast Forward, Deep Learning for Anomaly Detection, 2020.", "Apache-2.0",
        "target = 1", "18 counts and rates, as they are",
        "Cloudera Fast Forward", "deepad",
        (SourceFile("intrusion/deepad_8020/test_inliers.csv.gz"),
         SourceFile("intrusion/deepad_8020/test_outliers.csv.gz")),
    ),
    Entry(
        "arrhythmia", 452, 274, 66,
        "Arrhythmia as in the ODDS collection: electrocardiogram measurements of 452 patients.",
        "H. A. Guvenir et al., Arrhythmia, UCI, doi:10.24432/C5BS32; S. Rayana, ODDS Library, 2016.", _UCI,
        "the smallest classes 3, 4, 5, 7, 8, 9, 14 and 15", "274 numbers as they are",
        "ODDS", "mat",
        (SourceFile("odds/arrhythmia.mat", "https://www.dropbox.com/s/lmlwuspn1sey48r/arrhythmia.mat?dl=1",
                    "e4d47e499591ae31e5d7f0cd983367092353eac240f48e14c9b36457edb3460d"),),
    ),
)  # fmt: skip

_GENERATED = (
    Entry(
        "breast-cancer", 569, 30, 212,
        "Breast Cancer Wisconsin (diagnostic), shipped with scikit-learn: cell nuclei measured in 569 "
        "images.",
        "W. Wolberg et al., Breast Cancer Wisconsin (Diagnostic), UCI, doi:10.24432/C5DW2B.", _UCI,
        "malignant", "30 numbers, standardised on the training rows", "scikit-learn", "breast-cancer",
    ),
    Entry(
        "digits", 1_671, 64, 54,
        "Handwritten digits of 8 x 8 pixels, shipped with scikit-learn. The nines are the anomaly and are "
        "drawn at random (anew for each seed) until they are 54 rows, 3.2 %.",
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, doi:10.24432/C50P49.",
        _UCI,
        "digit 9", "64 numbers from 0 to 16", "scikit-learn", "digits",
    ),
    Entry(
        "traffic-sim", 20_000, 28, 400,
        "SYNTHETIC connection records of an invented office network with six kinds of attack, simulated by "
        "whitecrow: to learn and to test with, no evidence of how a detector does on a real network.",
        "whitecrow, network-traffic simulator.", "MIT (generated)", "the six kinds of attack in `families`",
        "no literature: numbers standardised, the five symbolic columns one-hot", "whitecrow simulator",
        "traffic-sim",
    ),
)  # fmt: skip

# A mirror, with the checksums that many users of the files pin.
_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_IMAGES = (
    Entry(
        "digits-8x8", 1_797, 64, 0,
        "Handwritten digits as images of 8 x 8 pixels, shipped with scikit-learn; digits has the same as a table.",
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, doi:10.24432/C50P49.", _UCI,
        "none by itself: a protocol chooses the class, which is the digit", "grey from 0 to 16", "scikit-learn",
        "digits-8x8", kind="image",
    ),
    Entry(
        "mnist-28x28", 10_000, 784, 0,
        "MNIST, the test file alone: handwritten digits as images of 28 x 28 pixels. ADBench's table mnist is another.",
        "Y. LeCun et al., Gradient-based learning applied to document recognition, Proceedings of the IEEE 86(11), "
        "1998.",
        "CC BY-SA 3.0", "none by itself: a protocol chooses the class, which is the digit", "grey from 0 to 255",
        "LeCun, Cortes and Burges", "mnist-28x28",
        (SourceFile("images/mnist-t10k-images-idx3-ubyte.gz", _MNIST + "t10k-images-idx3-ubyte.gz",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
         SourceFile("images/mnist-t10k-labels-idx1-ubyte.gz", _MNIST + "t10k-labels-idx1-ubyte.gz",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6")),
        kind="image",
    ),
)  # fmt: skip

# name in ADBench: rows, columns, anomalies, which class is the anomaly
_ADBENCH = {
    "2_annthyroid": (7_200, 6, 534, "hyperfunction and subnormal function"),
    "4_breastw": (683, 9, 239, "malignant"),
    "5_campaign": (41_188, 62, 4_640, "customer subscribed"),
    "6_cardio": (1_831, 21, 176, "pathologic"),
    "10_cover": (286_048, 10, 2_747, "cottonwood or willow"),
    "11_donors": (619_326, 10, 36_710, "exciting project"),
    "14_glass": (214, 7, 9, "tableware"),
    "16_http": (567_498, 3, 2_211, "attack"),
    "20_letter": (1_600, 32, 100, "rows mixed with other letters"),
    "22_magic.gamma": (19_020, 10, 6_688, "hadron"),
    "23_mammography": (11_183, 6, 260, "calcification"),
    "24_mnist": (7_603, 100, 700, "digit 6"),
    "25_musk": (3_062, 166, 97, "musk"),
    "26_optdigits": (5_216, 64, 150, "digit 0"),
    "28_pendigits": (6_870, 16, 156, "digit 0"),
    "29_Pima": (768, 8, 268, "diabetes"),
    "30_satellite": (6_435, 36, 2_036, "the three smallest soil classes"),
    "31_satimage-2": (5_803, 36, 71, "cotton crop, down-sampled"),
    "32_shuttle": (49_097, 9, 3_511, "classes 2, 3, 5, 6 and 7"),
    "34_smtp": (95_156, 3, 30, "attack"),
    "38_thyroid": (3_772, 6, 93, "hyperfunction"),
    "40_vowels": (1_456, 12, 50, "speaker 1"),
    "42_WBC": (223, 9, 10, "malignant, down-sampled"),
}
# Only checksums that somebody besides us publishes; the other tables are read from disk but never downloaded.
_ADBENCH_SHA256 = {
    "2_annthyroid": "e738f7c58a8740d2c4aac4c71ff49ce5e1d1aa16f44178135fc9c09df05fad1b",
    "4_breastw": "4f37ce07dbc25ddad8178fdc6d664ab46d2d0000ee28c2787c3c7ff3c03ef9f6",
    "6_cardio": "bc5009bde6930b4d298b594f31b34485a9a17210cff0e8fb00a8c3068b885a2d",
    "10_cover": "945a097c3542ae81a551bf1c06dcad78a755d94f84fcaf1d60687e42d1a656df",
    "11_donors": "5824ec854465f2763b4bfe3da1ae9f25ed5433b5c6e265d42e37da4f82a58679",
    "14_glass": "aa7a8db1d475ba01a10488af454bc15220a3d5951b010b03b7020567d8152cdc",
    "16_http": "9d98710091551587f4740cfc851a6b064fff6319a337c2dc77ee6da4bcc2e02c",
    "20_letter": "f986d3da80cf1fa2aea83a5ebe73b7d4800e0d4c01fdd1ae074b58d20f10d039",
    "22_magic.gamma": "0be375984d7af9ea7a63b12206c240840d8b7daa3607021c5fb8756407dd86f1",
    "23_mammography": "a0308ac9712d78321073b1c2dc98dc37665c0f35c1cc33019416fe8f8d7de7ea",
    "24_mnist": "be7706272325fdd3592c1be555ae1a82f916a2f8545f4f8cbaa548ab102cc44c",
    "25_musk": "2ed3f4392197b76a1e59116ff880c7720a4b026cf4842073a53b56fdea265017",
    "26_optdigits": "60de17a375a278ba220a7849727d998aa02b5e2f9fd17732a004bba28de4656e",
    "28_pendigits": "c4936b89dcdad59d303020e492f763a0f54170080d787c77497609acbb9c2d79",
    "31_satimage-2": "1b056e357f801b8b20c3f380a30224a3c4088d7ed764ec5a24828dc9b1918d6f",
    "32_shuttle": "26900b0f6be45d9ddb7a402c9b2f956ceda42d23a8ca4cf4406b8bc1352823d1",
    "34_smtp": "d2569fc9bc12115419e3f5b37d19921e10e6c26e5ad1e61064cfb0fbc402dfdd",
    "38_thyroid": "8de161b3f235b7647bb0b39a836d983ff61d67bf234edac461da2d71e889cb87",
}
_ADBENCH_URL = "https://github.com/Minqi824/ADBench/raw/main/adbench/datasets/Classical/"


def _adbench(stem: str, rows: int, columns: int, anomalies: int, anomaly: str) -> Entry:
    sha256 = _ADBENCH_SHA256.get(stem)
    name = stem.partition("_")[2].lower()
    note = " Not annthyroid." if name == "thyroid" else ""
    return Entry(
        name, rows, columns, anomalies, f"Table {stem} of ADBench.{note}",
        "S. Han et al., ADBench: Anomaly Detection Benchmark, NeurIPS 2022, arXiv:2206.09426.",
        "BSD-2-Clause (ADBench); the original table's terms apply as well", anomaly,
        f"{columns} numbers, standardised on the training rows", "ADBench", "npz",
        (SourceFile(f"adbench/{stem}.npz", f"{_ADBENCH_URL}{stem}.npz" if sha256 else None, sha256),),
    )  # fmt: skip


def _series(facts: SeriesFacts) -> Entry:
    return Entry(*facts[:-1], files=tuple(SourceFile(path) for path in facts.files), kind="sequence")


CATALOGUE: dict[str, Entry] = {
    item.name: item
    for item in sorted(
        (
            *_INTRUSION,
            *_GENERATED,
            *_IMAGES,
            *(_adbench(stem, *facts) for stem, facts in _ADBENCH.items()),
            *map(_series, SERIES),
        ),
        key=lambda item: item.name,
    )
}


def entry(name: str) -> Entry:
    """Return the catalogue's entry for ``name``.

    Raises
    ------
    UnknownNameError
        If no data set has this name.
    """
    try:
        return CATALOGUE[name]
    except (KeyError, TypeError):
        raise unknown_name("data set", name, list(CATALOGUE)) from None
