// A map of points on a canvas, of any size: moved, enlarged, coloured by a choice of columns, with
// names, a search, and the card under the pointer. Text only ever becomes text nodes and strokes.
//
//   const map = await cardlabMap.create(root, data, { onselect });
//
// `data` is what PointMap.to_dict() gives. `onselect(indices)` hears what a reader ropes in (null:
// all). map.setColour(column), map.highlight(indices or null), map.cards() -> ids, map.dispose().
const cardlabMap = (() => {
  "use strict";
  const { inflateBytes, showTip, hideTip, toCsv, saveAs, saveCsv, fileName, about, make } = cardlab;
  const CELLS = 64; // of the grid in which the pointer looks for points, a side
  const REACH = 12; // pixels from the pointer to the card it finds
  const MOST_NAMES = 60;
  const HUB = "https://huggingface.co/";
  const HUB_ID = /^[A-Za-z0-9][\w.-]{0,95}(\/[A-Za-z0-9][\w.-]{0,95})?$/;
  const count = (n) => n.toLocaleString("en-US");
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  const unpack = (bytes, n, nColumns) => {
    const plane = (at) => Uint16Array.from({ length: n }, (_, i) => bytes[at + i] | (bytes[at + n + i] << 8));
    const codes = Array.from({ length: nColumns }, (_, k) => plane((4 + 2 * k) * n));
    return { x: plane(0), y: plane(2 * n), codes };
  };

  const ends = (values, some) => {
    let low = 65535;
    let high = 0;
    const look = (v) => {
      if (v < low) low = v;
      if (v > high) high = v;
    };
    if (some) for (const i of some) look(values[i]);
    else for (const v of values) look(v);
    return [low, high];
  };

  // How much of each pixel around its middle a disc covers, in 256ths, with the ink let through.
  const stamp = (radius, ink) => {
    const reach = Math.ceil(radius);
    const found = [];
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const share = Math.min(Math.max(radius + 0.5 - Math.hypot(dx, dy), 0), 1);
        if (share > 0.02) found.push({ dx, dy, alpha: Math.round(256 * share * ink) });
      }
    }
    return { reach, found };
  };

  class PointMap {
    constructor(root, data, bytes, onselect) {
      Object.assign(this, { root, data, onselect, n: data.n_points, column: 0, group: -1, found: -1, names: [] });
      Object.assign(this, unpack(bytes, this.n, data.columns.length));
      this.ends = [ends(this.x), ends(this.y)];
      this.stop = new AbortController();
      this.build();
      this.readColours();
      this.setColour(data.columns[0].name);
      this.watch();
      this.resize();
    }

    // --- what stands around the canvas

    build() {
      const { data, root } = this;
      const label = root.getAttribute("aria-label") || data.description;
      const help = make("p", {
        className: "help",
        id: `${root.id || "map"}-help`,
        textContent:
          "Drag to move; + and − or, after a click on the map, the wheel to enlarge. Keys: arrows move, + and − enlarge, " +
          "0 shows all, Enter opens the card in the middle, Escape closes it." +
          (this.onselect ? " Hold Shift and drag to rope points in." : ""),
      });
      this.canvas = make("canvas", { tabIndex: 0 });
      const said = { role: "application", "aria-roledescription": "map of points", "aria-label": label };
      for (const [name, value] of Object.entries({ ...said, "aria-describedby": help.id })) this.canvas.setAttribute(name, value);
      this.status = make("p", { className: "status", role: "status" });
      this.legend = make("ul", { className: "legend" });
      this.legend.setAttribute("aria-label", "Groups");
      this.card = make("div", { className: "card-of", hidden: true });
      this.card.setAttribute("aria-live", "polite");
      const line = (className) => (textContent) => make("p", { className, textContent, dir: "auto" });
      const head = [line("title")(data.title), ...data.subtitle.map(line("subtitle"))];
      const plane = make("div", { className: "plane" }, [this.canvas, this.card]);
      const body = [...head, this.controls(), plane, this.legend, this.status, help];
      const caption = root.querySelector("figcaption");
      if (caption) caption.before(...body);
      else root.append(...body);
      root.append(this.tools());
      this.listen();
    }

    button(text, label, act) {
      const made = make("button", { type: "button", textContent: text });
      if (label) made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
      return made;
    }

    controls() {
      const { columns } = this.data;
      const field = (text, control) => make("label", {}, [make("span", { textContent: text }), control]);
      this.by = make("select", { className: "by" }, columns.map((c) => make("option", { value: c.name, textContent: c.label })));
      this.by.addEventListener("change", () => this.setColour(this.by.value));
      this.query = make("input", { type: "search", className: "query", maxLength: 200 });
      let waiting = null;
      this.query.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => void this.search(), 150);
      });
      this.query.addEventListener("keydown", (event) => {
        if (event.key === "Enter") void this.search().then(() => this.marks && this.frame(this.marks));
      });
      const zoom = make("span", { className: "zoom" }, [
        this.button("+", "Enlarge", () => this.zoom(1.6)),
        this.button("−", "Make smaller", () => this.zoom(1 / 1.6)),
        this.button("Show all", "Show all of the map", () => this.fit()),
      ]);
      if (this.onselect) {
        this.rope = this.button("Lasso", "Rope points in by dragging", () => this.roping(this.rope.getAttribute("aria-pressed") !== "true"));
        zoom.prepend(this.rope);
        this.roping(false);
      }
      const by = field("Colour by", this.by);
      by.hidden = columns.length < 2;
      return make("div", { className: "controls" }, [by, field("Find", this.query), zoom]);
    }

    roping(on) {
      this.rope.setAttribute("aria-pressed", String(on));
    }

    tools() {
      return make("p", { className: "tools" }, [
        this.button("Download data", "", () => void this.saveData()),
        this.button("Download PNG", "", () => saveAs(this.printed().toDataURL("image/png"), fileName(this.root.id, "png"))),
      ]);
    }

    // What is drawn, beneath its title and above the corpus and the date.
    printed() {
      const { canvas, ratio } = this;
      const { corpus, day } = about(this.root);
      const line = 22 * ratio;
      const sheet = make("canvas", { width: canvas.width, height: canvas.height + 2 * line });
      const ctx = sheet.getContext("2d");
      const style = getComputedStyle(this.root);
      ctx.fillStyle = style.getPropertyValue("--card") || style.backgroundColor;
      ctx.fillRect(0, 0, sheet.width, sheet.height);
      ctx.drawImage(canvas, 0, line);
      ctx.fillStyle = style.color;
      ctx.textBaseline = "middle";
      const say = (text, font, y) => {
        ctx.font = `${font} ${13 * ratio}px system-ui, sans-serif`;
        ctx.fillText(text, 8 * ratio, y, sheet.width - 16 * ratio);
      };
      say(this.data.title, 600, line / 2);
      say([corpus, day, "cardlab"].filter(Boolean).join(" · "), 400, sheet.height - line / 2);
      return sheet;
    }

    setColour(name) {
      this.column = Math.max(this.data.columns.findIndex((column) => column.name === name), 0);
      const column = this.data.columns[this.column];
      this.by.value = column.name;
      // The groups that have no colour of their own are one line.
      const others = column.groups.filter((group) => group.color === "other");
      const lines = column.groups.map((group, g) => ({ ...group, g })).filter((group) => group.color !== "other");
      if (others.length) {
        const label = others.length > 1 ? `${others.length} others` : others[0].label;
        const place = lines.findIndex((group) => group.color === "missing");
        lines.splice(place < 0 ? lines.length : place, 0, { label, g: -2, n: others.reduce((n, o) => n + o.n, 0), color: "other" });
      }
      this.keys = lines.map(({ label, n, color, g }) => {
        const dot = make("span", { className: "dot" });
        dot.dataset.color = color;
        const text = [make("bdi", { textContent: label }), make("span", { className: "n", textContent: count(n) })];
        const key = make("button", { type: "button" }, [dot, ...text]);
        key.addEventListener("click", () => this.pick(this.group === g ? -1 : g));
        return { key, dot, g, color };
      });
      this.legend.replaceChildren(...this.keys.map(({ key }) => make("li", {}, [key])));
      this.pick(-1);
    }

    // A group by its number; -1: all; -2: those without a colour.
    pick(group) {
      this.group = group;
      for (const { key, dot, g, color } of this.keys) {
        key.setAttribute("aria-pressed", String(g === group));
        dot.style.background = this.colour(color);
      }
      this.legend.classList.toggle("picked", group !== -1);
      this.draw();
    }

    // The points in colour, the others pale: what a search found, or whoever shows this map.
    highlight(indices) {
      this.marks = indices && [...indices];
      this.marked = null;
      if (this.marks) {
        this.marked = new Uint8Array(this.n);
        for (const i of this.marks) this.marked[i] = 1;
      }
      this.draw();
    }

    async search() {
      const wanted = this.query.value.trim().toLowerCase();
      if (!wanted) return this.highlight(null);
      const ids = await this.cards();
      if (this.query.value.trim().toLowerCase() !== wanted) return;
      this.lower ??= ids.map((id) => id.toLowerCase());
      const has = this.data.columns.map((column) => column.groups.map((group) => group.label.toLowerCase().includes(wanted)));
      const found = [];
      for (let i = 0; i < this.n; i++) {
        if (this.lower[i].includes(wanted) || has.some((groups, k) => groups[this.codes[k][i]])) found.push(i);
      }
      this.highlight(found);
    }

    // --- colours, as the page has them

    readColours() {
      const style = getComputedStyle(this.root);
      const value = (name) => style.getPropertyValue(`--${name}`).trim();
      this.paper = value("card");
      this.ink = value("text");
      this.plain = { other: value("other"), missing: value("missing"), pale: value("pale") };
      const [r, g, b] = rgb(this.paper);
      this.isDark = 0.3 * r + 0.6 * g + 0.1 * b < 128;
    }

    // Colours that are made for white paper are lighter on a dark page.
    colour(name) {
      if (name in this.plain) return this.plain[name];
      if (!this.isDark) return name;
      const lighter = rgb(name).map((v) => Math.round(v + (255 - v) * 0.38).toString(16).padStart(2, "0"));
      return `#${lighter.join("")}`;
    }

    watch() {
      const again = () => {
        this.readColours();
        this.pick(this.group);
      };
      const { signal } = this.stop;
      this.seen = new ResizeObserver(() => this.resize());
      this.seen.observe(this.canvas.parentElement);
      this.themes = new MutationObserver(again);
      const theme = { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light"] };
      for (const node of [document.documentElement, document.body]) this.themes.observe(node, theme);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again, { signal });
      const print = (on) => () => {
        this.root.toggleAttribute("data-print", on);
        again();
        this.paint();
      };
      window.addEventListener("beforeprint", print(true), { signal });
      window.addEventListener("afterprint", print(false), { signal });
    }

    dispose() {
      this.stop.abort();
      this.seen.disconnect();
      this.themes.disconnect();
      this.root.replaceChildren();
    }

    // --- what is seen: data units to pixels

    resize() {
      const width = this.canvas.parentElement.clientWidth;
      if (!width || width === this.width) return;
      const before = this.width;
      this.width = width;
      this.height = Math.round(Math.min(Math.max(width * (this.canvas.closest(".clx") ? 0.4 : 0.72), Math.min(width, 420)), 620));
      this.ratio = Math.min(window.devicePixelRatio || 1, this.n > 20000 ? 2 : 3);
      this.canvas.style.height = this.height + "px";
      this.canvas.width = Math.round(this.width * this.ratio);
      this.canvas.height = Math.round(this.height * this.ratio);
      if (before && this.k !== this.kAll) {
        this.kAll = this.fitting(this.ends);
        this.draw();
      } else this.fit();
    }

    fitting([[left, right], [low, high]]) {
      const margin = 18;
      return Math.min((this.width - 2 * margin) / Math.max(right - left, 1), (this.height - 2 * margin) / Math.max(high - low, 1));
    }

    fit() {
      this.kAll = this.fitting(this.ends);
      this.frame(null);
    }

    // Show some points, or all.
    frame(some) {
      const box = some?.length ? [ends(this.x, some), ends(this.y, some)] : this.ends;
      this.k = Math.min(this.fitting(box), this.kAll * (some?.length ? 60 : 1));
      [this.cx, this.cy] = box.map(([low, high]) => (low + high) / 2);
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

    at(i) {
      return [(this.x[i] - this.cx) * this.k + this.width / 2, this.height / 2 - (this.y[i] - this.cy) * this.k];
    }

    draw() {
      if (!this.width || this.waiting) return;
      this.waiting = requestAnimationFrame(() => {
        this.waiting = null;
        this.paint();
      });
    }

    paint() {
      const ctx = this.canvas.getContext("2d");
      const room = Math.sqrt((this.width * this.height) / this.n);
      const r = Math.min(Math.max(0.4 * room, 0.8), 3.2) * Math.min((this.k / this.kAll) ** 0.4, 3);
      this.radius = Math.min(r, 6);
      this.paintPoints(ctx);
      ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      this.paintNames(ctx);
      if (this.found >= 0) this.paintRing(ctx, this.found);
      if (this.line) this.paintLine(ctx);
      this.say();
    }

    // Pixels mixed by hand: some ten times as fast as as many paths. A margin of the picture takes
    // what reaches over its edge.
    paintPoints(ctx) {
      const { width, height } = this.canvas;
      const { reach, found } = stamp(this.radius * this.ratio, this.radius < 1.5 || this.n > 20000 ? 1 : 0.8);
      const across = width + 2 * reach;
      if (this.picture?.width !== across || this.picture.height !== height + 2 * reach) {
        this.picture = ctx.createImageData(across, height + 2 * reach);
      }
      const pixels = new Uint32Array(this.picture.data.buffer);
      const little = (hex) => rgb(hex).reduceRight((sum, v) => (sum << 8) | v, 0);
      pixels.fill(0xff000000 | little(this.paper));
      const { codes, marked, group } = this;
      const code = codes[this.column];
      const { groups } = this.data.columns[this.column];
      const picked = groups.map((one, g) => group === -1 || g === group || (group === -2 && one.color === "other"));
      const inColour = groups.map((one) => little(this.colour(one.color)));
      const pale = little(this.plain.pale);
      const k = this.k * this.ratio;
      const left = width / 2 - this.cx * k + reach;
      const top = height / 2 + this.cy * k + reach;
      const [full, part] = [found.filter(({ alpha }) => alpha === 256), found.filter(({ alpha }) => alpha < 256)];
      const [solid, steps] = [full, part].map((some) => Int32Array.from(some, ({ dx, dy }) => dy * across + dx));
      const alphas = Int32Array.from(part, ({ alpha }) => alpha);
      const [nSolid, nSteps] = [solid.length, steps.length];
      // In the order of the points: drawn group by group, the last one would hide the others.
      const rounds = group !== -1 || marked ? [false, true] : [true];
      for (const isRound of rounds) {
        for (let i = 0; i < this.n; i++) {
          const g = code[i];
          if ((picked[g] && (!marked || marked[i] === 1)) !== isRound) continue;
          const px = Math.round(this.x[i] * k + left);
          const py = Math.round(top - this.y[i] * k);
          if (px < reach || py < reach || px >= across - reach || py >= height + reach) continue;
          const color = isRound ? inColour[g] : pale;
          const outer = color & 0xff00ff;
          const green = color & 0xff00;
          const at = py * across + px;
          for (let j = 0; j < nSolid; j++) pixels[at + solid[j]] = 0xff000000 | color;
          for (let j = 0; j < nSteps; j++) {
            const a = alphas[j];
            const under = pixels[at + steps[j]];
            const mixed = ((Math.imul(outer, a) + Math.imul(under & 0xff00ff, 256 - a)) >>> 8) & 0xff00ff;
            pixels[at + steps[j]] = 0xff000000 | mixed | (((green * a + (under & 0xff00) * (256 - a)) >>> 8) & 0xff00);
          }
        }
      }
      ctx.putImageData(this.picture, -reach, -reach);
    }

    // The names of what is coloured; on zooming in those of finer layers, and of groups without a
    // colour. The largest first; a name goes where no other stands, or waits until there is room.
    paintNames(ctx) {
      const { columns } = this.data;
      const near = this.k / this.kAll;
      const own = columns[this.column];
      const level = (name) => {
        const column = columns[name.column];
        if (name.column === this.column) return column.groups[name.group].color === "other" && near < 2 ? -1 : 0;
        if (own.layer === null || column.layer === null || column.layer <= own.layer) return -1;
        return near >= 1.8 * 1.7 ** (column.layer - own.layer - 1) ? column.layer - own.layer : -1;
      };
      const wanted = this.data.names.map((name) => ({ ...name, level: level(name) })).filter((name) => name.level >= 0);
      wanted.sort((a, b) => a.level - b.level);
      ctx.textBaseline = "middle";
      ctx.lineJoin = "round";
      this.names = [];
      this.nNames = 0;
      const letters = new Set();
      for (const name of wanted) {
        const [x, y] = this.at(name.point);
        if (x < 0 || y < 0 || x > this.width || y > this.height || letters.has(name.text)) continue;
        this.nNames += 1;
        if (this.names.length === MOST_NAMES) continue;
        const size = (this.width < 500 ? 11 : 12.5) - (name.level ? 1 : 0);
        const font = `${name.level ? 500 : 650} ${size}px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif`;
        ctx.font = font;
        const w = ctx.measureText(name.text).width + 6;
        const spot = this.spot(x, y, w, size * 1.35);
        if (!spot) continue;
        letters.add(name.text);
        this.names.push({ ...name, font, x, y, w, h: size * 1.35, left: spot[0], top: spot[1] });
      }
      ctx.strokeStyle = this.ink;
      ctx.lineWidth = 0.8;
      ctx.beginPath();
      for (const { x, y, left, top, w, h } of this.names) {
        ctx.moveTo(x, y);
        ctx.lineTo(left + w / 2, top + h / 2);
      }
      ctx.stroke();
      for (const { text, font, left, top, h, group, column } of this.names) {
        const isPale = this.group >= 0 && column === this.column && group !== this.group;
        ctx.font = font;
        ctx.strokeStyle = this.paper;
        ctx.lineWidth = 3.5;
        ctx.strokeText(text, left + 3, top + h / 2);
        ctx.fillStyle = isPale ? this.plain.other : this.ink;
        ctx.fillText(text, left + 3, top + h / 2);
      }
    }

    spot(x, y, w, h) {
      const free = (left, top) =>
        left >= 0 && top >= 0 && left + w <= this.width && top + h <= this.height &&
        !this.names.some((o) => left < o.left + o.w && o.left < left + w && top < o.top + o.h && o.top < top + h);
      if (free(x - w / 2, y - h / 2)) return [x - w / 2, y - h / 2];
      for (let distance = 8; distance <= 72; distance += 8) {
        for (let step = 0; step < 12; step++) {
          const angle = (Math.PI * (step + 3)) / 6;
          const left = x - w / 2 + distance * 1.6 * Math.cos(angle);
          const top = y - h / 2 + distance * Math.sin(angle);
          if (free(left, top)) return [left, top];
        }
      }
      return null;
    }

    paintRing(ctx, i) {
      const [x, y] = this.at(i);
      ctx.lineWidth = 2;
      for (const [color, r] of [[this.paper, this.radius + 5.5], [this.ink, this.radius + 4]]) {
        ctx.strokeStyle = color;
        ctx.beginPath();
        ctx.arc(x, y, r, 0, 2 * Math.PI);
        ctx.stroke();
      }
    }

    paintLine(ctx) {
      ctx.strokeStyle = this.ink;
      ctx.lineWidth = 1.5;
      ctx.stroke(this.path());
    }

    path() {
      const path = new Path2D();
      for (const [x, y] of this.line) path.lineTo(x, y);
      path.closePath();
      return path;
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
          const isPale = this.group >= 0 && this.codes[this.column][i] !== this.group;
          if (d < least && !isPale && (!this.marked || this.marked[i])) {
            best = i;
            least = d;
          }
        }
      }
      return best;
    }

    // The points of each cell, one after another.
    buildGrid() {
      const starts = new Uint32Array(CELLS * CELLS + 1);
      const cell = (i) => (this.y[i] >> 10) * CELLS + (this.x[i] >> 10);
      for (let i = 0; i < this.n; i++) starts[cell(i) + 1] += 1;
      for (let c = 0; c < CELLS * CELLS; c++) starts[c + 1] += starts[c];
      const next = starts.slice();
      const order = new Uint32Array(this.n);
      for (let i = 0; i < this.n; i++) order[next[cell(i)]++] = i;
      return { starts, order };
    }

    // Ids stand in their order, each without the letters that it shares with the one before.
    cards() {
      return (this.unpacked ??= inflateBytes(this.data.cards).then((bytes) => {
        const rest = new TextDecoder().decode(bytes.subarray(this.n)).split("\n");
        let last = "";
        return (this.ids = rest.map((part, i) => (last = last.slice(0, bytes[i]) + part)));
      }));
    }

    about(i) {
      const groups = this.data.columns.map((column, k) => [column.label, column.groups[this.codes[k][i]].label]);
      return [["card", this.ids ? this.ids[i] : "…"], ...groups];
    }

    async hover(event) {
      const box = this.canvas.getBoundingClientRect();
      const i = this.nearest(event.clientX - box.left, event.clientY - box.top, REACH);
      if (i !== this.found) {
        this.found = i;
        this.draw();
      }
      if (i < 0) return hideTip();
      showTip(event, this.about(i));
      if (this.ids) return;
      await this.cards();
      if (this.found === i) showTip(event, this.about(i));
    }

    // The facts of a card, and its page on the Hub where its id can be one.
    async open(i) {
      this.found = i;
      this.card.hidden = i < 0;
      this.draw();
      if (i < 0) return;
      const id = (await this.cards())[i];
      const isHub = HUB_ID.test(id) && !/--|\.\./.test(id);
      const name = isHub ? make("a", { href: HUB + (cardlab.about(this.root).hub ?? "") + id, target: "_blank", rel: "noopener noreferrer", textContent: id }) : make("bdi", { textContent: id });
      const facts = this.about(i).slice(1).flatMap(([key, value]) => [make("dt", { textContent: key }), make("dd", { textContent: value, dir: "auto" })]);
      const close = this.button("×", "Close", () => void this.open(-1));
      this.card.replaceChildren(close, make("p", {}, [name]), make("dl", {}, facts));
      this.card.hidden = this.found !== i;
      hideTip();
    }

    say() {
      const fit = this.names.length < this.nNames ? `; ${this.names.length} of ${this.nNames} names have room, enlarge for the others` : "";
      const column = this.data.columns[this.column];
      const shown = this.group >= 0 ? `; in colour: ${column.groups[this.group].label}` : "";
      const found = this.marks ? `; ${count(this.marks.length)} of them marked` : "";
      const text = `${count(this.n)} points${found}${shown}${fit}.`;
      if (this.status.textContent !== text) this.status.textContent = text;
    }

    listen() {
      const { canvas } = this;
      const held = new Map(); // of each finger or mouse, where it is
      let moved = false;
      const here = (event) => {
        const box = canvas.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
      };
      canvas.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        held.set(event.pointerId, here(event));
        moved = held.size > 1;
        const ropes = this.onselect && (event.shiftKey || this.rope.getAttribute("aria-pressed") === "true");
        this.line = ropes && held.size === 1 ? [here(event)] : null;
        canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => {
        const last = held.get(event.pointerId);
        if (!last) return void this.hover(event);
        const [x, y] = here(event);
        if (!moved && Math.hypot(x - last[0], y - last[1]) < 4) return;
        moved = true;
        canvas.classList.add("held");
        if (this.line) {
          this.line.push([x, y]);
          return this.draw();
        }
        const other = [...held].find(([pointer]) => pointer !== event.pointerId)?.[1];
        if (other) {
          const [was, is] = [last, [x, y]].map(([a, b]) => Math.hypot(a - other[0], b - other[1]));
          this.zoom(is / Math.max(was, 1), (x + other[0]) / 2, (y + other[1]) / 2);
        } else this.move(x - last[0], y - last[1]);
        held.set(event.pointerId, [x, y]);
      });
      const release = (event) => {
        const wasHeld = held.delete(event.pointerId);
        if (this.line) this.lasso();
        else if (wasHeld && !moved && event.type === "pointerup") void this.open(this.nearest(...here(event), REACH));
        canvas.classList.remove("held");
      };
      canvas.addEventListener("pointerup", release);
      canvas.addEventListener("pointercancel", release);
      canvas.addEventListener("pointerleave", () => {
        hideTip();
        if (!this.card.hidden) return;
        this.found = -1;
        this.draw();
      });
      canvas.addEventListener("wheel", (event) => {
        // A reader who only scrolls past is not held up.
        if (!event.ctrlKey && document.activeElement !== canvas) return;
        event.preventDefault();
        this.zoom(Math.exp(-Math.sign(event.deltaY) * 0.25), ...here(event));
      }, { passive: false });
      this.root.addEventListener("keydown", (event) => this.press(event));
    }

    lasso() {
      const [path, ctx] = [this.path(), document.createElement("canvas").getContext("2d")];
      const isRope = this.line.length > 2;
      this.line = null;
      const found = [];
      for (let i = 0; isRope && i < this.n; i++) if (ctx.isPointInPath(path, ...this.at(i))) found.push(i);
      this.highlight(isRope ? found : null);
      this.onselect(isRope ? found : null);
    }

    press(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = 60;
      const onCanvas = {
        ArrowLeft: () => this.move(step, 0),
        ArrowRight: () => this.move(-step, 0),
        ArrowUp: () => this.move(0, step),
        ArrowDown: () => this.move(0, -step),
        "+": () => this.zoom(1.6),
        "=": () => this.zoom(1.6),
        "-": () => this.zoom(1 / 1.6),
        0: () => this.fit(),
        Enter: () => void this.open(this.nearest(this.width / 2, this.height / 2, Math.max(this.width, this.height))),
      };
      const act = event.key === "Escape" ? () => void this.open(-1) : event.target === this.canvas && onCanvas[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    }

    async saveData() {
      const ids = await this.cards();
      const { columns } = this.data;
      const rows = ids.map((id, i) => [id, this.x[i], this.y[i], ...columns.map((column, k) => column.groups[this.codes[k][i]].label)]);
      saveCsv(toCsv(["card", "x", "y", ...columns.map((column) => column.name)], rows), fileName(this.root.id, "csv"));
    }
  }

  const create = async (root, data, { onselect = null } = {}) => new PointMap(root, data, await inflateBytes(data.points), onselect);
  return { create };
})();
