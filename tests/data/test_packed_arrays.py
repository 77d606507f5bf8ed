"""Archives of arrays and pictures from strangers: read as they are, or refused before anything is unpacked."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from whitecrow.core.errors import DataError, FileFormatError
from whitecrow.data.packed_arrays import declared_bytes, read_packed_arrays, read_packed_images

MOST = 1 << 20


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def png(array):
    image = pytest.importorskip("PIL.Image", reason="the image extra is not installed")
    stream = io.BytesIO()
    image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">i4", "<f4", ">f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_as_they_were(tmp_path, dtype, order):
    X = np.arange(24).reshape(4, 3, 2).astype(dtype, order=order)
    samples, labels = read_packed_arrays(
        npz(tmp_path / "a.npz", X=X, y=np.array(["a", "b", "a", "<b>"])), max_bytes=MOST
    )
    np.testing.assert_array_equal(samples, X)
    assert samples.dtype.isnative
    assert labels.tolist() == ["a", "b", "a", "<b>"]


def test_labels_may_be_absent_or_a_column(tmp_path):
    assert read_packed_arrays(npz(tmp_path / "a.npz", images=np.ones((2, 3))), max_bytes=MOST)[1] is None
    labels = read_packed_arrays(npz(tmp_path / "b.npz", X=np.ones((2, 3)), y=[[1], [0]]), max_bytes=MOST)[1]
    assert labels.tolist() == [1, 0]


class Bang:
    def __reduce__(self):
        return exec, ("raise SystemExit('run')",)


def test_objects_are_never_unpickled(tmp_path):
    file = zipped(tmp_path / "a.npz", {"X.npy": npy(np.array([Bang()], dtype=object))})
    with pytest.raises(FileFormatError, match="plain numbers"):
        read_packed_arrays(file, max_bytes=MOST)
    file = zipped(tmp_path / "b.npz", {"X.npy": pickle.dumps(Bang())})
    with pytest.raises(FileFormatError, match="damaged"):
        read_packed_arrays(file, max_bytes=MOST)


@pytest.mark.parametrize("shape", ["(1000000000000, 1000000)", "(-1, 4)", "(2, 3)", "(4611686018427387904, 4)"])
def test_a_shape_without_its_bytes_is_refused(tmp_path, shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(8)
    with pytest.raises(FileFormatError):
        read_packed_arrays(zipped(tmp_path / "a.npz", {"X.npy": data}), max_bytes=MOST)


def test_a_bomb_is_refused_by_what_it_declares(tmp_path):
    file = npz(tmp_path / "a.npz", X=np.zeros((1000, 1000)))
    assert file.stat().st_size < 20_000
    assert declared_bytes(file) > 8_000_000
    with pytest.raises(DataError, match=r"at most 1\.0 MiB"):
        read_packed_arrays(file, max_bytes=MOST)


def test_a_directory_that_lies_about_sizes_is_found_out(tmp_path):
    file = npz(tmp_path / "a.npz", X=np.zeros(100_000, dtype=np.uint8))
    data = file.read_bytes()
    true, said = (100_128).to_bytes(4, "little"), (200).to_bytes(4, "little")
    assert true in data
    file.write_bytes(data.replace(true, said))
    with pytest.raises(FileFormatError):
        read_packed_arrays(file, max_bytes=10_000)


@pytest.mark.parametrize("keep", [10, 100, -1, -40])
def test_a_truncated_archive_is_refused(tmp_path, keep):
    file = npz(tmp_path / "a.npz", X=np.random.default_rng(0).normal(size=(20, 5)))
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(FileFormatError):
        read_packed_arrays(file, max_bytes=MOST)


def test_labels_of_another_number_and_nothing_to_read_are_refused(tmp_path):
    with pytest.raises(DataError, match="one label for each"):
        read_packed_arrays(npz(tmp_path / "a.npz", X=np.ones((3, 2)), y=[1, 0]), max_bytes=MOST)
    with pytest.raises(DataError, match="'other'"):
        read_packed_arrays(npz(tmp_path / "b.npz", other=np.ones(3)), max_bytes=MOST)
    with pytest.raises(DataError, match="no sample"):
        read_packed_arrays(npz(tmp_path / "c.npz", X=np.ones((0, 2))), max_bytes=MOST)


def test_pictures_come_in_the_order_of_their_names_with_their_folders(tmp_path):
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    members = {
        "set/good/b.png": png(grey), "set/bad/a.png": png(grey + 100), "__MACOSX/good/._b.png": b"junk",
        "set/readme.txt": b"text",
    }  # fmt: skip
    pixels, labels = read_packed_images(zipped(tmp_path / "a.zip", members), max_bytes=MOST)
    np.testing.assert_array_equal(pixels, np.stack([grey + 100, grey])[:, None])
    assert labels == ["bad", "good"]


def test_no_name_in_an_archive_is_a_path(tmp_path):
    grey = np.zeros((4, 4), dtype=np.uint8)
    names = ["../../up.png", "/abs.png", "C:\\x\\y.png", "a\nb/<img>.png"]
    pixels, _ = read_packed_images(zipped(tmp_path / "a.zip", dict.fromkeys(names, png(grey))), max_bytes=MOST)
    assert pixels.shape == (4, 1, 4, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert not (tmp_path.parent / "up.png").exists()


def test_pictures_of_two_sizes_and_damaged_ones_are_refused(tmp_path):
    small, large = np.zeros((4, 4), dtype=np.uint8), np.zeros((5, 4), dtype=np.uint8)
    with pytest.raises(DataError, match="2 sizes"):
        read_packed_images(zipped(tmp_path / "a.zip", {"a.png": png(small), "b.png": png(large)}), max_bytes=MOST)
    with pytest.raises(FileFormatError, match=r"mine\.png"):
        read_packed_images(zipped(tmp_path / "b.zip", {"mine.png": b"\x89PNG junk"}), max_bytes=MOST)
    with pytest.raises(DataError, match="no pictures"):
        read_packed_images(zipped(tmp_path / "c.zip", {"a.txt": b"x"}), max_bytes=MOST)
    with pytest.raises(DataError, match="of pixels"):
        read_packed_images(zipped(tmp_path / "d.zip", {"a.png": png(np.zeros((2000, 2000), np.uint8))}), max_bytes=MOST)
