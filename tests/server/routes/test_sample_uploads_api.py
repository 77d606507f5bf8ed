"""Images and series over HTTP: taken in whole or not at all."""

import hashlib
import io
import zipfile

import numpy as np
import polars as pl
import pytest
from tests.workspace.conftest import wait

from whitecrow.io import load


def upload(client, name, data, /, **fields):
    return client.post("/api/datasets", files={"file": (name, data)}, data=fields)


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def zipped(members) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def png(array) -> bytes:
    image = pytest.importorskip("PIL.Image", reason="the image extra is not installed")
    stream = io.BytesIO()
    image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def text(header: str) -> bytes:
    head = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(8)


RNG = np.random.default_rng(0)
X = RNG.integers(0, 255, (40, 6, 6)).astype(np.uint8)
LABELS = np.array(["normal", "<b>odd</b>"])[(np.arange(40) % 8 == 0).astype(int)]
HUGE = text("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000, 10000000), }")
HOSTILE = {
    "objects": ("image", "a.npz", npz(X=np.array([{}], dtype=object)), 400),
    "a shape without bytes": ("image", "a.npz", zipped({"X.npy": HUGE}), 400),
    "a bomb": ("image", "a.npz", npz(X=np.zeros((40, 600, 600))), 413),
    "a bomb of pictures": ("image", "a.zip", zipped({"a.png": bytes(9 << 20)}), 413),
    "truncated": ("sequence", "a.npz", npz(X=X)[:-60], 400),
    "truncated pictures": ("image", "a.zip", zipped({"a.png": b"\x89PNG\r\n"}), 400),
    "no pictures": ("image", "a.zip", zipped({"../../etc/x.txt": b"x"}), 422),
    "five axes": ("image", "a.npz", npz(X=np.zeros((2, 2, 2, 2, 2))), 422),
    "not finite": ("sequence", "a.npz", npz(X=np.full((3, 5), np.nan)), 422),
    "too many labels": ("image", "a.npz", npz(X=X, y=np.zeros(41)), 422),
    "too many samples": ("sequence", "a.npz", npz(X=np.zeros((6000, 4))), 413),
    "arrays for a table": ("table", "a.npz", npz(X=X), 415),
    "text named npz": ("image", "a.npz", b"a,b\n1,2\n", 415),
    "text named zip": ("image", "a.zip", b"a,b\n1,2\n", 415),
    "a table of images": ("image", "a.csv", b"a,b\n1,2\n", 415),
    "another kind": ("tokens", "a.npz", npz(X=X), 422),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_upload_is_refused_and_nothing_is_written(client, space, problem, case):
    kind, name, data, status = HOSTILE[case]
    before = len(space.datasets.all()), sorted(space.folder.rglob("*.npy")), sorted(space.folder.rglob("*.parquet"))
    problem(upload(client, name, data, kind=kind), status)
    assert (
        len(space.datasets.all()), sorted(space.folder.rglob("*.npy")), sorted(space.folder.rglob("*.parquet"))
    ) == before  # fmt: skip
    assert list(client.app.state.context.incoming.folder.iterdir()) == []


def test_images_are_uploaded_fitted_and_scored_as_their_model_does(client, space):
    answer = upload(client, "<i>x</i>.npz", npz(X=X, y=LABELS), kind="image", name="<b>Pictures</b>")
    assert answer.status_code == 201, answer.text
    document = answer.json()
    assert (document["kind"], document["shape"], document["rows"]) == ("image", [1, 6, 6], 40)
    assert document["name"] == "<b>Pictures</b>"
    assert document["settings"]["label"] == "label"
    assert document["labels"]["counts"] == {"normal": 35, "<b>odd</b>": 5}
    np.testing.assert_array_equal(space.datasets.array(document["id"])[:, 0], X)
    rows = client.get(f"/api/datasets/{document['id']}/rows").json()
    assert rows["columns"] == ["least", "greatest", "mean", "deviation", "label"]
    asked = {"dataset": document["id"], "detector": "pca", "parameters": {"n_components": 3}}
    run = wait(space, client.post("/api/runs", json=asked).json()["id"])
    assert run.state == "done", run.error
    model = load(space.runs.model_file(run.id, run.version))
    alerts = client.get(f"/api/runs/{run.id}/alerts", params={"part": "all"}).json()["rows"]
    scores = {row["row"]: row["score"] for row in alerts}
    np.testing.assert_array_equal([scores[k] for k in range(40)], model.anomaly_score(X))


def test_a_folder_of_pictures_brings_its_labels(client, space):
    members = {f"set/{'good' if k % 2 else 'bad'}/{k:02}.png": png(X[k]) for k in range(6)}
    document = upload(client, "set.zip", zipped(members), kind="image").json()
    kept = space.datasets.array(document["id"])[:, 0]
    np.testing.assert_array_equal(kept, X[[0, 2, 4, 1, 3, 5]])
    assert space.datasets.table(document["id"])["label"].to_list() == ["bad"] * 3 + ["good"] * 3


def test_no_name_in_an_archive_leads_anywhere(client, space):
    before = {path.parent for path in space.folder.rglob("*")}
    answer = upload(client, "../../x.zip", zipped({"../../../up.png": png(X[0])}), kind="image")
    assert answer.status_code == 201
    made = space.folder / "datasets" / answer.json()["id"]
    assert {path.parent for path in space.folder.rglob("*")} - before <= {made}
    assert answer.json()["name"] == "x.zip"
    assert not list(space.folder.parent.rglob("up.png"))


def test_series_come_as_tables_or_as_sequences_of_one_length(client, space):
    table = pl.DataFrame({"v": np.sin(np.arange(200) / 5), "label": [0] * 200})
    one = upload(client, "s.csv", table.write_csv().encode(), kind="sequence", settings='{"label": "label"}').json()
    assert (one["kind"], one["shape"], one["rows"]) == ("sequence", None, 200)
    two = upload(client, "s.npz", npz(series=RNG.normal(size=(30, 20))), kind="sequence").json()
    assert (two["kind"], two["shape"], two["rows"]) == ("sequence", [20, 1], 30)
    wrong = client.post("/api/runs", json={"dataset": two["id"], "detector": "isolation-forest"})
    assert wrong.status_code == 422
    assert "holds series" in wrong.json()["detail"]


def test_the_hash_is_that_of_the_arrays_and_of_what_stands_beside_them(client, space):
    document = upload(client, "a.npz", npz(X=X), kind="image").json()
    folder = space.folder / "datasets" / document["id"]
    data = (folder / "samples.npy").read_bytes() + (folder / "data.parquet").read_bytes()
    assert document["sha256"] == hashlib.sha256(data).hexdigest()
