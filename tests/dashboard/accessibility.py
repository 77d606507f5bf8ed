"""What axe finds in a page, in either theme."""

import pytest
from playwright.sync_api import Page, expect

__all__ = ["serious"]

# All that another theme can change.
_OF_COLOUR = ["color-contrast", "link-in-text-block"]


def serious(page: Page) -> list[str]:
    """Return what axe finds that is serious or critical in either theme, with all that can be unfolded unfolded."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.wait_for_load_state("networkidle")
    page.evaluate("document.querySelectorAll('details').forEach((one) => one.setAttribute('open', ''))")
    # Rows behind a chart are alike, and axe looks at each cell.
    page.evaluate("document.querySelectorAll('.wc-numbers tbody tr:nth-child(n+4)').forEach((one) => one.remove())")
    found = []
    for scheme, options in (("light", {}), ("dark", {"runOnly": _OF_COLOUR})):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        found += [
            f"{scheme}: {one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
            for one in axe.Axe().run(page, options=options).response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
    return found
