"""``whitecrow evaluate`` on folders of images and on IDX files."""

import base64
import io
import re
import struct

import numpy as np
import pytest
from PIL import Image
from report_page import Page
from sklearn.metrics import average_precision_score, roc_auc_score

from whitecrow import load, metrics
from whitecrow.cli import main
from whitecrow.cli.gallery import choose_images
from whitecrow.cli.report.pictures import coloured, outline, png

SIDE = 12


def draw(path, images):
    path.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(path / f"{i:03}.png")


def write_idx(path, array):
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A folder in the layout of MVTec AD: lying bars, some of them with a bright spot that has a mask, some upright."""
    base = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    bars = rng.integers(0, 20, (60, SIDE, SIDE), dtype=np.uint8)
    for bar, row in zip(bars, rng.integers(3, 9, len(bars)), strict=True):
        bar[row : row + 2] += 200
    spots, masks = bars[40:46].copy(), np.zeros((6, SIDE, SIDE), np.uint8)
    spots[:, :2, 4:6], masks[:, :2, 4:6] = 250, 255
    draw(base / "train" / "good", bars[:30])
    draw(base / "test" / "good", bars[30:40])
    draw(base / "test" / "spot", spots)
    draw(base / "test" / "turned", bars[46:50].transpose(0, 2, 1))
    draw(base / "ground_truth" / "spot", masks)
    for path in (base / "ground_truth" / "spot").glob("*.png"):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    return base


@pytest.fixture(scope="module")
def model(parts):
    path = parts.parent / "bars.safetensors"
    words = ["fit", str(parts), "--detector", "conv-autoencoder", "-o", str(path), "--set", "epochs=4", "--quiet"]
    assert main(words) == 0
    return path


@pytest.fixture
def report(run, parts, model, tmp_path):
    out = tmp_path / "report.html"
    answer = run("evaluate", parts, "--model", model, "--report", out, "--json")
    assert answer.code == 0, answer.err
    return out.read_text("utf-8"), answer.document


def test_figures_of_images_are_those_of_scikit_learn(run, parts, model):
    found = run("evaluate", parts, "--model", model, "--json").document
    detector = load(model)
    paths = sorted((parts / "test").rglob("*.png"))
    scores = detector.anomaly_score(paths)
    y = np.array([path.parent.name != "good" for path in paths])
    assert found["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(y, scores))
    assert found["metrics"]["average_precision"]["value"] == pytest.approx(average_precision_score(y, scores))
    assert found["confusion"]["tp"] == int((scores > detector.threshold_)[y].sum())
    assert {(family["family"], family["n"]) for family in found["families"]} == {("spot", 6), ("turned", 4)}


def test_figures_of_pixels_leave_out_what_has_no_mask(run, parts, model):
    found = run("evaluate", parts, "--model", model, "--json").document
    paths = sorted([*(parts / "test" / "good").glob("*.png"), *(parts / "test" / "spot").glob("*.png")])
    maps = load(model).anomaly_map(paths)
    masks = np.zeros(maps.shape, bool)
    masks[10:, :2, 4:6] = True
    assert found["pixels"]["auroc"] == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()))
    assert found["pixels"]["aupro"] == pytest.approx(metrics.aupro(masks, maps))
    assert (found["pixels"]["images"], found["pixels"]["masked"]) == (16, 6)
    assert any("4 anomalous images have no mask" in note for note in found["warnings"])


def test_a_plain_folder_says_by_its_subfolders_what_is_normal(run, parts, model):
    whole = run("evaluate", parts, "--model", model, "--json").document
    plain = run("evaluate", parts / "test", "--model", model, "--normal", "good", "--json").document
    assert plain["metrics"] == whole["metrics"]
    assert plain["pixels"] == whole["pixels"]
    turned = run("evaluate", parts / "test", "--model", model, "--normal", "good", "turned", "--json").document
    assert turned["labels"]["anomalous_rows"] == 6
    assert turned["labels"]["normal_values"] == ["good", "turned"]


def test_an_idx_file_is_judged_by_an_idx_file_of_labels(run, parts, model, tmp_path):
    paths = sorted((parts / "test").rglob("*.png"))
    write_idx(tmp_path / "x.idx", np.stack([np.asarray(Image.open(path)) for path in paths]))
    write_idx(tmp_path / "y.idx", np.array([7 if path.parent.name == "good" else 3 for path in paths], np.uint8))
    command = ["evaluate", tmp_path / "x.idx", "--model", model, "--label", tmp_path / "y.idx"]
    found = run(*command, "--normal", "7", "--json").document
    folder = run("evaluate", parts, "--model", model, "--json").document
    assert found["metrics"]["auroc"] == folder["metrics"]["auroc"]
    assert found["pixels"] is None
    assert run(*command).code == 1  # 7 and 3 do not say which is normal
    write_idx(tmp_path / "y.idx", np.zeros(5, np.uint8))
    assert "needed is one label for each image" in " ".join(run(*command).err.split())


def test_the_terminal_speaks_of_images(run, parts, model):
    answer = run("evaluate", parts, "--model", model)
    assert answer.code == 0
    assert "10 images are anomalies (spot 6, turned 4), 10 normal (good)" in " ".join(answer.out.split())
    assert "Pixel AUROC" in answer.out
    assert " row" not in answer.out.replace("training rows", "")


def test_the_report_holds_its_pictures_and_loads_nothing(report):
    text, _ = report
    page = Page(text)
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    pictures = page.named("image")
    assert pictures
    for picture in pictures:
        head, _, data = picture["href"].partition(",")
        assert head == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (SIDE, SIDE)
    assert not page.named("script", "link", "img", "iframe", "object", "embed", "a")
    assert not [a for name, a in page.elements if name != "image" and ("src" in a or "href" in a)]
    assert "http" not in text.replace("http-equiv", "")


def test_the_grid_shows_each_kind_of_outcome_with_map_and_mask(report):
    text, document = report
    page = Page(text)
    shown = page.named("figure")
    cards = [a for a in shown if a.get("class") == "picture"]
    counts = document["confusion"]
    expected = min(counts["fn"], 3) + min(counts["fp"], 3) + min(counts["tn"], 3)
    assert len(cards) == expected + min(counts["tp"], 12 - expected)
    assert page.text.count("overlay") == len(cards)
    borders = [a for a in page.named("path") if a.get("class") == "border over"]
    assert borders
    assert {a["d"] for a in borders} == {outline(np.pad(np.ones((2, 2), bool), ((0, SIDE - 2), (4, SIDE - 6))))}
    for picture in page.named("svg"):
        assert picture.get("aria-hidden") == "true" or (picture["role"] == "img" and picture["aria-label"])
    assert "Scale of colours" in text
    assert f"{document['pixels']['aupro']:.3f}" in page.text
    assert "Images" in page.text
    assert "normal rows" not in page.text.replace("held-out normal rows", "")


def test_a_reconstruction_is_shown_where_the_detector_offers_one(run, parts, model, tmp_path):
    out = tmp_path / "r.html"
    assert run("evaluate", parts, "--model", model, "--report", out, "--quiet").code == 0
    page = Page(out.read_text("utf-8"))
    assert page.words.count("reconstruction") == page.words.count("image")


def test_without_maps_the_images_are_shown_alone(run, parts, tmp_path):
    model, out = tmp_path / "m.safetensors", tmp_path / "r.html"
    words = ["fit", parts, "--detector", "deep-svdd", "-o", model, "--set", "epochs=1", "--quiet"]
    assert run(*words).code == 0
    found = run("evaluate", parts, "--model", model, "--report", out, "--json").document
    assert found["pixels"] is None
    assert any("no score by pixel" in note for note in found["warnings"])
    page = Page(out.read_text("utf-8"))
    assert "has no score by pixel" in page.text
    assert "map" not in page.words


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["{parts}", "--label", "spot"], 2, "labels of a folder of images are its sub-folders"),
        (["{parts}", "--normal", "bad"], 2, "has no such value"),
        (["{parts}/test/spot"], 1, "lie in"),
        (["{parts}/test/spot/000.png"], 1, "is one image"),
        (["{parts}/train"], 1, "both classes"),
        (["{odd}"], 1, "Say which do with --normal"),
        (["{odd}.csv", "--label", "a"], 1, "none: give a folder or an IDX file"),
        (["{odd}.idx"], 2, "--label is needed: give the IDX file"),
        (["{odd}.idx", "--label", "absent.idx"], 2, "there is no such file"),
    ],
)
def test_wrong_use_is_told_with_its_remedy(run, parts, model, tmp_path, words, code, says):
    odd = tmp_path / "odd"
    draw(odd / "left", np.zeros((2, SIDE, SIDE), np.uint8))
    draw(odd / "right", np.zeros((2, SIDE, SIDE), np.uint8))
    (tmp_path / "odd.csv").write_text("a\n1\n")
    write_idx(tmp_path / "odd.idx", np.zeros((3, SIDE, SIDE), np.uint8))
    answer = run("evaluate", *(word.format(parts=parts, odd=odd) for word in words), "--model", model)
    assert answer.code == code
    assert says in " ".join(answer.err.split())


def test_a_folder_is_no_table(run, folder, parts):
    answer = run("evaluate", parts, "--model", folder.pca, "--label", "label")
    assert answer.code == 1
    assert "The model scores rows of tables" in answer.err
    missing = run("evaluate", folder.test, "--model", folder.pca)
    assert missing.code == 2
    assert "--label is needed" in missing.err


def test_a_dozen_images_are_chosen_by_outcome():
    y = np.array([1] * 10 + [0] * 10)
    scores = np.concatenate([np.arange(10.0), np.arange(10.0)])
    chosen = choose_images(y, scores, 4.5)
    assert chosen == [
        *(("found", row) for row in (9, 8, 7)),
        *(("missed", row) for row in (0, 1, 2)),
        *(("false alarm", row) for row in (19, 18, 17)),
        *(("most normal", row) for row in (10, 11, 12)),
    ]
    alone = choose_images(np.array([1] * 20 + [0]), np.append(np.full(20, 2.0), 0.0), 1.0)
    assert [group for group, _ in alone] == ["found"] * 11 + ["most normal"]


def test_lightness_rises_along_the_scale_of_colours():
    red, green, blue = coloured(np.linspace(0, 1, 200)).T
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    assert (np.diff(light) > 0).all()
    assert coloured(np.array([-1.0, 2.0])) == pytest.approx(coloured(np.array([0.0, 1.0])))


def test_a_picture_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)) / 255
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(png(pixels).partition(",")[2]))))
    assert (read == (pixels * 255).round()).all()


def test_an_outline_is_as_long_as_the_border_of_its_mask():
    mask = np.random.default_rng(0).random((9, 13)) > 0.6
    framed = np.pad(mask, 1).astype(int)
    strokes = re.findall(r"M(\d+) (\d+)([HV])(\d+)", outline(mask))
    lengths = [int(end) - int(x if way == "H" else y) for x, y, way, end in strokes]
    assert sum(lengths) == np.abs(np.diff(framed, axis=0)).sum() + np.abs(np.diff(framed, axis=1)).sum()
    assert min(lengths) >= 1
