"""The report shows the numbers of the cells, whatever the names are, and asks nothing of the network."""

import html.parser
import re
import time

import numpy as np
import pytest
from stored_studies import fill, noise, study_of

from whitecrow.study.report import write_html, write_markdown
from whitecrow.study.report.charts import rank_diagram
from whitecrow.study.report.markdown import escaped
from whitecrow.study.store import Store
from whitecrow.study.summary import summarise

VOID = {"meta", "br"}
EVIL = '<script>alert("x")</script>'
SHARES = [0.0, 0.02, 0.05]


class Page(html.parser.HTMLParser):
    """Collects elements and the words between them, and fails where one is not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())

    def named(self, *names):
        return [attributes for name, attributes in self.elements if name in names]


@pytest.fixture
def shown(tmp_path):
    """Return a function from a study and what is stored of it to its page and its Markdown."""
    store = Store(tmp_path / "store")

    def show(study, value=noise, **how):
        fill(store, study, value, **how)
        write_html(store, study.name, tmp_path / "r.html")
        write_markdown(store, study.name, tmp_path / "r.md")
        return (tmp_path / "r.html").read_text("utf-8"), (tmp_path / "r.md").read_text("utf-8")

    show.store = store
    return show


def tables(text):
    """Return the tables of a Markdown text as lists of rows."""
    blocks = re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    split = re.compile(r"(?<!\\)\|")
    return [[split.split(line)[1:-1] for line in block.strip().splitlines()] for block in blocks]


def test_the_page_shows_the_numbers_of_the_cells(shown):
    study = study_of(contamination=SHARES)
    page, markdown = shown(study)
    cells = shown.store.cells(study.name).filter(contamination=0.0)
    text = Page(page).text
    for (_, _), one in cells.group_by("dataset", "detector"):
        for name in study.figures:
            value = f"{one[name].mean():.3f} ± {one[name].std():.3f}"
            assert value in text
            assert value in markdown
    summary = summarise(shown.store)
    for mean in summary.parts[0].means["a", "auroc"]:
        assert f"{mean.interval.low:.3f} to {mean.interval.high:.3f}" in text
    for one in summary.parts[0].curves["auroc"]:
        assert str(one.by_detector[0].breakdown).split(" (")[0] in text


def test_the_page_asks_nothing_of_the_network_and_runs_nothing(shown):
    text, _ = shown(study_of(contamination=SHARES, description="See http://example.org"))
    page = Page(text)
    assert not page.named("script", "link", "img", "iframe", "object", "embed", "base", "form")
    assert not re.search(r"url\(|@import|@font-face", text)
    targets = [
        value for _, a in page.elements for name, value in a.items() if name in ("src", "href") or name[:2] == "on"
    ]
    assert targets
    assert all(target.startswith("#") for target in targets)
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_the_page_is_readable_without_eyes_and_mouse(shown):
    page = Page(shown(study_of(contamination=SHARES))[0])
    assert page.named("html")[0]["lang"] == "en"
    assert len(page.named("h1")) == 1
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.named("a")} <= set(ids)
    for picture in page.named("svg"):
        assert picture.get("aria-hidden") == "true" or (picture["role"] == "img" and picture["aria-label"])
    # What scrolls can be reached by the keyboard.
    assert all(a.get("tabindex") == "0" for _, a in page.elements if "scroll" in a.get("class", "").split())


def test_every_kind_of_picture_has_its_numbers(shown):
    page = Page(shown(study_of(contamination=SHARES))[0])
    assert page.text.count("The p-values") >= 2
    assert page.text.count("The numbers") == 2 + 2 * 2  # differences, costs; two figures on two data sets


def test_names_and_errors_are_text_and_never_markup(shown):
    study = study_of(
        datasets=(f"{EVIL}1", "b|c"), detectors=(f"{EVIL}2", "*x* [y](z)", "plain"), name=EVIL, description=EVIL
    )
    error = lambda cell: f"ValueError: {EVIL} | \x1b[31m" if cell.seed == 3 and cell.detector.label == "plain" else ""  # noqa: E731
    page, markdown = shown(study, error=error, families=(f"{EVIL}3", "<b>"), notes=[f"{EVIL}4"])
    parsed = Page(page)
    assert not parsed.named("script", "b")
    for k in ("", "1", "2", "3", "4"):
        assert f"{EVIL}{k}" in parsed.text
    assert "\x1b" not in page + markdown
    assert not re.search(r"<\w", markdown)
    for table in tables(markdown):
        assert len({len(row) for row in table}) == 1


def test_markdown_tables_are_whole(shown):
    _, markdown = shown(study_of(contamination=SHARES))
    found = tables(markdown)
    assert len(found) >= 10
    for head, rule, *rows in found:
        assert rows
        assert all(re.fullmatch(r" ?(:--|--:) ?", mark) for mark in rule)
        assert {len(row) for row in rows} == {len(head)}


def test_one_seed_is_no_ranking_anywhere(shown):
    page, markdown = shown(
        study_of(datasets="abcdefgh", seeds=1, contamination=SHARES),
        lambda cell: noise(cell) + 0.1 * (cell.detector.label == "y"),
    )
    for text in (Page(page).text, markdown):
        assert "No detector can be called best by AUROC. A ranking needs at least 2 seeds, and there is 1" in text
        assert "significantly best by" not in text
        assert "Critical-difference diagram. " not in text
        assert "▲ 0" not in text
        assert "The reference is" not in text
        assert "Left out" not in text
    assert 'class="clique"' not in page
    assert re.search(r"\| y \| 0\.\d{3} \| ", markdown)


def test_a_winner_is_named_and_marked(shown):
    page, markdown = shown(
        study_of(datasets="abcdefghij"), lambda cell: noise(cell) + 0.1 * (cell.detector.label == "y")
    )
    text = Page(page).text
    assert "y is significantly best by AUROC over 10 data sets: mean rank 1.00 of 3 detectors" in text
    assert "▲ 0.9" in text
    assert "y is significantly best" in markdown


def test_too_few_data_sets_are_said_to_be_too_few(shown):
    text = Page(shown(study_of(datasets="abcd"), lambda cell: noise(cell) + 0.1 * (cell.detector.label == "y"))[0]).text
    assert "No detector is significantly best by AUROC over 4 data sets." in text
    # Three pairs: 3 · 2^(1 - n) is below 0.05 from seven blocks on.
    assert "So few cannot show a winner among 3 detectors" in text
    assert "It takes at least 7." in text


def test_a_partial_study_says_so(shown):
    page, markdown = shown(
        study_of(), keep=lambda cell: cell.seed < 3, error=lambda cell: "no" if cell.seed == 2 else ""
    )
    for text in (Page(page).text, markdown):
        assert "12 of 24 cells are done, 6 failed, 6 are missing: this is a partial study" in text
        assert "2 of 4" in text


def test_a_study_without_the_clean_share_says_why_it_has_no_curves(shown):
    why = "relative to the share 0"
    assert all(why in text for text in shown(study_of(contamination=SHARES[1:])))
    assert not any(why in text for text in shown(study_of(contamination=SHARES)))


def test_a_study_without_a_cell_has_a_page(shown):
    page, markdown = shown(study_of(contamination=SHARES), keep=lambda cell: False)
    for text in (Page(page).text, markdown):
        assert "Nothing has been computed yet: none of 72 cells is in the store." in text
        assert "Nkashama" in text
    Page(page)


def test_a_study_of_which_everything_failed_lists_why(shown):
    page, markdown = shown(study_of(), error=lambda cell: "TrainingError: it diverged")
    for text in (Page(page).text, markdown):
        assert "0 of 24 cells are done, 24 failed" in text
        assert "TrainingError: it diverged" in text


def test_a_missing_method_is_reported_not_hidden(shown):
    page, _ = shown(study_of(datasets="abcd"), error=lambda cell: "no" if cell.detector.label == "z" else "")
    assert "z has too few figures to be ranked." in Page(page).text


def test_the_protocol_stands_with_its_source_and_faults(shown):
    study = study_of()
    protocol = study.protocol_for(study.data[0])
    page, markdown = shown(study)
    text = Page(page).text
    assert protocol.source in text
    for fault in protocol.faults:
        assert fault in text.replace("\u00a0", " ")
        assert escaped(fault) in markdown


def test_every_detector_has_its_line_in_some_panel(shown):
    names = tuple(f"method-{k}" for k in range(19))
    page, _ = shown(study_of(datasets="a", detectors=names, contamination=SHARES, seeds=2))
    panels = re.findall(r'aria-label="(AUROC on a against contamination for [^"]*)"', page)
    drawn = [name for panel in panels for name in panel.rpartition(" for ")[2].split(", ")]
    assert len(panels) == 4
    assert sorted(drawn) == sorted(names)


def test_a_diagram_has_every_name_at_its_rank_and_a_bar_for_each_clique(shown):
    study = study_of(datasets="abcdefghij", detectors="uvwxyz")
    fill(shown.store, study, lambda cell: noise(cell) + 0.1 * (cell.detector.label in "uv"))
    found = summarise(shown.store).parts[0].rankings["auroc"].result
    svg = rank_diagram(found, "what")
    assert svg.count('class="clique"') == len(found.cliques) >= 2
    at = [float(x) for x in re.findall(r'<polyline points="([\d.]+),', svg)]
    assert np.allclose(at, 200 + (found.ranks - 1) / 5 * 360, atol=0.06)
    for name, rank in zip(found.names, found.ranks, strict=True):
        assert f">{name}</tspan>" in svg
        assert f"{rank:.2f}" in svg


def test_the_report_is_written_whole_or_not_at_all(shown, tmp_path, monkeypatch):
    def broken(summary):
        raise MemoryError

    monkeypatch.setattr("whitecrow.study.report.page", broken)
    fill(shown.store, study_of())
    out = tmp_path / "old.html"
    out.write_text("old")
    with pytest.raises(MemoryError):
        write_html(shown.store, None, out)
    assert out.read_text() == "old"


def test_a_thousand_cells_open_and_report_within_five_seconds(tmp_path):
    study = study_of(datasets="abcde", detectors=tuple("klmnopqrst"), contamination=[0, 0.02, 0.05, 0.1], seeds=5)
    fill(Store(tmp_path), study)
    assert len(study.cells) == 1000
    start = time.process_time()
    write_html(Store(tmp_path), study.name, tmp_path / "r.html")
    assert time.process_time() - start < 5
