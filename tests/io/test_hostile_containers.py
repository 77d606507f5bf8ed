"""Whatever bytes a file holds, loading gives the saved detector or a ModelFileError, soon and in little memory."""

import json

import numpy as np
import pytest
from forgery import data_of, forge, header_of, with_header, with_raw_header
from hypothesis import given
from hypothesis import strategies as st
from verdict import FUZZ, refuses, refuses_or_scores_alike

from whitecrow.core.errors import ModelFileError
from whitecrow.io import inspect

NAME = "networks.noise_level"


@FUZZ
@given(data=st.binary(max_size=400))
def test_random_bytes_are_refused(data, written):
    refuses(written(data))


@pytest.mark.parametrize("data", [b"", b"{}", b"\0" * 8, b"\0" * 4096, b"PK\x03\x04" + b"\0" * 60, b"\x80\x04K\x01."])
def test_other_files_are_refused(data, written):
    refuses(written(data))


def test_a_safetensors_file_of_another_program_is_refused(written):
    import safetensors.numpy

    refuses(written(safetensors.numpy.save({"weight": np.zeros(3)})), "not written by whitecrow")


def test_a_checkpoint_is_told_apart(content, written):
    refuses(written(forge(content, lambda d: d.update(format="whitecrow-checkpoint-1"))), "checkpoint")


def test_every_truncation_is_refused(content, written):
    for length in np.linspace(0, len(content) - 1, 200).astype(int):
        refuses(written(content[:length]))


def test_trailing_bytes_are_refused(content, written):
    refuses(written(content + b"\0"))
    refuses(written(content + content))


def test_no_flipped_bit_is_loaded_silently(content, written, rows, fitted):
    expected = fitted.anomaly_score(rows)
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(content), 300):
        data = bytearray(content)
        data[position] ^= 1 << rng.integers(0, 8)
        refuses_or_scores_alike(written(bytes(data)), rows, expected)


@pytest.mark.parametrize("position", [0, 5, -1])
def test_a_flipped_bit_of_a_tensor_is_always_found(position, content, written):
    data = bytearray(content)
    begin = len(content) - len(content) // 3 if position >= 0 else 0
    data[begin + position] ^= 1
    refuses(written(bytes(data)), "checksum")


@FUZZ
@given(data=st.data())
def test_bytes_cut_out_put_in_or_overwritten_are_found(data, content, written, rows, fitted):
    position = data.draw(st.integers(0, len(content)))
    removed = data.draw(st.integers(0, 40))
    inserted = data.draw(st.binary(max_size=40))
    changed = content[:position] + inserted + content[position + removed :]
    refuses_or_scores_alike(written(changed), rows, fitted.anomaly_score(rows))


@pytest.mark.parametrize("length", [0, 1, 1 << 20, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_false_header_lengths_are_refused(length, content, written, peak_growth):
    refuses(written(length.to_bytes(8, "little") + content[8:]))
    assert peak_growth() < 64 << 20


def entry(**changes):
    return lambda header: header[NAME].update(changes)


def swap_offsets(header, shift):
    """Let a tensor begin within the one before it, and the last one end later by as much."""
    begin, end = header[NAME]["data_offsets"]
    header[NAME]["data_offsets"] = [begin - shift, end - shift]


HEADERS = {
    "huge shape": entry(shape=[1 << 40, 1 << 20]),
    "shape that overflows 64 bits": entry(shape=[1 << 32, 1 << 32, 4]),
    "lengths of a hundred digits": entry(shape=[10**90] * 8),
    "negative length": entry(shape=[-1, -4]),
    "fractional length": entry(shape=[1.0, 4.0]),
    "length of a truth value": entry(shape=[True, 4]),
    "text for a length": entry(shape=["1", 4]),
    "no shape": entry(shape=None),
    "many axes": entry(shape=[1] * 15 + [4]),
    "very many axes": entry(shape=[10**90] * 5000),
    "smaller shape": entry(shape=[1, 3]),
    "unknown dtype": entry(dtype="F8_E4M3"),
    "dtype of another size": entry(dtype="F64"),
    "dtype of the same size": entry(dtype="I32"),
    "no dtype": entry(dtype=None),
    "list for a dtype": entry(dtype=["F32"]),
    "offsets of another tensor": entry(data_offsets=[0, 16]),
    "offsets of the next tensor": lambda header: swap_offsets(header, shift=4),
    "offsets beyond the end": entry(data_offsets=[1 << 40, (1 << 40) + 16]),
    "offsets beyond 64 bits": entry(data_offsets=[1 << 70, (1 << 70) + 16]),
    "offsets backwards": entry(data_offsets=[32, 16]),
    "negative offsets": entry(data_offsets=[-16, 0]),
    "one offset": entry(data_offsets=[0]),
    "unknown field": entry(strides=[4, 1]),
    "no object": lambda header: header.update({NAME: 7}),
    "no tensors": lambda header: [header.pop(name) for name in list(header) if name != "__metadata__"],
    "no metadata": lambda header: header.pop("__metadata__"),
    "metadata is a list": lambda header: header.update(__metadata__=[]),
    "more metadata": lambda header: header["__metadata__"].update(format="pt"),
    "document is no text": lambda header: header["__metadata__"].update(whitecrow=7),
}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS.keys())
def test_a_false_header_is_refused(change, content, written, peak_growth):
    path = written(with_header(content, change))
    refuses(path)
    assert peak_growth() < 64 << 20


def test_an_empty_tensor_of_absurd_shape_is_refused(content, written):
    for shape in ([0, 1 << 60], [1 << 62, 1 << 62, 0]):
        changed = with_header(content, lambda header, s=shape: header["encoder.rare"].update(shape=s))
        refuses(written(changed), "empty tensor")


def test_bytes_that_belong_to_no_tensor_are_refused(content, written):
    def shift(header):
        for name, description in header.items():
            if name != "__metadata__":
                description["data_offsets"] = [offset + 8 for offset in description["data_offsets"]]

    changed = with_header(content, shift, b"\0" * 8 + data_of(content))
    refuses(written(changed), "does not begin where")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "networks/../x", "networks..x", "networks.", "networks",
     "networks.a b", "", "networks.é", "networks." + "x" * 100_000,
     "networks" + ".x" * 1000, "C:\\x", "networks.x\n"],
)  # fmt: skip
def test_path_like_and_absurd_tensor_names_are_refused(name, content, written):
    refuses(written(with_header(content, lambda header: header.update({name: header.pop(NAME)}))), "has the name")


@pytest.mark.parametrize("name", ["stacked", "forward", "__class__", "_buffers", "training", "x.y"])
def test_names_that_mean_something_to_the_networks_are_refused(name, boxed, written):
    refuses(written(forge(boxed, tensors=lambda t: t.update({f"networks.{name}": np.zeros((1, 2))}))))


def test_a_repeated_key_is_refused(content, written):
    header = json.dumps(header_of(content))
    twice = header[:-1] + f', "{NAME}": ' + json.dumps(header_of(content)[NAME]) + "}"
    refuses(written(with_raw_header(twice.encode(), data_of(content))), "twice")


BOMBS = {
    "nested lists": (b"[" * 20 + b"]" * 20, "nested more than"),
    "nested far": (b"[" * 200_000 + b"]" * 200_000, "nested more than"),
    "nested objects": (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested more than"),
    "nested behind a quote": (b'["\\\\\\"]]]]", ' + b"[" * 20 + b"]" * 21, "nested more than"),
    "nested and unfinished": (b"[" * 5_000_000, "more than 500,000 values"),
    "many lists": (b"[" + b"[]," * 5_000_000 + b"[]]", "more than 500,000 values"),
    "many numbers": (b"[" + b"0," * 7_000_000 + b"0]", "more than 500,000 values"),
    "many quotes": (b'"' * 8_000_000, "no JSON"),
    "many backslashes": (b'"' + b"\\" * 7_999_998 + b'"', None),
    "a number of 101 digits": (b"1" * 101, "too large"),
    "a number of a million digits": (b"1" * 1_000_000, "too large"),
    "a fraction of a million digits": (b"0." + b"1" * 1_000_000, None),
    "infinity by exponent": (b"[1e999]", "too large"),
    "NaN": (b'{"__metadata__": NaN}', "not finite"),
    "repeated key": (b'{"a": 1, "a": 1}', "twice"),
    "not UTF-8": (b'{"\xff\xfe": 1}', None),
    "byte order mark": (b"\xef\xbb\xbf{}", "no JSON"),
    "half a surrogate pair": (b'{"__metadata__": {"whitecrow": "\\ud800"}}', None),
    "larger than any header": (b" " * ((16 << 20) + 1), "at most 16,777,216"),
}


@pytest.mark.parametrize(("header", "match"), BOMBS.values(), ids=BOMBS.keys())
def test_a_header_that_would_explode_is_refused(header, match, written, peak_growth):
    path = written(with_raw_header(header))
    refuses(path, match)
    assert peak_growth() < 256 << 20


@pytest.mark.parametrize(("document", "match"), BOMBS.values(), ids=BOMBS.keys())
def test_a_document_that_would_explode_is_refused(document, match, written, peak_growth):
    text = document.decode(errors="surrogateescape")
    path = written(with_raw_header(json.dumps({"__metadata__": {"whitecrow": text}}).encode()))
    refuses(path, match)
    assert peak_growth() < 256 << 20


def test_a_vast_file_is_refused_unread(content, tmp_path, peak_growth):
    for size in (3 << 30, 5 << 30, 1 << 42):
        path = tmp_path / "sparse"
        path.write_bytes(content)
        with path.open("r+b") as file:
            file.truncate(size)
        refuses(path, "tensors end at" if size < 4 << 30 else "at most 4,294,967,296")
        refuses_inspection(path)
        path.unlink()
    assert peak_growth() < 64 << 20


def refuses_inspection(path):
    with pytest.raises(ModelFileError):
        inspect(path)


def test_folders_pipes_and_devices_are_refused(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        refuses(path, "regular file")
