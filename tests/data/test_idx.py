"""IDX files: arrays of every type come back, and what a header declares is not trusted."""

import contextlib
import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from image_samples import grey

from whitecrow.core.errors import FileFormatError
from whitecrow.data.images import Images, as_images, read_idx

DATA = Path(os.environ.get("WHITECROW_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
in_a_folder = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---- IDX -------------------------------------------------------------------------------------------------------------

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array, code=None, lengths=None):
    lengths = array.shape if lengths is None else lengths
    kind = array.dtype.kind + str(array.dtype.itemsize)
    head = bytes([0, 0, CODES[kind] if code is None else code, len(lengths)])
    values = array.astype(array.dtype.newbyteorder(">")).tobytes()
    return head + struct.pack(f">{len(lengths)}I", *lengths) + values


def written(folder, content):
    path = folder / "a.idx"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@in_a_folder
@given(array=st.sampled_from(sorted(CODES)).flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(max_side=5))))
def test_an_array_of_any_type_comes_back(tmp_path, pack, array):
    read = read_idx(written(tmp_path, pack(idx(array))))
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


def test_an_array_that_was_read_can_be_written_to(tmp_path):
    read = read_idx(written(tmp_path, idx(grey())))
    read += 1
    np.testing.assert_array_equal(read, grey() + 1)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_truncation_is_refused(tmp_path, pack):
    whole = idx(grey(2, 2, 3).astype("i2"))
    for n in range(len(whole)):
        with pytest.raises(FileFormatError, match=r"begin|truncated|declares"):
            read_idx(written(tmp_path, pack(whole[:n])))


def test_every_truncation_of_a_gzip_is_refused(tmp_path):
    whole = gzip.compress(idx(grey()))
    for n in range(len(whole)):
        with pytest.raises(FileFormatError):
            read_idx(written(tmp_path, whole[:n]))


def test_a_gzip_whose_checksum_differs_is_refused(tmp_path):
    whole = bytearray(gzip.compress(idx(grey())))
    whole[-6] ^= 1
    with pytest.raises(FileFormatError, match="cannot be unpacked"):
        read_idx(written(tmp_path, whole))


def test_a_file_that_goes_on_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="declares 6 x 5 x 7 values, 210 bytes, but holds more"):
        read_idx(written(tmp_path, idx(grey()) + b"\0"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"PK\x03\x04",
        idx(grey(), 0x07),
        idx(grey(), 0x0A),
        b"\0\0\x08\0",
        b"\0\0\x08\x09" + bytes(99),
    ],
)
def test_what_is_no_idx_file_is_refused(tmp_path, content):
    with pytest.raises(FileFormatError, match="does not begin as an IDX file does"):
        read_idx(written(tmp_path, content))


def test_an_absent_idx_file_is_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none.idx")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "lengths",
    [(2**32 - 1,), (60_000, 2**20, 2**20), (2**32 - 1,) * 8, (0, 2**32 - 1, 2**32 - 1), (0, *(2**32 - 1,) * 7)],
)
def test_what_a_header_declares_is_not_allocated(tmp_path, pack, lengths):
    body = b"" if 0 in lengths else bytes(100)
    path = written(tmp_path, pack(idx(np.frombuffer(body, np.uint8), lengths=lengths)))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="declares"):
        read_idx(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 22


def test_a_gzip_that_unpacks_to_more_than_it_declares_is_not_unpacked(tmp_path):
    path = written(tmp_path, gzip.compress(idx(np.zeros(0, np.uint8), lengths=(4,)) + bytes(1 << 25)))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="holds more"):
        read_idx(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 23


def test_an_empty_array_is_an_array(tmp_path):
    assert read_idx(written(tmp_path, idx(np.zeros((0, 28, 28), np.uint8)))).shape == (0, 28, 28)


@settings(in_a_folder, max_examples=200)
@given(content=st.binary(max_size=40) | st.binary(max_size=30).map(lambda tail: b"\0\0\x08\x02" + tail))
def test_any_bytes_are_refused_or_give_an_array(tmp_path, content):
    with contextlib.suppress(FileFormatError):
        assert isinstance(read_idx(written(tmp_path, content)), np.ndarray)


def test_mnist_is_read():
    images, labels = (DATA / "images" / f"mnist-t10k-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1"))
    if not images.is_file():
        pytest.skip("the images are absent: set WHITECROW_DATA")
    pixels, digits = read_idx(images), read_idx(labels)
    assert (pixels.shape, pixels.dtype) == ((10_000, 28, 28), np.uint8)
    # Counts that the publisher's page states: 980 zeros, 1,135 ones.
    assert np.bincount(digits).tolist()[:2] == [980, 1135]
    assert isinstance(as_images(pixels), Images)
