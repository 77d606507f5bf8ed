"""Arrays of images and their encoder: one image gives one row, in whatever form it comes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from image_samples import coloured, grey, rows

from whitecrow.core.errors import DataError, ModelFileError
from whitecrow.data.images import ImageEncoder, Images, as_images
from whitecrow.data.images import encoder as encoder_module

relaxed = settings(deadline=None, max_examples=60)


# ---- the form of arrays ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "layout", "form"),
    [
        ((9, 5, 7), "NHW", (9, 1, 5, 7)),
        ((9, 3, 3), "NHW", (9, 1, 3, 3)),
        ((9, 5, 7, 1), "NHWC", (9, 1, 5, 7)),
        ((9, 5, 7, 3), "NHWC", (9, 3, 5, 7)),
        ((9, 5, 7, 4), "NHWC", (9, 4, 5, 7)),
        ((9, 1, 5, 7), "NCHW", (9, 1, 5, 7)),
        ((9, 3, 5, 7), "NCHW", (9, 3, 5, 7)),
        ((9, 3, 1, 7), "NCHW", (9, 3, 1, 7)),
        ((9, 2, 7, 3), "NHWC", (9, 3, 2, 7)),
        ((0, 5, 7), "NHW", (0, 1, 5, 7)),
    ],
)
def test_the_layout_is_read_from_the_axis_that_can_hold_channels(shape, layout, form):
    images = as_images(np.zeros(shape, np.uint8))
    assert (images.layout, images.pixels.shape) == (layout, form)
    assert (len(images), images.channels, images.sizes) == (form[0], form[1], {form[2:]})


@pytest.mark.parametrize("shape", [(9, 3, 5, 3), (9, 1, 1, 1), (9, 4, 5, 3), (9, 3, 3, 3)])
def test_a_layout_that_either_end_may_have_is_asked_for(shape):
    X = np.zeros(shape, np.uint8)
    with pytest.raises(DataError, match=r"either end may hold.*as_images\(X, layout='NHWC'\) or layout='NCHW'"):
        as_images(X)
    assert as_images(X, layout="NHWC").pixels.shape == (shape[0], shape[3], *shape[1:3])
    assert as_images(X, layout="NCHW").pixels.shape == shape


@pytest.mark.parametrize(
    ("X", "says"),
    [
        (np.zeros((9, 5, 7, 2)), "no axis can hold"),
        (np.zeros((5, 7)), r"shape \(5, 7\).*\[N, H, W\].*One image alone is given as X\[None\]"),
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((2, 2, 3, 5, 7)), r"\[N, C, H, W\]"),
        (7, r"shape \(\)"),
        ([], r"shape \(0,\)"),
        (np.zeros((9, 0, 7)), "at least 1 pixel"),
        (np.zeros((9, 3, 0, 7)), "at least 1 pixel"),
        ([np.zeros((2, 3)), np.zeros((3, 3))], "no array.*one shape"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "no array.*one shape"),
        ([[[1, 2], [3]], [[1, 2], [3, 4]]], "no array.*one shape"),
        ([np.zeros((2, 3)), "image.png"], "one shape|type"),
        (np.zeros((9, 5, 7), complex), "type complex128"),
        (np.full((9, 5, 7), None), "type object"),
        ([object(), object()], "type object"),
        (None, "type object"),
        ({"image": 1}, "type object"),
        (np.array(["a.png", "b.png"]), "type <U5"),
        (b"image.png", "type .S9"),
        (np.zeros((9, 5, 7), "datetime64[s]"), "type datetime64"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_no_array_of_images_is_refused(X, says):
    with pytest.raises(DataError, match=says):
        as_images(X)


def test_a_layout_that_is_unknown_or_does_not_fit_is_refused():
    with pytest.raises(DataError, match=r"layout='HWC'.*'auto', 'NHW', 'NHWC', 'NCHW'"):
        as_images(grey(), layout="HWC")
    with pytest.raises(DataError, match="not NHWC: give one axis per letter"):
        as_images(grey(), layout="NHWC")
    with pytest.raises(DataError, match=r"5 channels \(read as NCHW\).*layout='NHWC'"):
        as_images(coloured(), layout="NCHW")


def test_arrays_are_not_resized():
    for X in (grey(), as_images(grey())):
        with pytest.raises(DataError, match="only files are resized"):
            as_images(X, size=8)


def test_arrays_are_not_copied_to_know_their_form():
    X = coloured()
    assert np.shares_memory(as_images(X).pixels, X)
    again = as_images(as_images(X))
    assert isinstance(again, Images)
    assert np.shares_memory(again.pixels, X)


def test_a_list_of_images_is_an_array_of_them():
    np.testing.assert_array_equal(as_images(list(coloured())).pixels, as_images(coloured()).pixels)
    np.testing.assert_array_equal(as_images(grey().tolist()).pixels, as_images(grey()).pixels)


# ---- one image, one row, whatever its type (T7) ----------------------------------------------------------------------

FORMS = {
    "bytes": lambda u: u,
    "floats to 1": lambda u: u / 255,
    "float32 to 1": lambda u: (u / 255).astype(np.float32),
    "floats to 255": lambda u: u.astype(np.float64),
    "float32 to 255": lambda u: u.astype(np.float32),
    "floats from -1 to 1": lambda u: u / 127.5 - 1,
    "16 bits": lambda u: u.astype(np.uint16) * 257,
    "int64 to 255": lambda u: u.astype(np.int64),
    "int16 to 255": lambda u: u.astype(np.int16),
    "list": lambda u: u.tolist(),
    "big end first": lambda u: (u.astype(np.uint16) * 257).astype(">u2"),
    "not contiguous": lambda u: np.repeat(u, 2, axis=0)[::2],
    "trailing channel": lambda u: u[..., None],
    "leading channel": lambda u: u[:, None],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_the_same_grey_image_gives_the_same_row_in_any_form(form):
    u = grey()
    np.testing.assert_allclose(rows(form(u)), u.reshape(len(u), -1) / 127.5 - 1, atol=3e-7)


COLOURED_FORMS = [name for name in FORMS if not name.endswith("channel")]


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("name", COLOURED_FORMS)
def test_the_same_coloured_image_gives_the_same_row_in_any_form(name, channels_first):
    u = coloured()
    expected = np.moveaxis(u, 3, 1).reshape(len(u), -1) / 127.5 - 1
    given_form = FORMS[name](np.moveaxis(u, 3, 1) if channels_first else u)
    np.testing.assert_allclose(rows(given_form), expected, atol=3e-7)


def test_truth_values_are_black_and_white():
    mask = grey() > 127
    np.testing.assert_array_equal(rows(mask), np.where(mask, 1, -1).reshape(len(mask), -1))
    np.testing.assert_array_equal(rows(mask.astype(np.float32)), rows(mask))
    np.testing.assert_array_equal(rows(mask.astype(np.int64)), rows(mask))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u4", "u8"])
def test_a_range_of_no_convention_is_learnt(dtype):
    first = 200 if dtype[0] == "u" else -40
    values = first + 4 * np.arange(35).reshape(1, 5, 7)
    encoder = ImageEncoder().fit(values.astype(dtype))
    expected = (values - values.min()) / np.ptp(values) * 2 - 1
    np.testing.assert_allclose(encoder.transform(values.astype(dtype)), expected.reshape(1, -1), atol=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 1, (0, 1)),
        (0.2, 0.7, (0, 1)),
        (-0.01, 1, (-1, 1)),
        (-1, 1, (-1, 1)),
        (0, 1.5, (0, 1.5)),
        (0, 16, (0, 16)),
        (0, 200, (0, 255)),
        (0, 255, (0, 255)),
        (-3, 3, (-3, 3)),
        (0, 300, (0, 300)),
        (1e9, 2e9, (1e9, 2e9)),
    ],
)
def test_floats_keep_the_least_range_of_a_convention_that_holds_them(low, high, found):
    X = np.linspace(low, high, 4 * 25).reshape(4, 5, 5)
    encoder = ImageEncoder().fit(X)
    assert (encoder.low, encoder.high) == found


def test_the_range_is_learnt_from_the_training_images_alone():
    X = np.random.default_rng(0).normal(size=(9, 4, 4))
    X[5] += 50
    encoder = ImageEncoder().fit(X, rows=np.array([0, 1, 2, 7]))
    assert (encoder.low, encoder.high) == (X[[0, 1, 2, 7]].min(), X[[0, 1, 2, 7]].max())
    assert encoder.transform(X)[5].max() > 5


def test_the_range_does_not_depend_on_the_size_of_a_block(monkeypatch):
    X = np.random.default_rng(0).normal(size=(9, 4, 4))
    whole = ImageEncoder().fit(X)
    monkeypatch.setattr(encoder_module, "_BLOCK_VALUES", 20)
    parts = ImageEncoder().fit(X)
    assert (parts.low, parts.high) == (whole.low, whole.high)
    np.testing.assert_array_equal(parts.transform(X), whole.transform(X))


@pytest.mark.parametrize("value", [0, 0.5, 1, 7, 255, 300, -4, 1e29, -1e29, 1e-30])
def test_images_of_one_value_leave_others_finite(value):
    encoder = ImageEncoder().fit(np.full((3, 4, 4), value, np.float64))
    low, high = encoder.low, encoder.high
    assert low < high
    assert np.abs(encoder.transform(np.full((3, 4, 4), value, np.float64))).max() <= 1
    np.testing.assert_allclose(encoder.transform(np.full((1, 4, 4), high)), 1)


# ---- what an encoder refuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_values_that_are_not_finite_are_refused(value, dtype):
    X = (grey() / 255).astype(dtype)
    encoder = ImageEncoder().fit(X)
    X[4, 2, 3] = value
    for call in (ImageEncoder().fit, encoder.transform):
        with pytest.raises(DataError, match=r"NaN or inf: in 1 images of the 6.*image 4"):
            call(X)
    ImageEncoder().fit(X, rows=np.array([0, 1]))  # the other images are looked at when they are read


@pytest.mark.parametrize("value", [1e30, -1e30, 1e300])
def test_values_whose_differences_overflow_are_refused(value):
    with pytest.raises(DataError, match=r"accepted are values below 1e\+30"):
        ImageEncoder().fit(np.full((3, 4, 4), value))


@pytest.mark.parametrize(
    ("train", "other", "says"),
    [
        (grey() / 255, grey().astype(float), r"from 0 to 255, but this detector reads float64 from 0 to 1"),
        (grey(), grey().astype(np.float32), r"reads float32 from 0 to 1.*or give uint8"),
        (grey(), grey().astype(np.int64), r"reads int64 from 0 to 1"),
        (grey(), np.full((2, 5, 7), -1, np.int8), "reads int8 from 0 to 1"),
        (grey() / 255, grey() / 127.5 - 1, "from -1 to 1"),
        (grey().astype(float), np.full((2, 5, 7), 256.0), "from 256 to 256"),
        (grey(), grey(height=6), r"6 x 7 pixels \(read as NHW\).*fitted on 5 x 7"),
        (grey(), grey().transpose(0, 2, 1), "7 x 5 pixels"),
        (grey(), np.zeros((2, 5, 7, 4), np.uint8), r"4 channels \(read as NHWC\).*fitted on 1"),
        (coloured(), np.zeros((2, 5, 7, 4), np.uint8), "4 channels.*fitted on 3"),
        (np.zeros((2, 5, 7, 4), np.uint8), coloured(), "3 channels.*fitted on 4"),
    ],
)
def test_images_unlike_those_of_the_fit_are_refused(train, other, says):
    encoder = ImageEncoder().fit(train)
    with pytest.raises(DataError, match=says):
        encoder.transform(other)
    with pytest.raises(DataError, match=says):
        list(encoder.fill(other, np.empty((4, encoder.n_features_out_), np.float32)))


def test_rounding_beyond_a_convention_is_allowed():
    encoder = ImageEncoder().fit(grey() / 255)
    assert encoder.transform(np.full((1, 5, 7), 1.0001)).max() == pytest.approx(1.0002)


def test_no_image_is_refused_and_none_has_no_rows():
    with pytest.raises(DataError, match="0 images"):
        ImageEncoder().fit(np.zeros((0, 5, 7)))
    assert ImageEncoder().fit(grey()).transform(np.zeros((0, 5, 7))).shape == (0, 35)


def test_images_too_large_for_a_model_file_are_refused_before_they_are_read():
    X = np.broadcast_to(np.zeros((1, 1, 1), np.float32), (2, 1 << 14, 1 << 13))
    with pytest.raises(DataError, match="134,217,728 values each; at most 67,108,864"):
        ImageEncoder().fit(X)


# ---- grey and colour -------------------------------------------------------------------------------------------------


def test_colour_becomes_luma_and_grey_is_repeated():
    u = coloured()
    luma = u @ [0.299, 0.587, 0.114] / 127.5 - 1
    np.testing.assert_allclose(ImageEncoder().fit(grey()).transform(u), luma.reshape(len(u), -1), atol=1e-6)
    repeated = ImageEncoder().fit(u).transform(grey()).reshape(6, 3, 35)
    for channel in range(3):
        np.testing.assert_allclose(repeated[:, channel], rows(grey()), atol=1e-7)


def test_grey_given_as_colour_scores_as_grey():
    as_colour = np.repeat(grey()[..., None], 3, axis=3)
    np.testing.assert_allclose(ImageEncoder().fit(grey()).transform(as_colour), rows(grey()), atol=1e-6)


def test_rows_become_the_images_again():
    for u in (grey(), coloured(), np.concatenate([coloured(), coloured(seed=9)[..., :1]], axis=3)):
        encoder = ImageEncoder().fit(u)
        np.testing.assert_allclose(encoder.decode(encoder.transform(u)), u / 255, atol=1e-6)
    assert ImageEncoder().fit(grey()).decode(np.full((1, 35), 9.0)).max() == 1


# ---- streaming -------------------------------------------------------------------------------------------------------


@relaxed
@given(n=st.integers(1, 9), size=st.integers(1, 12), as_floats=st.booleans())
def test_filling_a_block_gives_the_rows_of_transform(n, size, as_floats):
    X = coloured(n) / 255 if as_floats else coloured(n)
    encoder, block = ImageEncoder().fit(X), np.full((size, 105), 7, np.float32)
    parts = [block[:filled].copy() for filled in encoder.fill(X, block)]
    np.testing.assert_array_equal(np.concatenate(parts), encoder.transform(X))
    assert all(len(part) == size for part in parts[:-1])


# ---- the state of an encoder -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X", [grey(), coloured() / 255, np.linspace(-9, 31, 60).reshape(3, 4, 5), np.full((2, 3, 3), -7.5)]
)
def test_the_state_gives_the_encoder_again(X):
    encoder = ImageEncoder().fit(X)
    document, tensors = encoder.to_state()
    assert tensors == {}
    again = ImageEncoder.from_state(document, tensors)
    assert (again.shape, again.low, again.high) == (encoder.shape, encoder.low, encoder.high)
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))


@relaxed
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8]),
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
        elements={"allow_nan": False, "allow_infinity": False, "min_value": 0, "max_value": 200},
    )
)
def test_whatever_can_be_fitted_can_be_saved_and_is_between_minus_one_and_one(X):
    encoder = ImageEncoder().fit(X)
    values = encoder.transform(X)
    assert np.isfinite(values).all()
    assert np.abs(values).max() <= 1 + 1e-6
    np.testing.assert_array_equal(ImageEncoder.from_state(*encoder.to_state()).transform(X), values)


GOOD = {"shape": [1, 5, 7], "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "encoder",
        {},
        {"shape": [1, 5, 7], "low": 0.0},
        {**GOOD, "more": 1},
        *({**GOOD, "shape": shape} for shape in (None, 35, "157", [5, 7], [1, 5, 7, 1], [1, 0, 7], [1, -5, 7])),
        *({**GOOD, "shape": shape} for shape in ([2, 5, 7], [1, 5.0, 7], [1, True, 7], [1, "5", 7], [[1], [5], [7]])),
        *({**GOOD, "shape": shape} for shape in ([3, 1 << 13, 1 << 13], [1, 10**40, 1], [1, 1 << 31, 1 << 31])),
        *({**GOOD, "low": low} for low in (None, "0", True, float("nan"), float("-inf"), -(10**40), 1.0, 2.0, [0])),
        *({**GOOD, "high": high} for high in (None, False, float("nan"), float("inf"), 10**400, 0.0, -1)),
    ],
    ids=repr,
)
def test_a_state_that_no_fit_leaves_is_refused(document):
    for check in (ImageEncoder.check_state, lambda d: ImageEncoder.from_state(d, {})):
        with pytest.raises(ModelFileError):
            check(document)


def test_an_encoder_of_images_has_no_tensors():
    with pytest.raises(ModelFileError, match=r"no tensors.*'mean'"):
        ImageEncoder.from_state(GOOD, {"mean": np.zeros(3)})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
near_states = st.fixed_dictionaries(
    {
        "shape": json_values | st.lists(st.integers(-1, 5) | json_values, min_size=2, max_size=4),
        "low": st.floats(-2, 2) | json_values,
        "high": st.floats(-2, 2) | json_values,
    },
    optional={"more": json_values},
)


@settings(relaxed, max_examples=150)
@given(json_values | near_states)
def test_any_state_is_refused_or_gives_an_encoder_that_works(document):
    try:
        encoder = ImageEncoder.from_state(document, {})
    except ModelFileError:
        return
    assert encoder.to_state() == ({**document, "low": float(document["low"]), "high": float(document["high"])}, {})
    black = as_images(np.zeros((1, *encoder.shape), np.uint8), layout="NCHW")
    assert (encoder.transform(black) == -1).all()
