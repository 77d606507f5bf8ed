// The threshold of the Explore screen: every move is one binary search in the browser, with no way to the server.
// Counts above every score are fetched once; figures are those of whitecrow.metrics, to the last bit.
(() => {
  "use strict";
  const QUIET = 250; // ms without a move, after which the address follows
  const POINTS = 240; // of the cost curve as drawn
  const POSITIONS = 1000; // of the slider

  let grouped; // made when first needed, for making it takes longer than all else that is done at once here
  const whole = (n) => (grouped ??= new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })).format(n);
  const rate = (x) => x.toFixed(3);
  const short = (x) => {
    const size = Math.abs(x);
    return size >= 1e4 && size < 1e9 ? whole(x) : String(Number(x.toPrecision(4)));
  };
  const exact = (x) => (x === null ? "" : String(x));

  /** Rows above every distinct score, by class; see the endpoint's description for the form. */
  class Counts {
    constructor(buffer) {
      const view = new DataView(buffer);
      if (view.getUint32(0) !== 0x57435431) throw new Error("these are no counts");
      this.exact = view.getUint32(4, true) === 1;
      const k = Number(view.getBigUint64(8, true));
      this.scores = new Float64Array(buffer, 16, k);
      const part = (i) => new Uint32Array(buffer, 16 + 8 * k + 4 * i * (k + 1), k + 1);
      [this.anomalies, this.normals, this.unknown] = [part(0), part(1), part(2)];
      this.n = this.anomalies[0] + this.normals[0] + this.unknown[0];
    }

    /** Return the first index from 0 to K for which a condition, false before and true behind, holds. */
    first(holds) {
      let [low, high] = [0, this.scores.length];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (holds(middle)) high = middle;
        else low = middle + 1;
      }
      return low;
    }

    place(threshold) {
      return this.first((i) => this.scores[i] > threshold);
    }

    alerts(i) {
      return this.anomalies[i] + this.normals[i] + this.unknown[i];
    }

    thresholdOf(i) {
      const lowest = this.scores[0];
      return i ? this.scores[i - 1] : lowest - Math.max(Math.abs(lowest), 1) * 1e-6;
    }

    figures(i) {
      const [tp, fp, flagged] = [this.anomalies[i], this.normals[i], this.unknown[i]];
      const [anomalies, normals, unknown] = [this.anomalies[0], this.normals[0], this.unknown[0]];
      const [fn, tn] = [anomalies - tp, normals - fp];
      const known = anomalies + normals;
      const alerts = tp + fp + flagged;
      return {
        tp, fp, fn, tn, alerts,
        unknown_flagged: flagged,
        unknown_passed: unknown - flagged,
        alerts_per_1000: (1000 * alerts) / this.n,
        precision: anomalies ? tp / Math.max(tp + fp, 1) : null,
        recall: anomalies ? tp / anomalies : null,
        f1: anomalies ? (2 * tp) / (2 * tp + fp + fn) : null,
        f2: anomalies ? (5 * tp) / (5 * tp + 4 * fn + fp) : null,
        false_positive_rate: normals ? fp / normals : null,
        accuracy: known ? (tp + tn) / known : null,
      };
    }

    /** Return the expected cost per record at an index, as a function of it. */
    costs(money) {
      const [anomalies, normals] = [this.anomalies[0], this.normals[0]];
      const pi = money.base_rate ?? anomalies / (anomalies + normals);
      const caught = money.alert - money.catch;
      return (i) => {
        const [tpr, fpr] = [this.anomalies[i] / anomalies, this.normals[i] / normals];
        return pi * ((1 - tpr) * money.miss + tpr * caught) + (1 - pi) * fpr * (money.false_alarm + money.alert);
      };
    }
  }

  /** Wilson's score interval of a share. */
  const wilson = (share, n, z) => {
    if (n === 0) return [0, 1];
    const z2 = (z * z) / n;
    const centre = (share + z2 / 2) / (1 + z2);
    const half = Math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2);
    return [Math.max(0, Math.min(share, centre - half)), Math.min(1, Math.max(share, centre + half))];
  };

  // What the slider and the number box mean. `to` and `from` lead from a value to an index and back; `most` is the
  // largest value, `unit` what a value is rounded to, and the power of the scale leaves more room to few alerts.
  const MEANINGS = {
    percentile: {
      most: () => 100,
      unit: 0.01,
      bend: (u) => 1 - (1 - u) ** 2,
      unbend: (v) => 1 - Math.sqrt(1 - v),
      to: (c, value) => c.first((i) => (100 * (c.n - c.alerts(i))) / c.n >= value),
      from: (c, i) => (100 * (c.n - c.alerts(i))) / c.n,
      words: (value) => `percentile ${short(value)}`,
    },
    per_1000: {
      most: () => 1000,
      unit: 0.1,
      bend: (u) => u ** 2,
      unbend: Math.sqrt,
      to: (c, value) => c.first((i) => !((1000 * c.alerts(i)) / c.n > value)),
      from: (c, i) => (1000 * c.alerts(i)) / c.n,
      words: (value) => `at most ${short(value)} alerts per 1,000 records`,
    },
    count: {
      most: (c) => c.n,
      unit: 1,
      bend: (u) => u ** 2,
      unbend: Math.sqrt,
      to: (c, value) => c.first((i) => !(c.alerts(i) > value)),
      from: (c, i) => c.alerts(i),
      words: (value) => `at most ${whole(value)} alerts`,
    },
    fpr: {
      most: () => 1,
      unit: 0.0001,
      bend: (u) => u ** 2,
      unbend: Math.sqrt,
      to: (c, value) => c.first((i) => !(c.normals[i] / c.normals[0] > value)),
      from: (c, i) => c.normals[i] / c.normals[0],
      words: (value) => `false-positive rate of at most ${short(value)}`,
    },
  };

  const element = (id) => getHtmlElement(id);
  const chart = (id) => (id == null ? null : getElement(id)?.chart);

  class Panel {
    constructor(config, counts) {
      this.config = config;
      this.counts = counts;
      this.root = element(config.root);
      this.nodes = new Map();
      for (const node of document.querySelectorAll("[data-wct]")) this.nodes.set(node.dataset.wct, node);
      [this.slider, this.box, this.choice] = ["slider", "box", "meaning"].map((name) => this.nodes.get(name));
      this.money = { ...config.money };
      this.told = config.told;
      this.meaning = config.meaning;
      this.chosen = config.threshold !== null;
      this.threshold = config.threshold ?? config.own;
      this.labelled = counts.anomalies[0] > 0 && counts.normals[0] > 0;
      for (const name of Object.keys(this.money)) this.nodes.get(name).value = exact(this.money[name]);
      this.choice.value = this.meaning;
      this.listen();
      this.weigh();
      if (this.meaning === "cost") this.threshold = this.cheapest();
      this.show(true);
      this.root.dataset.ready = "true";
    }

    listen() {
      this.slider.addEventListener("input", () => this.slide());
      this.box.addEventListener("input", () => this.type());
      this.box.addEventListener("change", () => this.show(true));
      this.choice.addEventListener("change", () => this.mean(this.choice.value));
      for (const name of Object.keys(this.money)) {
        this.nodes.get(name).addEventListener("input", (event) => this.price(name, event.target));
      }
      this.nodes.get("own").addEventListener("click", () => this.reset());
      // A button of the page is about what is seen at this moment.
      this.root.addEventListener("click", () => this.settle(), { capture: true });
    }

    // ---- what is asked -------------------------------------------------------------------------------------------

    /** Return the value of the slider's position, a whole number of units. */
    valueAt(position) {
      const u = position / POSITIONS;
      if (this.meaning === "score") {
        const { low, high, log } = this.config.axis;
        return log ? low * (high / low) ** u : low + (high - low) * u;
      }
      const scale = MEANINGS[this.meaning];
      return this.rounded(scale.most(this.counts) * scale.bend(u));
    }

    rounded(value) {
      const { unit } = MEANINGS[this.meaning];
      return Number((Math.round(value / unit) * unit).toFixed(6));
    }

    positionOf(value) {
      let u;
      if (this.meaning === "score") {
        const { low, high, log } = this.config.axis;
        u = log ? Math.log(Math.max(value, low) / low) / Math.log(high / low) : (value - low) / (high - low);
      } else {
        const scale = MEANINGS[this.meaning];
        u = scale.unbend(Math.min(Math.max(value / scale.most(this.counts), 0), 1));
      }
      return Math.round(POSITIONS * Math.min(Math.max(u, 0), 1));
    }

    get value() {
      const i = this.counts.place(this.threshold);
      return MEANINGS[this.meaning]?.from(this.counts, i) ?? this.threshold;
    }

    slide() {
      const position = Number(this.slider.value);
      let value = this.valueAt(position);
      // A step by key always moves, also where the scale has less than a unit for it.
      if (this.meaning !== "score" && Math.abs(position - this.position) === 1 && value === this.wish) {
        const { unit, most } = MEANINGS[this.meaning];
        value = this.rounded(Math.min(Math.max(value + Math.sign(position - this.position) * unit, 0), most(this.counts)));
        this.slider.value = String(this.positionOf(value));
      }
      this.position = Number(this.slider.value);
      this.want(value);
      this.box.value = exact(value);
    }

    type() {
      const value = this.box.valueAsNumber;
      const scale = MEANINGS[this.meaning];
      const fits = Number.isFinite(value) && (scale === undefined || (value >= 0 && value <= scale.most(this.counts)));
      this.box.setAttribute("aria-invalid", String(!fits));
      if (!fits) return;
      this.want(value);
      this.slider.value = String(this.positionOf(value));
      this.position = Number(this.slider.value);
    }

    want(value) {
      this.wish = value;
      const scale = MEANINGS[this.meaning];
      this.threshold = scale === undefined ? value : this.counts.thresholdOf(scale.to(this.counts, value));
      this.moved();
    }

    mean(meaning) {
      this.meaning = meaning;
      if (meaning === "cost") {
        this.threshold = this.cheapest();
        this.chosen = true;
      }
      this.show(true);
      this.later();
    }

    price(name, field) {
      const empty = field.value.trim() === "";
      const value = empty ? null : field.valueAsNumber;
      const fits = name === "base_rate" ? empty || (value >= 0 && value <= 1) : !empty && value >= 0;
      field.setAttribute("aria-invalid", String(!fits));
      if (!fits) return;
      this.money[name] = value;
      this.priced = true;
      this.weigh();
      if (this.meaning === "cost") this.threshold = this.cheapest();
      this.show(this.meaning === "cost");
      this.later();
    }

    reset() {
      this.meaning = "score";
      this.choice.value = "score";
      this.chosen = false;
      this.threshold = this.config.own;
      this.show(true);
      this.later();
    }

    moved() {
      this.chosen = true;
      this.later();
      // Several moves within a frame are one picture.
      this.frame ??= requestAnimationFrame(() => {
        this.frame = undefined;
        this.show(false);
      });
    }

    later() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.settle(), QUIET);
    }

    /** Tell the server where things stand, for the address. */
    settle() {
      if (this.timer === undefined) return;
      clearTimeout(this.timer);
      this.timer = undefined;
      const told = { meaning: this.meaning };
      if (this.chosen) told.threshold = String(this.threshold);
      for (const [name, value] of Object.entries(this.money)) {
        if (value !== null && (this.priced || this.config.priced || name === "base_rate")) told[name] = String(value);
      }
      this.nodes.get("said").textContent = this.sentence();
      emitEvent("wc-threshold", told);
    }

    // ---- what is shown -------------------------------------------------------------------------------------------

    put(name, value, text) {
      const node = this.nodes.get(name);
      if (node === undefined) return;
      const words = value === null ? "–" : text(value);
      if (node.firstChild?.nodeType === Node.TEXT_NODE) {
        if (node.firstChild.data !== words) node.firstChild.data = words;
      } else node.textContent = words;
      node.dataset.value = exact(value);
    }

    /** Show all figures at the threshold; `anew` sets the controls too. */
    show(anew) {
      const { counts, config } = this;
      const i = counts.place(this.threshold);
      const found = counts.figures(i);
      window.whitecrow.threshold.value = this.threshold;
      if (anew) this.setControls();
      this.put("threshold", this.threshold, (x) => String(Number(x.toPrecision(8))));
      for (const name of ["tp", "fp", "fn", "tn", "unknown_flagged", "unknown_passed", "alerts"]) {
        this.put(name, found[name], whole);
      }
      this.put("alerts_per_1000", found.alerts_per_1000, short);
      for (const name of ["precision", "recall", "f1", "f2", "false_positive_rate", "accuracy"]) {
        this.put(name, found[name], rate);
      }
      if (config.few && found.recall !== null) this.showIntervals(found);
      const cost = this.labelled ? this.cost(i) : null;
      this.put("cost", cost, short);
      this.put("saved_against_nothing", cost === null ? null : this.ofNothing - cost, short);
      this.put("saved_against_everything", cost === null ? null : this.ofEverything - cost, short);
      this.slider.setAttribute("aria-valuetext", this.sentence());
      const note = !this.chosen ? "own" : ["fpr", "cost"].includes(this.meaning) ? "labels" : "moved";
      if (this.root.dataset.note !== note) {
        this.root.dataset.note = note;
        for (const node of this.root.querySelectorAll("[data-wct-note]")) node.hidden = node.dataset.wctNote !== note;
      }
      this.draw(found, cost);
      getElement(config.grid)?.api?.refreshCells({ force: true, columns: ["flag"] });
    }

    setControls() {
      const fixed = this.meaning === "cost";
      this.slider.disabled = fixed;
      this.box.disabled = fixed;
      const value = this.value;
      this.wish = value;
      this.box.value = exact(value);
      this.box.setAttribute("aria-invalid", "false");
      this.slider.value = String(fixed ? 0 : this.positionOf(value));
      this.position = Number(this.slider.value);
    }

    showIntervals(found) {
      if (this.config.copies) {
        // Copies of a row count once, which only the server knows; it tells in a moment.
        const { threshold, ends } = this.told;
        for (const name of ["precision", "recall"]) this.ends(name, threshold === this.threshold ? ends[name] : null);
        return;
      }
      this.ends("precision", wilson(found.precision, found.tp + found.fp, this.config.z));
      this.ends("recall", wilson(found.recall, this.counts.anomalies[0], this.config.z));
    }

    ends(name, range) {
      const node = this.nodes.get(`${name}_interval`);
      if (node === undefined) return;
      node.textContent = range === null ? "95 %: …" : `95 %: ${rate(range[0])} to ${rate(range[1])}`;
      node.dataset.low = range === null ? "" : String(range[0]);
      node.dataset.high = range === null ? "" : String(range[1]);
    }

    sentence() {
      const { alerts } = this.counts.figures(this.counts.place(this.threshold));
      const meaning = this.meaning === "cost" ? "lowest cost" : MEANINGS[this.meaning]?.words(this.value);
      const score = `score above ${short(this.threshold)}, ${whole(alerts)} of ${whole(this.counts.n)} rows flagged`;
      return meaning === undefined ? score : `${meaning}: ${score}`;
    }

    // ---- money ---------------------------------------------------------------------------------------------------

    weigh() {
      if (!this.labelled) return;
      const { counts } = this;
      this.cost = counts.costs(this.money);
      this.ofNothing = this.cost(counts.scores.length);
      this.ofEverything = this.cost(0);
      this.best = counts.scores.length;
      let least = this.ofNothing;
      // Of equal costs the one with the fewest alerts.
      for (let i = counts.scores.length - 1; i >= 0; i -= 1) {
        const here = this.cost(i);
        if (here < least) [least, this.best] = [here, i];
      }
      this.put("cost_of_nothing", this.ofNothing, short);
      this.put("cost_of_everything", this.ofEverything, short);
      this.put("least_cost", least, short);
      this.put("least_cost_threshold", this.cheapest(), short);
      const { low, high, log } = this.config.axis;
      const points = Array.from({ length: POINTS + 1 }, (_, k) => {
        const x = log ? low * (high / low) ** (k / POINTS) : low + ((high - low) * k) / POINTS;
        return [x, this.cost(counts.place(x))];
      });
      const at = Math.min(Math.max(this.cheapest(), low), high);
      chart(this.config.charts.cost)?.setOption(
        { series: [{ data: points }, { data: [[at, least]] }] },
        { lazyUpdate: true },
      );
    }

    /** Draw anew what charts have missed. */
    redraw() {
      this.weigh();
      this.show(false);
    }

    cheapest() {
      return this.labelled ? this.counts.thresholdOf(this.best) : this.threshold;
    }

    // ---- marks ---------------------------------------------------------------------------------------------------

    draw(found, cost) {
      const { low, high } = this.config.axis;
      const x = Math.min(Math.max(this.threshold, low), high);
      const mark = (name, places) => {
        // The last series of every chart is its mark.
        const known = chart(this.config.charts[name]);
        if (known === undefined || known === null) return;
        const series = Array.from({ length: places.length }, () => ({}));
        series[places.length - 1] = { data: places.at(-1) };
        known.setOption({ series }, { lazyUpdate: true, silent: true });
      };
      mark("histogram", [null, null, null, [[x, 0], [x, this.config.tallest]]]);
      if (!this.labelled) return;
      const { false_positive_rate: fpr, recall, precision } = found;
      mark("roc", [null, [[fpr, recall]]]);
      mark("pr", [null, [[recall, found.tp + found.fp ? precision : 1]]]);
      mark("cost", [null, null, [[x, cost]]]);
    }
  }

  /** Wait until a condition holds: elements and charts are there a moment after the page has been told of them. */
  const until = async (holds) => {
    for (let tries = 0; tries < 500 && !holds(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  };

  window.whitecrow.threshold = {
    value: Infinity,
    panel: null,
    latest: null,
    /** Follow the controls of a panel that the page has made. */
    async start(config) {
      this.value = config.threshold ?? config.own;
      this.latest = config;
      const asked = fetch(config.address, { headers: { Accept: "application/octet-stream" } });
      try {
        const answer = await asked;
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
        const counts = new Counts(await answer.arrayBuffer());
        await until(() => element(config.root) || this.latest !== config);
        if (this.latest !== config) return; // the page has made another panel meanwhile
        this.panel = new Panel(config, counts);
      } catch (error) {
        const said = element(config.root)?.querySelector("[data-wct=said]");
        if (said) {
          said.textContent = `The counts could not be fetched: ${error.message}. Load the page again.`;
          said.className = "wc-warning";
        }
      }
      emitEvent("wc-figures", {});
    },
    /** Let pictures follow too, which come after the figures. */
    async pictures(root, { charts, tallest }) {
      const { latest } = this;
      if (latest?.root !== root) return;
      await until(() => Object.values(charts).every((id) => id === null || chart(id)) || this.latest !== latest);
      Object.assign(latest, { charts, tallest });
      if (this.panel?.config === latest) this.panel.redraw();
    },
    /** Take intervals in which copies of a row count once, and the threshold that they are of. */
    intervals(told) {
      if (this.panel === null) return;
      this.panel.told = told;
      this.panel.show(false);
    },
  };
})();
