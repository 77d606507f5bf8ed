// Boards to draw on: an image of cells, or a curve of points. What is drawn is told to the page some times a second.
(() => {
  "use strict";
  const QUIET = 60; // ms between two messages
  const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", " ", "Enter", "Delete", "Backspace"];
  const boards = new Map();

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--wc-${name}`).trim();
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

  /** What both kinds share: the canvas, its events, and telling the page. */
  class Board {
    constructor(canvas, config) {
      this.canvas = canvas;
      this.config = config;
      this.context = canvas.getContext("2d");
      this.at = null; // last place of the pointer
      this.timer = null;
      this.sent = 0;
      canvas.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        canvas.focus({ preventScroll: true });
        canvas.setPointerCapture(event.pointerId);
        this.at = this.place(event);
        this.stroke(this.at, this.at);
        this.changed();
      });
      canvas.addEventListener("pointermove", (event) => {
        if (this.at === null) return;
        // Several moves may come as one.
        for (const one of event.getCoalescedEvents?.() ?? [event]) {
          const next = this.place(one);
          this.stroke(this.at, next);
          this.at = next;
        }
        this.changed();
      });
      for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (this.at = null));
      canvas.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || !KEYS.includes(event.key)) return;
        event.preventDefault();
        event.stopPropagation();
        this.key(event.key, event.shiftKey);
        this.say();
      });
      canvas.addEventListener("focus", () => this.paint());
      canvas.addEventListener("blur", () => this.paint());
      window.addEventListener("wc-theme", () => this.paint());
      this.clear();
    }

    place(event) {
      const box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    }

    get focused() {
      return document.activeElement === this.canvas;
    }

    say() {
      const line = document.querySelector("[data-wcd=cursor]");
      if (line) line.textContent = this.words();
    }

    changed() {
      this.paint();
      if (this.timer !== null) return;
      const wait = Math.max(0, QUIET - (performance.now() - this.sent));
      this.timer = setTimeout(() => {
        this.timer = null;
        this.sent = performance.now();
        const told = this.told();
        this.canvas.dataset.values = JSON.stringify(told.values);
        emitEvent("wc-drawn", told);
      }, wait);
    }
  }

  /** Cells that are inked from 0 to 1: strokes cover parts of them, as pens cover parts of pixels. */
  class ImageBoard extends Board {
    clear() {
      const { height, width } = this.config;
      this.fine = Math.max(height, width) <= 16 ? 4 : 3;
      this.radius = Math.max(0.8, Math.max(height, width) / 22) * this.fine;
      this.cells = new Float64Array(height * width);
      this.dots = new Uint8Array(height * width * this.fine ** 2);
      this.cursor = [height >> 1, width >> 1];
      this.paint();
    }

    load(values) {
      this.clear();
      this.cells.set(values);
      this.changed();
    }

    stroke([x0, y0], [x1, y1]) {
      const { height, width } = this.config;
      const [rows, columns] = [height * this.fine, width * this.fine];
      const steps = Math.max(1, Math.ceil(Math.hypot((x1 - x0) * columns, (y1 - y0) * rows)));
      for (let k = 0; k <= steps; k += 1) {
        const x = (x0 + ((x1 - x0) * k) / steps) * columns;
        const y = (y0 + ((y1 - y0) * k) / steps) * rows;
        const r = this.radius;
        for (let i = Math.max(0, Math.floor(y - r)); i < Math.min(rows, y + r); i += 1) {
          for (let j = Math.max(0, Math.floor(x - r)); j < Math.min(columns, x + r); j += 1) {
            if (Math.hypot(i + 0.5 - y, j + 0.5 - x) <= r) this.dots[i * columns + j] = 1;
          }
        }
      }
    }

    ink() {
      const { height, width } = this.config;
      const out = Float64Array.from(this.cells);
      const columns = width * this.fine;
      for (let i = 0; i < height; i += 1) {
        for (let j = 0; j < width; j += 1) {
          let n = 0;
          for (let a = 0; a < this.fine; a += 1) {
            for (let b = 0; b < this.fine; b += 1) n += this.dots[(i * this.fine + a) * columns + j * this.fine + b];
          }
          out[i * width + j] = Math.max(out[i * width + j], n / this.fine ** 2);
        }
      }
      return out;
    }

    key(name) {
      const { height, width } = this.config;
      let [i, j] = this.cursor;
      if (name === "ArrowUp") i -= 1;
      else if (name === "ArrowDown") i += 1;
      else if (name === "ArrowLeft") j -= 1;
      else if (name === "ArrowRight") j += 1;
      else if (name === "Home") j = 0;
      else if (name === "End") j = width - 1;
      else {
        const inked = name === " " || name === "Enter" ? this.ink()[i * width + j] < 0.5 : false;
        this.cells[i * width + j] = inked ? 1 : 0;
        for (let a = 0; a < this.fine; a += 1) {
          const row = (i * this.fine + a) * width * this.fine + j * this.fine;
          this.dots.fill(0, row, row + this.fine);
        }
        this.changed();
      }
      this.cursor = [clamp(i, 0, height - 1), clamp(j, 0, width - 1)];
      this.paint();
    }

    words() {
      const [i, j] = this.cursor;
      const ink = this.ink()[i * this.config.width + j];
      return `Row ${i + 1}, column ${j + 1}: ${Math.round(100 * ink)} % inked`;
    }

    told() {
      return { values: Array.from(this.ink()), filled: 0 };
    }

    paint() {
      const { context, canvas } = this;
      const { height, width } = this.config;
      const [h, w] = [canvas.height / height, canvas.width / width];
      this.ink().forEach((ink, k) => {
        const grey = Math.round(255 * ink);
        context.fillStyle = `rgb(${grey},${grey},${grey})`;
        context.fillRect((k % width) * w, Math.floor(k / width) * h, w + 1, h + 1);
      });
      if (!this.focused) return;
      const [i, j] = this.cursor;
      context.lineWidth = 3;
      context.strokeStyle = "#f0e442";
      context.strokeRect(j * w + 2, i * h + 2, w - 4, h - 4);
    }
  }

  /** Points of a curve; those that were not drawn lie on lines between those that were. */
  class CurveBoard extends Board {
    clear() {
      this.points = Array(this.config.length).fill(null);
      this.cursor = 0;
      this.paint();
    }

    load(values) {
      this.points = values.slice();
      this.changed();
    }

    value(y) {
      const { low, high } = this.config;
      return high - clamp(y, 0, 1) * (high - low);
    }

    stroke([x0, y0], [x1, y1]) {
      const n = this.config.length;
      const [a, b] = [clamp(Math.round(x0 * (n - 1)), 0, n - 1), clamp(Math.round(x1 * (n - 1)), 0, n - 1)];
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      for (let k = from; k <= to; k += 1) {
        const share = a === b ? 1 : (k - a) / (b - a);
        this.points[k] = this.value(y0 + share * (y1 - y0));
      }
      this.cursor = b;
    }

    /** Return all points: gaps are filled on straight lines, ends go on level. */
    whole() {
      const known = this.points.flatMap((one, k) => (one === null ? [] : [k]));
      if (!known.length) return null;
      let next = 0;
      return this.points.map((one, k) => {
        if (one !== null) return one;
        while (next < known.length && known[next] < k) next += 1;
        const [left, right] = [known[next - 1], known[next]];
        if (left === undefined) return this.points[right];
        if (right === undefined) return this.points[left];
        return this.points[left] + ((k - left) / (right - left)) * (this.points[right] - this.points[left]);
      });
    }

    key(name, far) {
      const { length, low, high } = this.config;
      const step = ((high - low) / 50) * (far ? 5 : 1);
      const present = this.whole()?.[this.cursor] ?? (low + high) / 2;
      if (name === "ArrowLeft") this.cursor = clamp(this.cursor - (far ? 10 : 1), 0, length - 1);
      else if (name === "ArrowRight") this.cursor = clamp(this.cursor + (far ? 10 : 1), 0, length - 1);
      else if (name === "Home") this.cursor = 0;
      else if (name === "End") this.cursor = length - 1;
      else {
        const erased = name === "Delete" || name === "Backspace";
        const by = name === "ArrowUp" ? step : name === "ArrowDown" ? -step : 0;
        this.points[this.cursor] = erased ? null : clamp(present + by, low, high);
        this.changed();
      }
      this.paint();
    }

    words() {
      const at = this.whole()?.[this.cursor];
      const how = at === undefined ? "not drawn" : at.toFixed(3) + (this.points[this.cursor] === null ? ", filled" : "");
      return `Point ${this.cursor + 1} of ${this.config.length}: ${how}`;
    }

    told() {
      return { values: this.whole(), filled: this.points.filter((one) => one === null).length };
    }

    paint() {
      const { context, canvas } = this;
      const { length, low, high } = this.config;
      const x = (k) => 4 + (k / (length - 1)) * (canvas.width - 8);
      const y = (v) => ((high - v) / (high - low)) * canvas.height;
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.strokeStyle = colour("line");
      context.lineWidth = 1;
      for (let k = 1; k < 4; k += 1) {
        context.beginPath();
        context.moveTo(0, (k * canvas.height) / 4);
        context.lineTo(canvas.width, (k * canvas.height) / 4);
        context.stroke();
      }
      const whole = this.whole();
      if (whole !== null) {
        for (let k = 1; k < length; k += 1) {
          const drawn = this.points[k] !== null && this.points[k - 1] !== null;
          context.strokeStyle = colour(drawn ? "normal" : "anomaly");
          context.setLineDash(drawn ? [] : [3, 4]);
          context.lineWidth = drawn ? 3 : 2;
          context.beginPath();
          context.moveTo(x(k - 1), y(whole[k - 1]));
          context.lineTo(x(k), y(whole[k]));
          context.stroke();
        }
        context.setLineDash([]);
      }
      if (!this.focused) return;
      context.strokeStyle = colour("text");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x(this.cursor), y(whole?.[this.cursor] ?? (low + high) / 2), 6, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  window.whitecrow.draw = {
    begin(id, config) {
      const canvas = getHtmlElement(id);
      if (!canvas) {
        requestAnimationFrame(() => this.begin(id, config)); // not painted yet
        return;
      }
      boards.set(id, new (config.kind === "image" ? ImageBoard : CurveBoard)(canvas, config));
      canvas.dataset.ready = "true";
    },
    load: (id, values) => boards.get(id)?.load(values),
    clear(id) {
      const board = boards.get(id);
      if (!board) return;
      board.clear();
      board.canvas.dataset.values = "null";
      emitEvent("wc-drawn", { values: null, filled: 0 });
    },
  };
})();
