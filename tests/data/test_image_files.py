"""Files and folders of images: what Pillow wrote is what is read, and what is damaged is refused."""

import io
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_samples import coloured, grey, rows, saved
from PIL import Image

from whitecrow.core.errors import DataError, FileFormatError, MissingExtraError
from whitecrow.data.images import ImageEncoder, as_images, read_folder
from whitecrow.data.images import encoder as encoder_module
from whitecrow.data.images import images as images_module

in_a_folder = settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---- files -----------------------------------------------------------------------------------------------------------

LOSSLESS = [".png", ".bmp", ".tif", ".tiff", ".webp"]


@pytest.mark.parametrize("suffix", [*LOSSLESS, ".ppm", ".PNG"])
def test_coloured_files_give_the_pixels_that_were_saved(tmp_path, suffix):
    u = coloured()
    for k, pixels in enumerate(u):
        saved(pixels, tmp_path / f"{k}{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    images = as_images(tmp_path)
    assert (len(images), images.channels, images.sizes, images.size) == (6, 3, {(5, 7)}, None)
    np.testing.assert_array_equal(rows(tmp_path), rows(u))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".pgm"])
def test_grey_files_give_the_pixels_that_were_saved(tmp_path, suffix):
    u = grey()
    for k, pixels in enumerate(u):
        saved(pixels, tmp_path / f"{k}{suffix}")
    assert as_images(tmp_path).channels == 1
    np.testing.assert_array_equal(rows(tmp_path), rows(u))


def test_a_jpeg_gives_about_the_pixels_that_were_saved(tmp_path):
    smooth = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 4
    path = saved(smooth, tmp_path / "a.jpg", quality=95)
    assert np.abs(rows([path, path])[0] - rows(smooth[None])[0]).max() < 0.05


DEEP = np.random.default_rng(3).integers(0, 65536, size=(5, 7), dtype=np.uint16)


def big_endian(path):
    Image.frombytes("I;16B", (7, 5), DEEP.astype(">u2").tobytes()).save(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.png", lambda path: Image.fromarray(DEEP).save(path)),
        ("a.tif", lambda path: Image.fromarray(DEEP).save(path)),
        ("a.pgm", lambda path: Image.fromarray(DEEP).save(path)),
        ("32 bits.tif", lambda path: Image.fromarray(DEEP.astype(np.int32)).save(path)),
        ("big end first.tif", big_endian),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_of_grey_are_rounded_to_eight(tmp_path, name, write, channels):
    write(tmp_path / name)
    assert as_images(tmp_path).channels == 1
    read = images_module.read_image(tmp_path / name, (channels, 5, 7))
    assert read.shape == (channels, 5, 7)
    assert np.abs(read - DEEP / 257).max() <= 0.5


def test_every_kind_of_picture_is_grey_or_colour(tmp_path):
    u = coloured(1)[0]
    opaque = np.dstack([u, np.full(u.shape[:2], 255, np.uint8)])
    palette = Image.fromarray(u).quantize(8)
    expected = np.asarray(palette.convert("RGB"))
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "see-through.png", transparency=bytes([0, 90, 255, 255, 255, 255, 255, 255]))
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    Image.fromarray(np.dstack([u[..., 0], u[..., 1]])).save(tmp_path / "grey-alpha.png")
    Image.fromarray(u[..., 0] > 127).save(tmp_path / "two-tone.png")
    Image.fromarray(u).convert("CMYK").save(tmp_path / "print.tif")

    def read(name):
        images = as_images(tmp_path / name)
        pixels = next(images.blocks(None, 1, (images.channels, 5, 7)))[0]
        return pixels[0] if images.channels == 1 else np.moveaxis(pixels, 0, 2)

    np.testing.assert_array_equal(read("palette.png"), expected)
    np.testing.assert_array_equal(read("see-through.png"), expected)
    np.testing.assert_array_equal(read("opaque.png"), u)
    np.testing.assert_array_equal(read("grey-alpha.png"), u[..., 0])
    np.testing.assert_array_equal(read("two-tone.png"), np.where(u[..., 0] > 127, 255, 0))
    assert read("print.tif").shape == (5, 7, 3)


def test_grey_and_coloured_files_together_are_coloured(tmp_path):
    paths = [saved(grey(1)[0], tmp_path / "a.png"), saved(coloured(1)[0], tmp_path / "b.png")]
    assert as_images(paths).channels == 3
    read = rows(paths).reshape(2, 3, 35)
    np.testing.assert_array_equal(read[0], np.repeat(rows(grey(1)), 3, axis=0))


def test_files_and_arrays_of_the_same_images_give_the_same_rows(tmp_path):
    u = grey()
    paths = [saved(pixels, tmp_path / f"{k}.png") for k, pixels in enumerate(u)]
    by_files, by_arrays = ImageEncoder().fit(paths), ImageEncoder().fit(u / 255)
    np.testing.assert_allclose(by_files.transform(u), by_arrays.transform(paths), atol=1e-6)
    np.testing.assert_array_equal(by_files.transform(str(paths[2])), by_files.transform(u[2:3]))
    np.testing.assert_array_equal(by_files.transform(tuple(map(str, paths))), by_files.transform(tmp_path))


def test_a_folder_is_read_in_the_order_of_its_names_with_its_sub_folders(tmp_path):
    for name in ("b.png", "a/z.png", "a/b/c.bmp", "c.tif"):
        saved(grey(1)[0], tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty.png").mkdir()
    names = [str(path.relative_to(tmp_path)) for path in as_images(tmp_path).paths]
    assert names == ["a/b/c.bmp", "a/z.png", "b.png", "c.tif"]


def test_files_are_read_once_and_only_a_block_of_them_is_held(tmp_path, monkeypatch):
    n, side, reads = 60, 32, []
    for k, pixels in enumerate(grey(n, side, side)):
        saved(pixels, tmp_path / f"{k:03}.bmp")
    original = images_module.read_image
    monkeypatch.setattr(images_module, "read_image", lambda path, shape: reads.append(path) or original(path, shape))
    monkeypatch.setattr(encoder_module, "_BLOCK_VALUES", 4 * side * side)
    encoder = ImageEncoder().fit(as_images(tmp_path))
    assert reads == []
    encoder.transform(tmp_path / "000.bmp")
    reads.clear()
    images = as_images(tmp_path)
    tracemalloc.start()
    out = encoder.transform(images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reads) == len(set(reads)) == n
    assert peak < 1.5 * out.nbytes
    np.testing.assert_array_equal(out, rows(grey(n, side, side)))


# ---- resizing --------------------------------------------------------------------------------------------------------


def test_files_are_resized_to_the_size_that_is_asked_for(tmp_path):
    saved(np.full((9, 12), 200, np.uint8), tmp_path / "a.png")
    saved(np.full((30, 20), 90, np.uint8), tmp_path / "b.png")
    for size, shape in ((6, (1, 6, 6)), ((4, 9), (1, 4, 9)), ([4, 9], (1, 4, 9)), (np.int64(6), (1, 6, 6))):
        encoder = ImageEncoder().fit(as_images(tmp_path, size=size))
        assert encoder.shape == shape
        # An even picture stays what it is, whatever its size.
        np.testing.assert_allclose(encoder.transform(tmp_path).mean(1), [200 / 127.5 - 1, 90 / 127.5 - 1], atol=1e-6)
    assert as_images(as_images(tmp_path), size=6).size == (6, 6)


def test_shrinking_averages(tmp_path):
    board = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
    read = images_module.read_image(saved(board.astype(np.uint8), tmp_path / "a.png"), (1, 8, 8))
    assert np.abs(read.astype(int) - 127).max() < 10


def test_scored_files_take_the_size_of_the_fit(tmp_path):
    encoder = ImageEncoder().fit(grey())
    saved(np.full((50, 40), 51, np.uint8), tmp_path / "large.png")
    np.testing.assert_allclose(encoder.transform(tmp_path / "large.png"), np.full((1, 35), -0.6), atol=1e-6)


def test_files_of_several_sizes_need_one_for_a_fit(tmp_path):
    saved(grey(1)[0], tmp_path / "a.png")
    saved(grey(1, 6)[0], tmp_path / "b.png")
    with pytest.raises(DataError, match=r"2 sizes, such as \[\(5, 7\), \(6, 7\)\].*as_images\(folder, size=64\)"):
        ImageEncoder().fit(tmp_path)


@pytest.mark.parametrize("size", [0, -1, True, 64.5, (8,), (8, 8, 8), "64", (8.0, 8), (8, 0), 4097, (True, 8)])
def test_impossible_sizes_are_refused(tmp_path, size):
    saved(grey(1)[0], tmp_path / "a.png")
    with pytest.raises(DataError, match="one or two integers from 1 to 4096"):
        as_images(tmp_path, size=size)


# ---- files that cannot be read ---------------------------------------------------------------------------------------


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, content=b""):
    """Return a PNG file that declares what it does not hold."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("side", [8193, 9500, 20_000, 100_000])
def test_a_small_file_that_declares_a_huge_picture_is_refused_before_it_is_unpacked(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side))
    tracemalloc.start()
    for call in (as_images, ImageEncoder().fit(grey()).transform, lambda p: images_module.read_image(p, (1, 8, 8))):
        with pytest.raises(FileFormatError, match=r"bomb\.png.*pixels"):
            call(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 22


def test_a_truncated_file_is_refused_when_it_is_read(tmp_path):
    path = saved(grey(1, 40, 40)[0], tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:900])
    encoder = ImageEncoder().fit(path)
    with pytest.raises(FileFormatError, match=r"a\.png is damaged: .*truncated.*Leave it out"):
        encoder.transform(path)


def test_a_picture_without_its_pixels_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(7, 5, b"\0" * 10))
    with pytest.raises(FileFormatError, match="damaged"):
        ImageEncoder().fit(grey()).transform(path)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"no image at all", b"\0" * 1000])
def test_what_is_no_image_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a\.png cannot be read as an image.*Accepted are \.png"):
        as_images(tmp_path)


def test_a_picture_of_floats_is_refused_for_its_range_is_unknown(tmp_path):
    path = saved((grey(1)[0] / 255).astype(np.float32), tmp_path / "a.tif")
    with pytest.raises(FileFormatError, match=r"floats, whose range it does not say\. Give its pixels as an array"):
        as_images(path)


def test_absent_files_and_empty_folders_are_refused(tmp_path):
    for absent in (tmp_path / "none.png", str(tmp_path / "none"), [tmp_path / "none.png"], "\0"):
        with pytest.raises(FileNotFoundError):
            as_images(absent)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"holds no image files\. Accepted are \.png"):
        as_images(tmp_path)


def test_a_file_that_vanishes_after_the_look_is_reported(tmp_path):
    images = as_images(saved(grey(1)[0], tmp_path / "a.png"))
    (tmp_path / "a.png").unlink()
    with pytest.raises(FileNotFoundError):
        ImageEncoder().fit(grey()).transform(images)


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    path = saved(grey(1)[0], tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'whitecrow\[image\]'"):
        as_images(path)
    assert rows(grey()).shape == (6, 35)


def encoded(suffix, pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, Image.registered_extensions()[suffix], **options)
    return buffer.getvalue()


WHOLE = {
    ".png": encoded(".png", coloured(1)[0]),
    ".jpg": encoded(".jpg", coloured(1)[0]),
    ".bmp": encoded(".bmp", coloured(1)[0]),
    ".webp": encoded(".webp", coloured(1)[0]),
    ".ppm": encoded(".ppm", coloured(1)[0]),
    ".pgm": encoded(".pgm", DEEP),
    ".tif": encoded(".tif", grey(1)[0]),
}


@pytest.mark.filterwarnings("ignore")  # Pillow's own, about damaged metadata
@in_a_folder
@given(
    suffix=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    kept=st.floats(0, 1) | st.just(1.0),
)
def test_any_damage_is_refused_or_gives_an_image(tmp_path, suffix, changes, kept):
    content = bytearray(WHOLE[suffix])
    for at, value in changes:
        content[at % len(content)] = value
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content[: int(kept * len(content))])
    try:
        values = ImageEncoder().fit(grey()).transform(path)
    except FileFormatError:
        return
    assert values.shape == (1, 35)
    assert np.abs(values).max() <= 1 + 1e-6


# ---- folders with a split --------------------------------------------------------------------------------------------


def inspection_folder(root, side=10):
    for k in range(4):
        saved(np.full((side, side), 100 + k, np.uint8), root / "train" / "good" / f"{k:03}.png")
    for family, n in (("good", 2), ("crack", 3), ("hole", 1)):
        for k in range(n):
            saved(np.full((side, side), 10 * n + k, np.uint8), root / "test" / family / f"{k:03}.png")
    mask = np.zeros((side, side), np.uint8)
    mask[2:5, 3:9] = 255
    for k in range(2):  # the third crack has no mask
        saved(np.roll(mask, k, axis=0), root / "ground_truth" / "crack" / f"{k:03}_mask.png")
    return mask > 0


def test_the_layout_of_mvtec_is_read_with_labels_families_and_masks(tmp_path):
    mask = inspection_folder(tmp_path)
    folder = read_folder(tmp_path)
    assert len(folder.train.images) == 4
    assert not folder.train.labels.any()
    assert folder.test.families == ("crack", "crack", "crack", "good", "good", "hole")
    np.testing.assert_array_equal(folder.test.labels, [1, 1, 1, 0, 0, 1])
    assert [path is not None for path in folder.test.masks] == [True, True, False, False, False, False]
    masks = folder.test.read_masks((10, 10))
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks, [mask, np.roll(mask, 1, axis=0), *np.zeros((4, 10, 10), bool)])
    levels = rows(folder.test.images).mean(1)
    np.testing.assert_allclose(levels, np.array([30, 31, 32, 20, 21, 10]) / 127.5 - 1, atol=1e-6)


def test_images_and_masks_of_a_folder_are_resized_together(tmp_path):
    mask = inspection_folder(tmp_path)
    folder = read_folder(tmp_path, size=20)
    assert ImageEncoder().fit(folder.train.images).shape == (1, 20, 20)
    larger = folder.test.read_masks((20, 20))[0]
    assert (larger != mask.repeat(2, axis=0).repeat(2, axis=1)).mean() < 0.02


def test_a_folder_without_a_part_says_what_it_needs(tmp_path):
    with pytest.raises(DataError, match=r"no folder 'train'.*train/good, test/good"):
        read_folder(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        read_folder(tmp_path)


@pytest.mark.parametrize("content", [b"no image", png(9500, 9500)])
def test_a_damaged_mask_is_refused(tmp_path, content):
    inspection_folder(tmp_path)
    (tmp_path / "ground_truth" / "crack" / "001_mask.png").write_bytes(content)
    with pytest.raises(FileFormatError, match="001_mask"):
        read_folder(tmp_path).test.read_masks((10, 10))
