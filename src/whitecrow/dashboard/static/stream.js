// The race on the screen Stream: one websocket, and figures painted in the browser alone, one paint for each frame.
(() => {
  "use strict";
  const LISTED = 20; // records in the list
  const KEPT = 400; // points of the chart, at most
  const SAY_EVERY = 5000; // ms between announcements
  const CHART_EVERY = 500;
  const TABLE_EVERY = 1000;
  const STILL_EVERY = 250; // ms between paints where motion is to be reduced
  const FRAMES = 30; // asked for, per second
  const NOTHING = "–";
  const OUTCOMES = { 11: "● caught", 10: "✕ missed", 1: "▲ false alarm", 0: "· passed" };
  const UNKNOWN = { 1: "● flagged", 0: "· passed" };
  const LIVE = "live:";
  const LIMITS = {
    simulation: "",
    replay: "Only the simulation has a seed and attacks to set.",
    tail:
      "A live source gives its records as they are written: it has no speed, no way back, and no attacks to set. " +
      "To see what came before, let it begin with the beginning of the file.",
  };
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  const whole = (n) => Math.round(n).toLocaleString("en-US");
  const share = (n) => (n === null ? NOTHING : n.toFixed(3));
  const money = (n) => n.toLocaleString("en-US", { maximumFractionDigits: 2 });
  const ratio = (part, all) => (all ? part / all : null);
  const find = (name) => document.querySelector(`[data-wcs="${CSS.escape(name)}"]`);
  const field = (name) => document.querySelector(`[data-wcs-field="${CSS.escape(name)}"]`);
  const number = (name) => {
    const input = field(name);
    return input && input.value !== "" && input.checkValidity() ? Number(input.value) : null;
  };
  // What is chosen to send records: simulation, replay or tail.
  const kind = () => {
    const chosen = field("source").value;
    if (!chosen) return "simulation";
    return chosen.startsWith(LIVE) ? "tail" : "replay";
  };
  const say = (node, text) => {
    put(node, text);
    if (node) node.hidden = !text;
  };
  const put = (node, text) => {
    if (node && node.textContent !== text) node.textContent = text;
  };
  const cell = (row, tag, text) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (tag === "th") made.scope = "row";
    row.append(made);
    return made;
  };

  class Race {
    constructor(config) {
      this.config = config;
      this.nodes = new Map();
      this.socket = null;
      this.running = false;
      this.stamps = [];
      this.painted = 0;
      this.said = 0;
      this.charted = 0;
      this.tabled = 0;
      this.forget();
    }

    forget() {
      this.frame = null;
      this.recent = [];
      this.history = [];
      this.gap = 1;
      this.position = 0;
      this.ended = false;
      this.dirty = true;
      say(find("source"), "");
    }

    // ---- what is sent

    get open() {
      return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
    }

    send(command) {
      if (this.open) this.socket.send(JSON.stringify(command));
    }

    mix() {
      const given = {};
      for (const kind of this.config.kinds) given[kind] = number(`mix.${kind}`) ?? 0;
      return given;
    }

    source() {
      const chosen = field("source").value;
      if (kind() === "tail") {
        return { kind: "tail", name: chosen.slice(LIVE.length), from_beginning: field("begin").value === "beginning" };
      }
      if (chosen) return { kind: "replay", dataset: chosen };
      return {
        kind: "simulation",
        seed: number("seed") ?? 0,
        attack_rate: (number("attack_rate") ?? 2) / 100,
        mix: this.mix(),
        week_rows: number("week_rows") ?? 20000,
      };
    }

    thresholds() {
      const given = {};
      for (const { id } of this.config.runs) {
        const value = number(`threshold.${id}`);
        if (value !== null) given[id] = value;
      }
      return given;
    }

    start(paused) {
      this.close();
      this.forget();
      this.complain("");
      const wrong = document.querySelector("[data-wcs-field]:invalid");
      if (wrong) {
        this.complain(`${wrong.labels[0]?.textContent ?? wrong.ariaLabel}: ${wrong.validationMessage}`);
        wrong.focus();
        return;
      }
      const scheme = window.location.protocol === "https:" ? "wss" : "ws";
      const socket = new WebSocket(`${scheme}://${window.location.host}/api/stream`);
      this.socket = socket;
      this.keep();
      socket.addEventListener("open", () =>
        this.send({
          runs: this.config.runs.map((run) => run.id),
          source: this.source(),
          rate: number("rate") ?? 1000,
          thresholds: this.thresholds(),
          frames_per_second: FRAMES,
          listed: LISTED,
          paused,
          alert_rules: field("alert_rules").checked,
        }),
      );
      socket.addEventListener("message", (event) => {
        if (socket === this.socket) this.hear(JSON.parse(event.data));
      });
      socket.addEventListener("close", (event) => {
        if (socket !== this.socket) return;
        this.socket = null;
        this.stand(false, "stopped");
        if (event.reason) this.complain(event.reason, true);
      });
      this.stand(!paused, paused ? "paused" : "running");
    }

    close() {
      const socket = this.socket;
      this.socket = null;
      socket?.close();
      this.stand(false, "stopped");
    }

    toggle() {
      if (!this.open || this.ended) this.start(false);
      else this.pause(this.running);
    }

    pause(wanted) {
      this.send({ type: wanted ? "pause" : "resume" });
    }

    step() {
      const n = number("step") ?? 1;
      if (this.open) this.send({ type: "step", n });
      else {
        this.start(true);
        this.socket?.addEventListener("open", () => this.send({ type: "step", n }));
      }
    }

    rewind() {
      if (kind() === "tail") this.complain(LIMITS.tail);
      else this.send({ type: "rewind", position: number("rewind") ?? 0 });
    }

    // What makes no sense for the source is out of use, and why is said beside it.
    limit() {
      const now = kind();
      say(find("limits"), LIMITS[now]);
      for (const node of document.querySelectorAll("[data-wcs-for]")) {
        node.disabled = !node.dataset.wcsFor.split(" ").includes(now);
        if (node.disabled) node.setAttribute("aria-describedby", "wcs-limits");
        else node.removeAttribute("aria-describedby");
      }
      for (const node of document.querySelectorAll("[data-wcs-only]")) {
        node.style.display = node.dataset.wcsOnly === now ? "block" : "none";
      }
    }

    // A link that is sent to somebody else, or a reload, has the same stream.
    keep() {
      const given = new URLSearchParams();
      for (const input of document.querySelectorAll("[data-wcs-kept]")) given.set(input.dataset.wcsField, input.value);
      const { pathname, search } = window.location;
      window.history.replaceState(window.history.state, "", `${pathname}${search}#${given}`);
    }

    // ---- what is heard

    hear(message) {
      if (message.type === "frame") {
        if (!this.frame?.position) this.stand(this.running, this.running ? "running" : "paused");
        this.frame = message;
        this.position = message.first + message.count;
        for (let k = 0; k < message.position.length; k++) {
          this.recent.push({
            position: message.position[k],
            label: message.label[k],
            family: message.family[k],
            judged: this.config.runs.map(({ id }) => [message.scores[id][k], message.flags[id][k]]),
          });
        }
        this.recent = this.recent.slice(-LISTED);
        this.remember(message);
        this.dirty = true;
      } else if (message.type === "state") {
        if (message.position < this.position) this.forget();
        this.position = message.position;
        this.frame = { ...this.frame, standings: message.standings };
        if (!this.ended) this.stand(!message.paused, message.paused ? "paused" : "running");
        this.dirty = true;
      } else if (message.type === "ready") {
        this.length = message.length;
        if (kind() === "tail" && this.running) put(find("standing"), "waiting for records to be written");
      } else if (message.type === "source") {
        this.tellOfSource(message);
      } else if (message.type === "end") {
        this.ended = true;
        this.stand(false, "at the end");
      } else if (message.type === "error") {
        this.complain([message.detail, ...message.errors.map((one) => `${one.field}: ${one.message}`)].join(" "));
      }
    }

    tellOfSource({ bad_lines: bad, restarts }) {
      const told = [];
      if (bad) told.push(`${whole(bad)} ${bad === 1 ? "line was" : "lines were"} no record, and passed over.`);
      if (restarts) told.push(`The file was replaced or cut short: ${whole(restarts)} ${restarts === 1 ? "time" : "times"}.`);
      say(find("source"), told.join(" "));
    }

    remember(message) {
      const last = this.history.at(-1);
      if (last && this.position - last.position < this.gap) return;
      const counts = this.config.runs.map(({ id }) => message.standings[id].counts);
      this.history.push({ position: this.position, counts });
      if (this.history.length > KEPT) {
        this.history = this.history.filter((_, k) => k % 2 === 1);
        this.gap = (this.position - this.history[0].position) / KEPT;
      }
    }

    complain(text, more = false) {
      const node = find("alert");
      put(node, more && node.textContent ? `${node.textContent} ${text}` : text);
    }

    stand(running, words) {
      this.running = running;
      put(find("standing"), words);
      put(find("toggle"), running ? "Pause" : this.open && !this.ended ? "Go on" : "Start");
      this.dirty = true;
    }

    // ---- what is painted

    node(name) {
      let node = this.nodes.get(name);
      if (!node?.isConnected) {
        node = find(name);
        this.nodes.set(name, node);
      }
      return node;
    }

    show(name, text, value) {
      const node = this.node(name);
      put(node, text);
      if (node) node.dataset.value = value;
    }

    costs() {
      const given = {};
      for (const name of ["miss", "false_alarm", "alert", "catch"]) given[name] = number(`cost.${name}`) ?? 0;
      return given;
    }

    spent(counts, costs) {
      const caught = costs.alert - costs.catch;
      const alarm = costs.false_alarm + costs.alert;
      const anomalies = counts.tp + counts.fn;
      return {
        cost: counts.fn * costs.miss + counts.tp * caught + counts.fp * alarm,
        nothing: anomalies * costs.miss,
        everything: anomalies * caught + (counts.fp + counts.tn) * alarm,
      };
    }

    paint(now) {
      // A live source that has fallen silent gives no records a second.
      if (this.running && this.frame && now - this.painted > 1000) this.dirty = true;
      if (!this.dirty || (still.matches && now - this.painted < STILL_EVERY)) return;
      this.dirty = false;
      this.painted = now;
      this.show("position", whole(this.position), this.position);
      const standings = this.frame?.standings;
      if (standings) {
        this.stamps.push([now, this.position]);
        while (this.stamps[0][0] < now - 1000) this.stamps.shift();
        const [first] = this.stamps;
        const seconds = (now - first[0]) / 1000;
        const speed = seconds > 0.2 ? Math.max(this.position - first[1], 0) / seconds : 0;
        this.show("speed", whole(speed), speed);
        this.show("frames", String(this.stamps.length), this.stamps.length);
        this.paintStandings(standings);
        this.paintFamilies(standings);
      }
      this.paintRecords();
      if (now - this.charted >= CHART_EVERY || !this.running) {
        this.charted = now;
        this.paintChart();
      }
      if (now - this.tabled >= TABLE_EVERY || !this.running) {
        this.tabled = now;
        this.paintHistory();
      }
      if (this.frame && now - this.said >= SAY_EVERY) {
        this.said = now;
        this.say(standings);
      }
    }

    paintStandings(standings) {
      const costs = this.costs();
      const all = standings[this.config.runs[0].id].counts;
      const untold = all.records > 0 && all.unknown === all.records;
      this.grey(untold);
      const known = (n) => (untold ? NOTHING : whole(n));
      const spent = (name, n) => this.show(name, untold ? NOTHING : money(n), untold ? null : n);
      for (const { id } of this.config.runs) {
        const { counts } = standings[id];
        this.show(`${id}.alerts`, whole(counts.alerts), counts.alerts);
        for (const name of ["tp", "fp", "fn", "tn"]) {
          this.show(`${id}.${name}`, known(counts[name]), untold ? null : counts[name]);
        }
        for (const name of ["precision", "recall", "fpr", "alert_rate"]) {
          this.show(`${id}.${name}`, share(counts[name]), counts[name]);
        }
        const { cost, nothing, everything } = this.spent(counts, costs);
        spent(`${id}.cost`, cost);
        spent(`${id}.nothing`, nothing - cost);
        spent(`${id}.everything`, everything - cost);
      }
      const { nothing, everything } = this.spent(all, costs);
      this.show("anomalies", known(all.tp + all.fn), untold ? null : all.tp + all.fn);
      this.show("unknown", whole(all.unknown), all.unknown);
      spent("nothing", nothing);
      spent("everything", everything);
    }

    grey(untold) {
      if (this.untold === untold) return;
      this.untold = untold;
      for (const part of document.querySelectorAll("[data-wcs-truth]")) part.classList.toggle("wc-untold", untold);
      for (const reason of document.querySelectorAll("[data-wcs-untold]")) reason.hidden = !untold;
    }

    paintFamilies(standings) {
      const body = this.node("families")?.querySelector("tbody");
      if (!body) return;
      const families = standings[this.config.runs[0].id].families;
      const names = Object.keys(families);
      const shown = body.rows;
      if (names.length !== shown.length || names.some((name, k) => shown[k].dataset.name !== name)) {
        body.replaceChildren();
        for (const name of names) {
          const row = body.insertRow();
          row.dataset.name = name;
          cell(row, "th", name);
          for (let k = 0; k <= this.config.runs.length; k++) cell(row, "td", "").className = "wc-n";
        }
      }
      names.forEach((name, k) => {
        const { cells } = shown[k];
        put(cells[1], whole(families[name].seen));
        this.config.runs.forEach(({ id }, j) => {
          const { flagged, seen } = standings[id].families[name];
          put(cells[j + 2], `${share(ratio(flagged, seen))} (${whole(flagged)})`);
        });
      });
    }

    paintRecords() {
      const body = this.node("records")?.querySelector("tbody");
      if (!body) return;
      while (body.rows.length < this.recent.length) {
        const row = body.insertRow();
        cell(row, "th", "");
        for (let k = 0; k <= this.config.runs.length; k++) cell(row, "td", "").style.whiteSpace = "nowrap";
      }
      while (body.rows.length > this.recent.length) body.deleteRow(-1);
      this.recent.toReversed().forEach((record, k) => {
        const { cells } = body.rows[k];
        put(cells[0], whole(record.position));
        const anomaly = `anomaly: ${record.family ?? "not named"}`;
        put(cells[1], record.label === null ? "unknown" : record.label ? anomaly : "normal");
        record.judged.forEach(([score, flag], j) => {
          const words = record.label === null ? UNKNOWN[Number(flag)] : OUTCOMES[10 * record.label + Number(flag)];
          put(cells[j + 2], `${words} ${score.toPrecision(3)}`);
        });
      });
    }

    points() {
      const costs = this.costs();
      return this.history.map(({ position, counts }) => {
        const spent = counts.map((one) => this.spent(one, costs));
        return { position, values: [...spent.map((one) => one.cost), spent[0].nothing] };
      });
    }

    paintChart() {
      const chart = window.getElement?.(this.config.chart)?.chart;
      if (!chart) return;
      const points = this.points();
      const series = [...this.config.runs, null].map((_, k) => ({
        data: points.map(({ position, values }) => [position, values[k]]),
      }));
      if (!this.coloured) {
        this.coloured = true; // a chart that began empty has not been given the colours of the theme
        window.whitecrow.applyTheme();
      }
      chart.setOption({ series, animation: false });
    }

    paintHistory() {
      const region = this.node("history");
      if (!region?.closest("details")?.open) return;
      const points = this.points();
      const every = Math.max(1, Math.ceil(points.length / 20));
      const body = region.querySelector("tbody");
      body.replaceChildren();
      points.filter((_, k) => (points.length - 1 - k) % every === 0).forEach(({ position, values }) => {
        const row = body.insertRow();
        cell(row, "th", whole(position));
        for (const value of values) cell(row, "td", money(value)).className = "wc-n";
      });
    }

    say(standings) {
      if (!standings) return;
      const costs = this.costs();
      const told = this.config.runs.map(({ id, name }) => {
        const { counts } = standings[id];
        if (this.untold) return `${name}: ${whole(counts.alerts)} alerts, rate ${share(counts.alert_rate)}`;
        return `${name}: recall ${share(counts.recall)}, cost ${money(this.spent(counts, costs).cost)}`;
      });
      put(this.node("live"), `${whole(this.position)} records. ${told.join("; ")}.`);
    }
  }

  let race = null;
  const loop = (now) => {
    race?.paint(now);
    requestAnimationFrame(loop);
  };
  requestAnimationFrame(loop);

  document.addEventListener("click", (event) => {
    const wanted = event.target instanceof Element && event.target.closest("[data-wcs-do]");
    if (wanted && race) race[wanted.dataset.wcsDo]();
  });
  document.addEventListener("change", (event) => {
    const name = event.target.dataset?.wcsField;
    if (!name || !race || !event.target.checkValidity()) return;
    const [part, key] = name.split(".");
    const value = number(name);
    if (part === "cost") {
      race.dirty = true;
      emitEvent("wc-stream-costs", race.costs());
    } else if (part === "threshold" && value !== null) race.send({ type: "threshold", run: key, value });
    else if (part === "rate" && value !== null) race.send({ type: "speed", rate: value });
    else if (part === "attack_rate" && value !== null) race.send({ type: "attacks", attack_rate: value / 100 });
    else if (part === "mix") race.send({ type: "attacks", mix: race.mix() });
    else if (["seed", "week_rows", "source", "begin", "alert_rules"].includes(part)) {
      race.close(); // another stream begins anew
      race.limit();
    }
    if ("wcsKept" in event.target.dataset) race.keep();
  });

  window.whitecrow.stream = {
    // Called once the elements of these runs are there; an earlier race ends.
    begin(config) {
      race?.close();
      if (!config.runs.every((id) => find(`${id}.name`))) {
        requestAnimationFrame(() => this.begin(config));
        return;
      }
      const kept = new URLSearchParams(window.location.hash.slice(1));
      for (const input of document.querySelectorAll("[data-wcs-field]")) {
        if ("wcsReady" in input.dataset) continue;
        input.dataset.wcsReady = "";
        input.value = ("wcsKept" in input.dataset && kept.get(input.dataset.wcsField)) || input.dataset.wcsValue;
        if (!input.checkValidity() || (input.tagName === "SELECT" && input.selectedIndex < 0)) {
          input.value = input.dataset.wcsValue; // an address may come from anywhere
        }
      }
      // Names are text of the page already, and need not be written into a script.
      const runs = config.runs.map((id) => ({ id, name: find(`${id}.name`).textContent }));
      race = new Race({ ...config, runs });
      race.limit();
      race.stand(false, "not started");
    },
    toggle: () => race?.toggle(),
    step: () => race?.step(),
    rewind: () => race?.rewind(),
    keep: () => race?.keep(),
  };
})();
