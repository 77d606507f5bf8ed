"""The charts and the threshold of the Explore screen where there is much to show, or hardly any time."""

import re

from playwright.sync_api import expect
from tests.dashboard.test_explore import explore, pca, shown  # noqa: F401 - a fixture

# Puts a million scores into the panel, moves the slider, and takes the time until the figures of each move are there.
MILLION = """() => {
  const panel = whitecrow.threshold.panel, k = 1_000_000, { low, high } = panel.config.axis;
  const buffer = new ArrayBuffer(16 + 8 * k + 12 * (k + 1)), head = new DataView(buffer);
  head.setUint32(0, 0x57435431);
  head.setUint32(4, 1, true);
  head.setBigUint64(8, BigInt(k), true);
  const scores = new Float64Array(buffer, 16, k).map((_, i) => low + ((high - low) * i) / k);
  new Float64Array(buffer, 16, k).set(scores);
  const above = (share) => Uint32Array.from({ length: k + 1 }, (_, i) => Math.floor((k - i) * share));
  const anomalies = above(0.05), normals = above(1).map((n, i) => n - anomalies[i]);
  [anomalies, normals].forEach((part, j) => new Uint32Array(buffer, 16 + 8 * k + 4 * j * (k + 1), k + 1).set(part));
  panel.counts = new panel.counts.constructor(buffer);
  const times = [];
  for (let move = 0; move < 60; move += 1) {
    panel.slider.value = String((move * 377) % 1000);
    const start = performance.now();
    panel.slider.dispatchEvent(new Event("input", { bubbles: true }));
    // Now, and not with the next frame: how soon that comes is not the panel's doing.
    cancelAnimationFrame(panel.frame);
    panel.frame = undefined;
    panel.show(false);
    times.push(performance.now() - start);
  }
  const told = Number(document.querySelector("[data-wct=alerts]").dataset.value);
  return [times, told, scores.filter((score) => score > panel.threshold).length];
}"""


def test_a_move_over_a_million_scores_is_told_within_fifty_milliseconds(pca, visit):  # noqa: F811 - a fixture
    page = explore(visit, pca)
    times, alerts, wanted = page.evaluate(MILLION)
    assert sorted(times)[len(times) // 2] < 50
    assert alerts == wanted


def test_charts_that_are_taken_away_before_they_are_drawn_are_no_error(filled, pca, visit):  # noqa: F811 - a fixture
    page = explore(visit, pca)
    # The curves come after the figures that `explore` waits for.
    expect(page.locator(".nicegui-echart canvas").first).to_be_visible()
    # As they are for a moment after the page was made.
    undrawn = page.evaluate(
        """() => [...document.querySelectorAll(".nicegui-echart")].map((one) => {
             const made = getElement(Number(one.id.slice(1)));
             made.chart?.dispose();
             made.chart = undefined;
             return one.id;
           })"""
    )
    assert undrawn
    # Each waits to show something, as it does while its library is loaded.
    page.evaluate("(ids) => ids.forEach((id) => getElement(Number(id.slice(1))).update_chart())", undrawn)
    page.get_by_role("combobox", name="Run", exact=True).click()
    other = next(run for run in filled.runs if run.id != pca.id)
    page.get_by_role("option", name=re.compile(rf"^{other.number} ")).click()
    page.wait_for_url(re.compile(f"run={other.id}"))
    expect(page.locator(f"#{undrawn[0]}")).to_have_count(0)
    # What went wrong in the page is found when it is closed.


def test_curves_come_after_the_figures_and_follow_the_threshold(pca, visit):  # noqa: F811 - a fixture
    page = explore(visit, pca)
    for heading in ("Scores by class", "ROC curve", "Precision and recall", "Expected cost"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    marks = """() => {
      const { charts } = whitecrow.threshold.panel.config;
      return ["roc", "pr", "cost"].map((name) => getElement(charts[name]).chart.getOption().series.at(-1).data[0]);
    }"""
    page.wait_for_function(f"({marks})().every((place) => place)")
    for alerts in (20, 90):
        page.get_by_label("It is set by").select_option("count")
        page.get_by_label("Value", exact=True).fill(str(alerts))
        page.wait_for_function(f"document.querySelector('[data-wct=alerts]').dataset.value === '{alerts}'")
        told = {name: shown(page, name) for name in ("false_positive_rate", "recall", "precision", "cost", "threshold")}
        roc, pr, cost = page.evaluate(marks)
        assert roc == [told["false_positive_rate"], told["recall"]]
        assert pr == [told["recall"], told["precision"]]
        assert cost == [told["threshold"], told["cost"]]
