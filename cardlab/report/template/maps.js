// Maps of many points on a canvas: moved, enlarged, coloured by a choice of columns, with the card
// under the pointer. Text only ever becomes text nodes and strokes on the canvas.
(() => {
  "use strict";
  const { inflateBytes, showTip, hideTip, toCsv, saveAs, saveCsv, fileName, make } = cardlab;
  const { unpackPoints, unpackCards, sortedBy, swatch, Picture } = cardlabPoints;
  const CELLS = 64; // of the grid in which the pointer looks for points, a side
  const REACH = 12; // pixels from the pointer to the card it finds
  const count = (n) => n.toLocaleString("en-US");

  class PointMap extends Picture {
    constructor(figure, words, bytes) {
      super();
      this.figure = figure;
      this.words = words;
      this.n = words.n_points;
      Object.assign(this, unpackPoints(bytes, this.n, words.columns.length));
      this.column = 0;
      this.group = -1;
      this.found = -1;
      this.labels = [];
      this.measure();
      this.build();
      this.choose(0);
      new ResizeObserver(() => this.resize()).observe(this.canvas.parentElement);
      this.resize();
    }

    measure() {
      const ends = (values) => {
        let low = 65535;
        let high = 0;
        for (const v of values) {
          if (v < low) low = v;
          if (v > high) high = v;
        }
        return [low, high];
      };
      this.ends = [ends(this.x), ends(this.y)];
    }

    // --- what stands around the canvas

    build() {
      const { words } = this;
      const id = this.figure.id;
      this.canvas = make("canvas", { tabIndex: 0 });
      this.canvas.setAttribute("role", "application");
      this.canvas.setAttribute("aria-roledescription", "map of points");
      this.canvas.setAttribute("aria-label", this.figure.getAttribute("aria-label"));
      this.canvas.setAttribute("aria-describedby", `${id}-help`);
      this.status = make("p", { className: "status", role: "status" });
      this.legend = make("ul", { className: "legend" });
      this.legend.setAttribute("aria-label", "Groups");
      const help = make("p", {
        id: `${id}-help`,
        className: "help",
        textContent:
          "Drag to move; + and − or, after a click on the map, the wheel to enlarge. Keys: arrows move, " +
          "+ and − enlarge, 0 shows all, Enter names the card in the middle.",
      });
      const heading = make("p", { className: "title", textContent: words.title, dir: "auto" });
      const lines = words.subtitle.map((line) => make("p", { className: "subtitle", textContent: line, dir: "auto" }));
      const plane = make("div", { className: "plane" }, [this.canvas]);
      const caption = this.figure.querySelector("figcaption");
      caption.before(heading, ...lines, this.buildControls(), plane, this.legend, this.status, help);
      caption.after(this.buildTools());
      this.listen();
    }

    buildControls() {
      const choice = (text, select) => make("label", {}, [make("span", { textContent: text }), select]);
      const { columns } = this.words;
      this.by = make("select", { className: "by" }, columns.map((column, k) => make("option", { value: k, textContent: column.label })));
      this.by.addEventListener("change", () => this.choose(Number(this.by.value)));
      this.show = make("select", { className: "show" });
      this.show.addEventListener("change", () => this.pick(Number(this.show.value)));
      const button = (text, label, act) => {
        const made = make("button", { type: "button", textContent: text });
        made.setAttribute("aria-label", label);
        made.addEventListener("click", act);
        return made;
      };
      const zoom = make("span", { className: "zoom" }, [
        button("+", "Enlarge", () => this.zoom(1.6)),
        button("−", "Make smaller", () => this.zoom(1 / 1.6)),
        button("Show all", "Show all of the map", () => this.fit()),
      ]);
      const by = choice("Colour by", this.by);
      by.hidden = columns.length < 2;
      return make("div", { className: "controls" }, [by, choice("Show", this.show), zoom]);
    }

    buildTools() {
      const csv = make("button", { type: "button", textContent: "Download data" });
      csv.addEventListener("click", () => this.saveData());
      const png = make("button", { type: "button", textContent: "Download PNG" });
      png.addEventListener("click", () => saveAs(this.canvas.toDataURL("image/png"), fileName(this.figure.id, "png")));
      return make("p", { className: "tools" }, [csv, png]);
    }

    choose(column) {
      this.column = column;
      this.by.value = column;
      const { groups } = this.words.columns[column];
      const option = (value, text) => make("option", { value, textContent: text });
      this.show.replaceChildren(
        option(-1, "all groups"),
        ...groups.map((group, g) => option(g, `${group.label} (${count(group.n)})`)),
      );
      this.keys = groups.map((group, g) => {
        const text = [make("bdi", { textContent: group.label }), make("span", { className: "n", textContent: count(group.n) })];
        const key = make("button", { type: "button" }, [swatch(group), ...text]);
        key.addEventListener("click", () => this.pick(this.group === g ? -1 : g));
        return key;
      });
      this.legend.replaceChildren(...this.keys.map((key) => make("li", {}, [key])));
      this.pick(-1);
    }

    pick(group) {
      this.group = group;
      this.show.value = group;
      this.keys.forEach((key, g) => key.setAttribute("aria-pressed", String(g === group)));
      this.legend.classList.toggle("picked", group >= 0);
      this.draw();
    }

    // --- what is seen: data units to pixels

    resize() {
      const width = this.canvas.parentElement.clientWidth;
      if (!width || width === this.width) return;
      const before = this.width;
      this.width = width;
      this.height = Math.round(Math.min(Math.max(width * 0.72, 300), 620));
      this.ratio = Math.min(window.devicePixelRatio || 1, 2);
      this.canvas.style.height = this.height + "px";
      this.canvas.width = Math.round(this.width * this.ratio);
      this.canvas.height = Math.round(this.height * this.ratio);
      if (before && this.k !== this.kAll) {
        this.kAll = this.fitting();
        this.draw();
      } else this.fit();
    }

    fitting() {
      const [[left, right], [low, high]] = this.ends;
      const margin = 18;
      return Math.min((this.width - 2 * margin) / Math.max(right - left, 1), (this.height - 2 * margin) / Math.max(high - low, 1));
    }

    fit() {
      this.k = this.kAll = this.fitting();
      this.cx = (this.ends[0][0] + this.ends[0][1]) / 2;
      this.cy = (this.ends[1][0] + this.ends[1][1]) / 2;
      this.found = -1;
      hideTip();
      this.draw();
    }

    zoom(by, px = this.width / 2, py = this.height / 2) {
      const k = Math.min(Math.max(this.k * by, this.kAll / 2), this.kAll * 400);
      this.cx += (px - this.width / 2) * (1 / this.k - 1 / k);
      this.cy -= (py - this.height / 2) * (1 / this.k - 1 / k);
      this.k = k;
      hideTip();
      this.draw();
    }

    move(dx, dy) {
      this.cx -= dx / this.k;
      this.cy += dy / this.k;
      hideTip();
      this.draw();
    }



    draw() {
      if (!this.width || this.waiting) return;
      this.waiting = requestAnimationFrame(() => {
        this.waiting = null;
        this.paint();
      });
    }

    // --- which card is where

    nearest(px, py, reach) {
      this.grid ??= this.buildGrid();
      const { starts, order } = this.grid;
      const dx = (px - this.width / 2) / this.k + this.cx;
      const dy = (this.height / 2 - py) / this.k + this.cy;
      const r = reach / this.k;
      const cell = (v) => Math.min(Math.max(Math.floor(v / 1024), 0), CELLS - 1);
      let best = -1;
      let least = r * r;
      for (let row = cell(dy - r); row <= cell(dy + r); row++) {
        for (let j = starts[row * CELLS + cell(dx - r)]; j < starts[row * CELLS + cell(dx + r) + 1]; j++) {
          const i = order[j];
          const d = (this.x[i] - dx) ** 2 + (this.y[i] - dy) ** 2;
          if (d < least && (this.group < 0 || this.codes[this.column][i] === this.group)) {
            best = i;
            least = d;
          }
        }
      }
      return best;
    }

    buildGrid() {
      const cells = new Uint16Array(this.n);
      for (let i = 0; i < this.n; i++) cells[i] = (this.y[i] >> 10) * CELLS + (this.x[i] >> 10);
      return sortedBy(cells, CELLS * CELLS);
    }

    cards() {
      return (this.unpacked ??= inflateBytes(this.figure.querySelector(".ids").textContent).then(
        (bytes) => (this.ids = unpackCards(bytes, this.n)),
      ));
    }

    about(i) {
      const groups = this.words.columns.map((column, k) => [column.label, column.groups[this.codes[k][i]].label]);
      return [["card", this.ids ? this.ids[i] : "…"], ...groups];
    }

    async hover(event) {
      const box = this.canvas.getBoundingClientRect();
      const i = this.nearest(event.clientX - box.left, event.clientY - box.top, REACH);
      if (i !== this.found) {
        this.found = i;
        this.said = "";
        this.draw();
      }
      if (i < 0) return hideTip();
      showTip(event, this.about(i));
      if (this.ids) return;
      await this.cards();
      if (this.found === i) showTip(event, this.about(i));
    }

    async read() {
      const i = this.nearest(this.width / 2, this.height / 2, Math.max(this.width, this.height));
      this.found = i;
      this.draw();
      if (i < 0) return;
      await this.cards();
      this.said = this.about(i).map(([key, value]) => `${key}: ${value}`).join("; ");
      this.status.textContent = `Nearest to the middle: ${this.said}`;
    }

    say() {
      if (this.found >= 0 && this.said) return;
      this.said = "";
      const all = this.words.names.length;
      const fit = this.labels.length < this.nNames ? `; ${this.labels.length} of ${this.nNames} names have room, enlarge for the others` : "";
      const shown = this.group < 0 ? "" : `; in colour: ${this.words.columns[this.column].groups[this.group].label}`;
      const text = `${count(this.n)} points${shown}${all ? fit : ""}.`;
      if (this.status.textContent !== text) this.status.textContent = text;
    }

    listen() {
      const { canvas } = this;
      let held = null;
      canvas.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        held = { x: event.clientX, y: event.clientY, moved: false };
        canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!held) return void this.hover(event);
        const dx = event.clientX - held.x;
        const dy = event.clientY - held.y;
        if (!held.moved && Math.hypot(dx, dy) < 4) return;
        held = { x: event.clientX, y: event.clientY, moved: true };
        canvas.classList.add("held");
        this.move(dx, dy);
      });
      const release = (event) => {
        if (held && !held.moved && event.type === "pointerup") void this.hover(event);
        held = null;
        canvas.classList.remove("held");
      };
      canvas.addEventListener("pointerup", release);
      canvas.addEventListener("pointercancel", release);
      canvas.addEventListener("pointerleave", () => {
        hideTip();
        if (this.said) return;
        this.found = -1;
        this.draw();
      });
      canvas.addEventListener("wheel", (event) => {
        // A reader who only scrolls past is not held up.
        if (!event.ctrlKey && document.activeElement !== canvas) return;
        event.preventDefault();
        const box = canvas.getBoundingClientRect();
        this.zoom(Math.exp(-Math.sign(event.deltaY) * 0.25), event.clientX - box.left, event.clientY - box.top);
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => this.press(event));
    }

    press(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = 60;
      const acts = new Map([
        ["ArrowLeft", () => this.move(step, 0)],
        ["ArrowRight", () => this.move(-step, 0)],
        ["ArrowUp", () => this.move(0, step)],
        ["ArrowDown", () => this.move(0, -step)],
        ["+", () => this.zoom(1.6)],
        ["=", () => this.zoom(1.6)],
        ["-", () => this.zoom(1 / 1.6)],
        ["0", () => this.fit()],
        ["Enter", () => void this.read()],
      ]);
      const act = acts.get(event.key);
      if (!act) return;
      event.preventDefault();
      this.said = "";
      act();
    }

    async saveData() {
      const ids = await this.cards();
      const { columns } = this.words;
      const rows = ids.map((id, i) => [
        id, this.x[i], this.y[i], ...columns.map((column, k) => column.groups[this.codes[k][i]].label),
      ]);
      saveCsv(toCsv(["card", "x", "y", ...columns.map((column) => column.name)], rows), fileName(this.figure.id, "csv"));
    }
  }

  // Tests wait for these promises.
  window.cardlabMaps = [...document.querySelectorAll("figure.map")].map(async (figure) => {
    try {
      const words = JSON.parse(figure.querySelector(".words").textContent);
      const bytes = await inflateBytes(figure.querySelector(".points").textContent);
      return new PointMap(figure, words, bytes);
    } catch (error) {
      figure.prepend(make("p", { className: "refused", textContent: `This map cannot be drawn: ${error.message}.` }));
      throw error;
    }
  });
})();
