"""The order of the tests."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep those of one detector together, file by file, so that one process fits it once."""

    def of_detector(item: pytest.Item) -> str:
        return str(item.callspec.params.get("name", "")) if hasattr(item, "callspec") else ""

    ours = [k for k, item in enumerate(items) if item.path.is_relative_to(Path(__file__).parent / "tests")]
    together = sorted((items[k] for k in ours), key=lambda item: (str(item.path), of_detector(item)))
    for k, item in zip(ours, together, strict=True):
        items[k] = item
