"""The documents say what the code does."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import whitecrow as wc

ROOT = Path(__file__).parents[1]


def detector_table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("detector_table", ROOT / "docs" / "detector_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_table_is_the_registry() -> None:
    text = (ROOT / "README.md").read_text()
    assert detector_table().with_table(text) == text, "run `make docs`"


def test_readme_table_has_the_paper_the_labels_and_the_cost() -> None:
    head, _, *rows = (line.strip("| ").split(" | ") for line in detector_table().table().splitlines())
    assert head == ["name", "class", "idea", "data", "paper", "labels", "cost"]
    assert {len(row) for row in rows} == {7}
    (lof,) = (row for row in rows if row[1] == "`LOF`")
    assert lof[0] == "[`lof`](docs/detectors/lof.md)"
    assert lof[2].startswith("Compare the density")
    assert lof[3:] == ["table", "Breunig et al., SIGMOD 2000", "no", "low"]


def test_links_of_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


@pytest.mark.parametrize("name", wc.detectors())
def test_each_detector_has_a_page_that_says_what_it_is(name: str) -> None:
    title, *sections = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "detectors" / f"{name}.md").read_text(), re.MULTILINE)
    expected = ["What it does", "When to use it", "Parameters worth changing", "Measured results", "Pitfalls"]
    assert title
    assert [section for section in sections if section in expected] == expected
    assert sections[-1] in ("Reference", "References")


def test_import_is_lazy() -> None:
    code = (
        "import sys, whitecrow; whitecrow.detectors(kind='table');"
        "assert not {'torch', 'sklearn', 'polars', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_detectors_are_listed_before_and_after_their_package_is_imported() -> None:
    code = (
        "import whitecrow as wc; before = wc.detectors(kind='table'); wc.AutoEncoder;"
        "assert wc.detectors(kind='table') == before and 'pca' in before and set(before) < set(wc.detectors());"
        "wc.detectors.Detector"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
