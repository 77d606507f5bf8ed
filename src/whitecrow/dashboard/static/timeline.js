// The timeline of the Explore screen: the brush, and the cells of its lanes. What lies in a window, the page works out.
(() => {
  "use strict";
  const BANDS = ["line", "control", "normal", "series-4", "anomaly"];
  const LEAST = 2; // pixels of a cell's mildest band
  const parts = new Map(); // of each chart its element, the rows of its buckets, and words for them
  let drag = null;

  const picture = (name) => getElement(parts.get(name)?.id)?.chart;
  const field = (name) => document.querySelector(`[data-wc-time=${name}]`);
  const colours = () => {
    const styles = getComputedStyle(document.documentElement);
    const colour = (name) => styles.getPropertyValue(`--wc-${name}`).trim();
    return { bands: BANDS.map(colour), back: colour("raised"), brush: colour("accent") };
  };

  /** Return the first and the last row of the buckets from one to another; null where they hold none. */
  const rowsOf = (name, from, to) => {
    const held = parts.get(name).ends.slice(Math.min(from, to), Math.max(from, to) + 1).filter((ends) => ends !== null);
    return held.length ? { first: held[0][0], last: held.at(-1)[1] } : null;
  };

  /** Tell the page which buckets of a chart are wanted. */
  const choose = (name, from, to) => {
    const { ends } = parts.get(name);
    const all = name === "strip" && Math.min(from, to) === 0 && Math.max(from, to) === ends.length - 1;
    const rows = all ? {} : rowsOf(name, from, to);
    if (rows !== null) emitEvent("wc-window", rows);
  };

  const shade = (from, to) => {
    const shown = parts.get("strip").ends.map((_, k) => (k >= from && k <= to ? 1 : 0));
    picture("strip")?.setOption({ series: [{}, { data: shown }] }, { silent: true });
  };

  const label = (input) => {
    input.setAttribute("aria-valuetext", parts.get("strip").words[Number(input.value)]?.split("\n")[0] ?? "");
  };

  const slide = (moved) => {
    const [from, to] = [field("from"), field("to")];
    if (Number(from.value) > Number(to.value)) (moved === from ? to : from).value = moved.value;
    label(from);
    label(to);
    shade(Number(from.value), Number(to.value));
  };

  // ---- the brush ---------------------------------------------------------------------------------------------------

  const placeOf = (chart, name, x) => {
    const place = Math.round(chart.convertFromPixel({ xAxisIndex: 0 }, x));
    return Math.min(Math.max(place, 0), parts.get(name).ends.length - 1);
  };

  const draw = () => {
    const { chart, start, end } = drag;
    const [grid] = chart.getOption().grid;
    const shape = { x: Math.min(start, end), y: grid.top, width: Math.abs(end - start) };
    shape.height = chart.getHeight() - grid.top - grid.bottom;
    const { brush } = colours();
    const style = { fill: brush, opacity: 0.25, stroke: brush, lineWidth: 1 };
    chart.setOption({ graphic: [{ id: "wc-brush", type: "rect", silent: true, z: 100, shape, style }] });
  };

  const end = () => {
    if (drag === null) return;
    const { chart, name, start, end: last } = drag;
    drag = null;
    chart.setOption({ graphic: [{ id: "wc-brush", $action: "remove" }] });
    choose(name, placeOf(chart, name, start), placeOf(chart, name, last));
  };
  document.addEventListener("mouseup", end);
  document.addEventListener("touchend", end);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || drag === null) return;
    drag.chart.setOption({ graphic: [{ id: "wc-brush", $action: "remove" }] });
    drag = null;
  });

  const listen = (name, chart) => {
    if (chart.wcBrush) return;
    chart.wcBrush = true;
    const zr = chart.getZr();
    zr.on("mousedown", ({ offsetX, offsetY }) => {
      if (!chart.containPixel({ gridIndex: 0 }, [offsetX, offsetY])) return;
      drag = { chart, name, start: offsetX, end: offsetX };
      draw();
    });
    zr.on("mousemove", ({ offsetX }) => {
      if (drag?.chart !== chart) return;
      drag.end = offsetX;
      draw();
    });
  };

  const until = async (holds) => {
    for (let tries = 0; tries < 500 && !holds(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  };

  window.whitecrow.timeline = {
    /** Take what the charts show: of each its element, rows and words of its buckets, and the buckets in the window. */
    async follow(told, chosen) {
      for (const [name, one] of Object.entries(told)) parts.set(name, one);
      await until(() => Object.keys(told).every((name) => picture(name)) && field("to"));
      for (const name of Object.keys(told)) if (picture(name)) listen(name, picture(name));
      const [from, to] = [field("from"), field("to")];
      if (!from || !to) return;
      for (const input of [from, to]) {
        if (!input.dataset.heard) {
          input.dataset.heard = "true";
          input.addEventListener("input", () => slide(input));
          input.addEventListener("change", () => choose("strip", Number(from.value), Number(to.value)));
        }
        input.max = String(parts.get("strip").ends.length - 1);
      }
      [from.value, to.value] = chosen.map(String);
      label(from);
      label(to);
      from.closest("section").dataset.window = chosen.join(" ");
    },
    words(name, place) {
      return parts.get(name)?.words[place] ?? "";
    },
    /** Draw one cell: the more severe, the higher it is filled. */
    cell(params, api) {
      const known = (params.context.colours ??= colours());
      const level = api.value(2);
      const [x, y] = api.coord([api.value(0), api.value(1)]);
      const [width, height] = api.size([1, 1]);
      const box = { x: x - width / 2, y: y - height / 2 + 2, width: Math.max(width - 1, 1), height: height - 4 };
      const filled = Math.max((box.height * (level + 1)) / BANDS.length, LEAST);
      const part = { ...box, y: box.y + box.height - filled, height: filled };
      return {
        type: "group",
        children: [
          { type: "rect", shape: box, style: { fill: known.back } },
          { type: "rect", shape: part, style: { fill: known.bands[level] } },
        ],
      };
    },
  };
})();
