"""Options of ``whitecrow serve`` that are refused before anything is made or listened on."""

import pytest

pytest.importorskip("nicegui", reason="the serve extra is not installed")


@pytest.mark.parametrize(
    ("follow", "says"),
    [(["LOG"], "names no live source. Give NAME=FILE"), (["log=LOG.gone"], "does not exist"),
     (["log=FOLDER"], "not a regular file"), (["../log=LOG"], "cannot be called '../log'"),
     (["log=LOG", "log=LOG"], "Two live sources are called 'log'")],
)  # fmt: skip
def test_a_live_source_that_cannot_be_followed_ends_the_command(run, tmp_path, follow, says):
    log = tmp_path / "log.csv"
    log.write_text("a,b\n")
    words = [one.replace("LOG", str(log)).replace("FOLDER", str(tmp_path)) for one in follow]
    options = [word for one in words for word in ("--follow", one)]
    answer = run("serve", "--workspace", tmp_path / "space", *options)
    assert answer.code == 2
    assert says in " ".join(answer.err.split())
    assert not (tmp_path / "space").exists()
