// The parts of an explorer. Each has a node, is drawn from its part of a view, and asks for what
// it lacks; all of it by controls that a keyboard reaches.
const cardlabPanels = (() => {
  "use strict";
  const make = (tag, properties = {}, children = []) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };
  const aria = (node, values) => {
    for (const [name, value] of Object.entries(values)) node.setAttribute(`aria-${name}`, value);
    return node;
  };
  const withRole = (role, properties = {}, children = []) => {
    const node = make("div", properties, children);
    node.setAttribute("role", role);
    return node;
  };
  const whole = new Intl.NumberFormat("en-US"); // kept: making one takes longer than all that it writes
  const compact = new Intl.NumberFormat("en-US", { notation: "compact" });
  const number = (n) => whole.format(Number(n));
  const short = (n) => (typeof n === "number" ? compact.format(n) : String(n).slice(0, 7));
  const choice = (text, control) => make("label", { className: "clx-choice" }, [make("span", { textContent: text }), control]);
  const options = (pairs) => pairs.map(([value, textContent]) => make("option", { value, textContent }));
  const select = (act) => {
    const node = make("select");
    node.addEventListener("change", () => act(node.value));
    return node;
  };
  // Leaves nodes that are the same where they are: moved, they would lose the focus.
  const replace = (parent, nodes) => {
    const same = nodes.length === parent.children.length && nodes.every((node, i) => node === parent.children[i]);
    if (!same) parent.replaceChildren(...nodes);
  };
  // What was typed counts when the field is left and at Enter, of which not every page tells a field.
  const typed = (input, act) => {
    let last = input.value;
    const now = () => {
      if (input.value !== last) act(input.value);
      last = input.value;
    };
    input.addEventListener("focus", () => (last = input.value));
    input.addEventListener("change", now);
    input.addEventListener("keydown", (event) => event.key === "Enter" && now());
  };
  const heading = (text) => make("h3", { className: "clx-heading", textContent: text });

  // ---- a column: its values with bars, or its bins with a brush

  class Values {
    constructor(explorer, found, op) {
      this.explorer = explorer;
      this.column = found.column;
      this.op = op ?? (found.column === "tags" ? "all" : "any");
      this.rows = make("div", { className: "clx-values" });
      this.all = false;
      this.more = make("button", { type: "button", className: "clx-more" });
      this.more.addEventListener("click", () => {
        this.all = !this.all;
        this.draw(this.found);
      });
      const list = make("datalist", { id: `${explorer.key}-${found.column}` });
      this.entry = make("input", { type: "text", placeholder: "another value" });
      aria(this.entry, { label: `${found.label}: another value` });
      this.entry.setAttribute("list", list.id);
      typed(this.entry, (value) => {
        this.entry.value = "";
        if (value.trim()) this.toggle(value.trim(), true);
      });
      this.list = list;
      this.boxes = new Map();
      this.node = make("fieldset", { className: "clx-facet" }, [
        make("legend", { textContent: found.label }), this.rows, this.more, this.entry, list,
      ]);
    }

    chosen() {
      return new Set(this.explorer.asks(this.column, this.op) ?? []);
    }

    toggle(value, on) {
      const chosen = this.chosen();
      if (on) chosen.add(value);
      else chosen.delete(value);
      this.explorer.where(this.column, this.op, chosen.size ? [...chosen] : null);
    }

    draw(found) {
      this.found = found;
      const chosen = this.chosen();
      const most = Math.max(...found.of, 1);
      const seen = found.values.map((value, i) => i).filter((i) => found.of[i]);
      const first = this.all ? seen : seen.filter((i, k) => k < 7 || chosen.has(found.values[i]));
      replace(this.rows, first.map((i) => {
        const box = this.box(found.values[i], found.words[i]);
        box.input.checked = chosen.has(found.values[i]);
        box.bar.style.setProperty("--of", `${(100 * found.of[i]) / most}%`);
        box.bar.style.setProperty("--n", `${(100 * found.n[i]) / most}%`);
        box.n.textContent = number(found.n[i]);
        return box.node;
      }));
      const rest = seen.length - first.length;
      this.more.hidden = seen.length <= 7;
      this.more.textContent = this.all ? "Show fewer" : `Show ${rest} more`;
      this.entry.hidden = found.n_distinct <= 7 || this.op === "section";
      if (!this.list.childElementCount && !this.entry.hidden) {
        this.list.append(...options(found.values.filter((v) => v !== null).map((value) => [value, ""])));
      }
    }

    // Boxes stay the same nodes, so that the focus stays where it is.
    box(value, word) {
      if (!this.boxes.has(value)) {
        const input = make("input", { type: "checkbox" });
        input.addEventListener("change", () => this.toggle(value, input.checked));
        const bar = make("span", { className: "clx-bar" });
        const n = make("span", { className: "clx-n" });
        const name = word === null ? make("em", { textContent: "none" }) : make("bdi", { textContent: word });
        const node = make("label", { className: "clx-value", title: word ?? "cards without any" }, [input, bar, name, n]);
        this.boxes.set(value, { input, bar, n, node });
      }
      return this.boxes.get(value);
    }
  }

  class Sections extends Values {
    constructor(explorer, found) {
      super(explorer, found, "section");
    }

    toggle(value, on) {
      const others = (one) => one.op !== "section" || one.value !== value;
      const added = on ? [{ column: "section", op: "section", value }] : [];
      this.explorer.set(({ conditions }) => ({ conditions: [...conditions.filter(others), ...added] }));
    }

    chosen() {
      return new Set(this.explorer.state.conditions.filter((one) => one.op === "section").map((one) => one.value));
    }
  }

  class Bins {
    constructor(explorer, found) {
      this.explorer = explorer;
      this.column = found.column;
      this.canvas = aria(make("canvas", { className: "clx-bins" }), { hidden: "true" });
      const end = (text) => aria(select(() => this.choose()), { label: `${found.label}: ${text}` });
      this.from = end("from");
      this.to = end("to, not included");
      this.none = make("p", { className: "clx-help" });
      this.node = make("fieldset", { className: "clx-facet" }, [
        make("legend", { textContent: found.label }), this.canvas,
        make("div", { className: "clx-ends" }, [choice("from", this.from), choice("to below", this.to)]),
        this.none,
      ]);
      this.brush();
      // Sizes and colours are kept: to ask for them makes a browser lay out all that has changed.
      new ResizeObserver(([{ contentRect }]) => {
        this.size = [contentRect.width, contentRect.height];
        if (this.found) this.paint();
      }).observe(this.canvas);
    }

    choose() {
      const end = (node) => (node.value === "" ? null : this.found.values[Number(node.value)]);
      const range = [end(this.from), end(this.to)];
      this.explorer.where(this.column, "between", range.every((v) => v === null) ? null : range);
    }

    draw(found) {
      const { values } = found;
      if (this.from.options.length !== values.length + 1) {
        for (const node of [this.from, this.to]) {
          const ends = values.map((v, i) => [i, typeof v === "number" ? number(v) : v.slice(0, 7)]);
          node.replaceChildren(...options([["", "…"], ...ends]));
        }
      }
      this.found = found;
      const range = this.explorer.asks(this.column, "between");
      const place = (v) => (v === null || v === undefined ? "" : String(values.indexOf(v)));
      this.from.value = place(range?.[0]);
      this.to.value = place(range?.[1]);
      this.none.textContent = values.length ? "" : "No card has one.";
      this.paint();
    }

    paint() {
      const { canvas, found } = this;
      const ratio = Math.min(window.devicePixelRatio || 1, 2);
      const [width, height] = this.size ?? [0, 0];
      if (!width || !height) return;
      const { pale, mark } = this.explorer.colors;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      const ctx = canvas.getContext("2d");
      ctx.scale(ratio, ratio);
      const n = found.n.length;
      const most = Math.max(...found.of, 1);
      const step = width / Math.max(n, 1);
      const range = this.held ?? this.explorer.asks(this.column, "between");
      const at = (v, otherwise) => (v === null || v === undefined ? otherwise : found.values.indexOf(v));
      const [low, high] = this.held ?? [at(range?.[0], 0), at(range?.[1], n)];
      const bars = (counts, color, fits) => {
        ctx.fillStyle = color;
        counts.forEach((c, i) => {
          const h = c ? Math.max((Math.sqrt(c / most)) * (height - 2), 1.5) : 0;
          if (fits(i)) ctx.fillRect(i * step + 0.5, height - h, Math.max(step - 1, 0.5), h);
        });
      };
      bars(found.of, pale, () => true);
      bars(found.n, mark, (i) => i >= low && i < high);
      if (range) {
        ctx.strokeStyle = mark;
        ctx.strokeRect(low * step + 0.5, 0.5, Math.max((high - low) * step - 1, 1), height - 1);
      }
    }

    brush() {
      const { canvas } = this;
      let start = null;
      const bin = (event) => {
        const box = canvas.getBoundingClientRect();
        const n = this.found.n.length;
        return Math.min(Math.max(Math.floor(((event.clientX - box.left) / box.width) * n), 0), n - 1);
      };
      canvas.addEventListener("pointerdown", (event) => {
        if (event.button || !this.found?.n.length) return;
        start = bin(event);
        canvas.setPointerCapture(event.pointerId);
        this.held = [start, start + 1];
        this.paint();
      });
      canvas.addEventListener("pointermove", (event) => {
        if (start === null) return;
        const now = bin(event);
        this.held = [Math.min(start, now), Math.max(start, now) + 1];
        this.send();
        this.paint();
      });
      const release = () => {
        if (start !== null) this.send();
        start = this.held = null;
      };
      canvas.addEventListener("pointerup", release);
      canvas.addEventListener("pointercancel", release);
      canvas.addEventListener("dblclick", () => this.explorer.where(this.column, "between", null));
    }

    send() {
      const [low, high] = this.held.map((i) => this.found.values[i]);
      const now = this.explorer.asks(this.column, "between");
      if (now?.[0] !== low || now?.[1] !== high) this.explorer.where(this.column, "between", [low, high]);
    }
  }

  class Facets {
    constructor(explorer) {
      this.explorer = explorer;
      this.made = new Map();
      this.node = make("div", { className: "clx-facets" });
    }

    draw(part) {
      this.part = part;
      for (const found of part.columns) {
        if (!this.made.has(found.column)) {
          const wait = make("fieldset", { className: "clx-facet" }, [
            make("legend", { textContent: found.label }), make("p", { className: "clx-help", textContent: "reading …" }),
          ]);
          this.made.set(found.column, { node: wait, draw() {}, waits: true });
          this.node.append(wait);
        }
        if (this.made.get(found.column).waits && found.kind !== "none") {
          const column = new (found.kind === "bins" ? Bins : Values)(this.explorer, found);
          this.made.get(found.column).node.replaceWith(column.node);
          this.made.set(found.column, column);
        }
        this.made.get(found.column).draw(found);
      }
    }

    wants() {
      return this.part?.columns.find((found) => found.kind === "none")?.column;
    }
  }

  // ---- the list of all cards that are left, and the card that is read

  const ROW = 30;
  const TALLEST = 12_000_000; // pixels: browsers draw nothing below some thirty millions
  const KEPT = new Set("p h1 h2 h3 h4 h5 h6 ul ol li pre code em strong b i del blockquote hr br sub sup kbd dl dt dd details summary".split(" "));

  // A card's tables are parts of its text: a page counts, sorts and prints only its own.
  const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", th: "columnheader", td: "cell" };

  // Rebuilds cleaned HTML from a short list of elements without attributes: whatever it was made
  // from, nothing of it can act, load or lead away. What is no element of the list is its text.
  const grown = (html, into) => {
    const walk = (from, to) => {
      for (const node of from.childNodes) {
        if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        const name = node.localName;
        if (name === "script" || name === "style") continue;
        let place = to;
        if (KEPT.has(name)) to.append((place = document.createElement(/^h[1-6]$/.test(name) ? "h4" : name)));
        else if (name in ROLES) to.append((place = withRole(ROLES[name])));
        else if (name === "a") to.append((place = make("span", { className: "clx-link", title: node.getAttribute("href") ?? "" })));
        else if (name === "img") to.append(`[picture${node.alt ? `: ${node.alt}` : ""}]`);
        walk(node, place);
        if (name === "div" || name === "section") to.append(" ");
      }
    };
    walk(new DOMParser().parseFromString(html, "text/html").body, into);
    return into;
  };

  class Cards {
    constructor(explorer) {
      this.explorer = explorer;
      this.pages = new Map();
      this.active = -1;
      const search = (text, column, op) => {
        const input = make("input", { type: "search" });
        typed(input, (value) => explorer.where(column, op, value.trim() || null));
        return input;
      };
      this.query = search("search", "id", "search");
      this.part = search("id", "id", "contains");
      this.sort = select((sort) => explorer.set({ sort }));
      this.list = withRole("listbox", { className: "clx-list", tabIndex: 0, id: `${explorer.key}-list` });
      aria(this.list, { label: "Cards that are left" });
      this.inner = make("div", { className: "clx-inner" });
      this.list.append(this.inner);
      this.card = make("article", { className: "clx-card cardlab-card", tabIndex: 0 });
      aria(this.card, { label: "The card", live: "polite" });
      this.queryChoice = choice("Search", this.query);
      this.node = make("div", { className: "clx-cards" }, [
        make("div", { className: "clx-controls" }, [this.queryChoice, choice("Id contains", this.part), choice("Order", this.sort)]),
        make("div", { className: "clx-read" }, [this.list, this.card]),
      ]);
      this.list.addEventListener("scroll", () => this.scrolled());
      this.list.addEventListener("keydown", (event) => this.press(event));
      this.list.addEventListener("click", (event) => {
        const row = event.target.closest("[data-place]");
        if (row) this.choose(Number(row.dataset.place));
      });
      new ResizeObserver(() => this.view && this.paint()).observe(this.list);
    }

    draw(part, view) {
      const { explorer } = this;
      const key = JSON.stringify([view.state.conditions, view.state.sort, view.searching]);
      this.view = view;
      if (this.sort.options.length !== view.sorts.length) {
        this.sort.replaceChildren(...options(view.sorts.map((name) => [name, name])));
      }
      this.sort.value = view.state.sort;
      for (const [input, op] of [[this.query, "search"], [this.part, "contains"]]) {
        if (document.activeElement !== input) input.value = explorer.asks("id", op) ?? "";
      }
      this.queryChoice.hidden = Boolean(explorer.model.isLocal);
      const moved = key !== this.key;
      if (moved) {
        this.key = key;
        this.pages.clear();
        this.list.scrollTop = 0;
        this.active = part.place;
      }
      view.rows.rows.forEach((row, i) => this.pages.set(i, row));
      this.n = view.selected;
      this.height = Math.min(this.n * ROW, TALLEST);
      this.inner.style.height = `${this.height}px`;
      if (part.open !== null && part.open !== this.told && part.open !== this.asked) this.fetch(part.open);
      this.told = part.open;
      this.paint();
      if (!this.n) this.card.replaceChildren(make("em", { textContent: "No card fits." }));
      else if (moved && part.place < 0) this.choose(0);
    }

    // Where a long list is taller than a browser draws, a pixel stands for several.
    top() {
      const seen = this.list.clientHeight;
      const room = this.n * ROW - seen;
      return this.height - seen > 0 && room > 0 ? (this.list.scrollTop / (this.height - seen)) * room : 0;
    }

    paint() {
      const seen = this.list.clientHeight || 300;
      const top = this.top();
      const first = Math.max(Math.floor(top / ROW) - 4, 0);
      const last = Math.min(Math.ceil((top + seen) / ROW) + 4, this.n);
      const rows = [];
      let lacks = -1;
      for (let place = first; place < last; place++) {
        const cells = this.pages.get(place);
        if (!cells && lacks < 0) lacks = place;
        const row = withRole("option", { className: "clx-row", id: `${this.list.id}-${place}` }, [
          make("bdi", { textContent: cells ? cells[1] : "…" }),
          ...(cells ? cells.slice(2) : []).map((value) => make("span", { textContent: typeof value === "number" ? short(value) : (value ?? "") })),
        ]);
        row.dataset.place = place;
        aria(row, { selected: String(place === this.active), posinset: place + 1, setsize: this.n });
        row.style.top = `${this.list.scrollTop + place * ROW - top}px`;
        rows.push(row);
      }
      this.inner.replaceChildren(...rows);
      if (this.active >= first && this.active < last) this.list.setAttribute("aria-activedescendant", `${this.list.id}-${this.active}`);
      else this.list.removeAttribute("aria-activedescendant");
      if (lacks >= 0) this.request(lacks);
    }

    scrolled() {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.paint());
    }

    request(start) {
      if (this.requested === start && performance.now() - this.when < 3000) return;
      this.requested = start;
      this.when = performance.now();
      this.explorer.model.send({ type: "rows", start: Math.max(start - 20, 0), stop: start + 100, seq: this.explorer.view.seq });
    }

    receive(message) {
      if (message.type === "rows" && message.seq === this.explorer.view.seq) {
        message.rows.forEach((row, i) => this.pages.set(message.start + i, row));
        if (this.pages.size > 5000) this.pages = new Map([...this.pages].slice(-2000));
        this.requested = -1;
        this.paint();
        if (this.pending >= 0 && this.pages.has(this.pending)) this.choose(this.pending);
      } else if (message.type === "card") this.read(message.card);
      else if (message.type === "problems") this.tell(message);
    }

    press(event) {
      const page = Math.max(Math.floor(this.list.clientHeight / ROW) - 1, 1);
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
      if (event.key === "Enter") this.card.focus();
      else if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
      else this.choose(Math.min(Math.max(Math.max(this.active, 0) + steps[event.key], 0), this.n - 1));
      event.preventDefault();
    }

    choose(place) {
      if (place < 0 || place >= this.n) return;
      this.active = place;
      const seen = this.list.clientHeight;
      const top = this.top();
      const room = this.n * ROW - seen;
      const to = place * ROW < top ? place * ROW : (place + 1) * ROW > top + seen ? (place + 1) * ROW - seen : null;
      if (to !== null && room > 0) this.list.scrollTop = (to / room) * (this.height - seen);
      this.pending = this.pages.has(place) ? -1 : place;
      this.paint();
      if (this.pending < 0) this.fetch(this.pages.get(place)[0]);
    }

    // One card after another is asked for; where a key is held down, those between are left out.
    fetch(row) {
      this.asked = row;
      if (this.out !== undefined && performance.now() - this.since < 20_000) return;
      this.out = row;
      this.since = performance.now();
      this.explorer.model.send({ type: "card", row });
    }

    read(card) {
      const isLast = card.row === this.out;
      if (isLast) this.out = undefined;
      if (card.row !== this.asked) return void (isLast && this.fetch(this.asked));
      const facts = make("dl", { className: "clx-facts" }, card.facts.flatMap(([name, value]) => [
        make("dt", { textContent: name.replaceAll("_", " ") }), make("dd", {}, [make("bdi", { textContent: value })]),
      ]));
      const tags = make("p", { className: "clx-tags" }, card.tags.map((tag) => make("bdi", { textContent: tag })));
      this.wrong = make("div");
      const body = make("div", { className: "clx-body", dir: "auto" });
      if (card.html === null) body.append(make("em", { textContent: "no text in this corpus" }));
      else grown(card.html, body);
      if (card.more) body.append(make("p", { className: "clx-help", textContent: `… ${number(card.more)} more characters` }));
      this.card.replaceChildren(
        make("h3", {}, [make("bdi", { textContent: card.id })]), facts, ...(card.tags.length ? [tags] : []),
        this.wrong, body,
      );
      this.card.scrollTop = 0;
      this.card.dataset.row = card.row;
      // They take a kernel longer than all else of a card: only where a reader stays are they asked for.
      clearTimeout(this.stays);
      this.stays = setTimeout(() => card.row === this.asked && this.explorer.model.send({ type: "problems", row: card.row }), 400);
    }

    tell({ row, problems }) {
      if (row !== this.asked || !problems.length) return;
      const wrong = problems.map((text) => make("li", { textContent: text }));
      this.wrong.replaceChildren(make("p", { className: "clx-wrong", textContent: "Problems" }), make("ul", { className: "clx-wrong" }, wrong));
    }
  }

  // ---- pairs of tags: a table of shades, and the pairs that go together most

  class Pairs {
    constructor(explorer) {
      this.explorer = explorer;
      this.measure = select((measure) => explorer.set({ measure }));
      this.support = make("input", { type: "number", min: 1, step: 1 });
      typed(this.support, (value) => explorer.set({ support: Math.max(Math.round(Number(value)) || 1, 1) }));
      this.kinds = make("details", { className: "clx-kinds" }, [make("summary", { textContent: "Kinds of tags" })]);
      this.grid = aria(withRole("grid", { className: "clx-grid" }), { label: "Pairs of tags" });
      this.list = make("ol", { className: "clx-ranked" });
      this.note = make("p", { className: "clx-help" });
      this.at = [1, 0];
      this.node = make("div", { className: "clx-pairs" }, [
        heading("Tags on the same cards"),
        make("div", { className: "clx-controls" }, [choice("Measure", this.measure), choice("On at least (cards)", this.support), this.kinds]),
        this.note,
        make("div", { className: "clx-both" }, [make("div", { className: "clx-wide" }, [this.grid]), this.list]),
      ]);
      this.grid.addEventListener("keydown", (event) => this.press(event));
      this.grid.addEventListener("click", (event) => {
        const cell = event.target.closest("[data-i]");
        if (cell) this.pick(Number(cell.dataset.i), Number(cell.dataset.j));
      });
    }

    draw(part, view) {
      this.part = part;
      const { state } = view;
      if (!this.measure.options.length) {
        this.measure.append(...options(Object.entries(part.measures)));
        this.boxes = part.kinds.map((kind) => {
          const box = make("input", { type: "checkbox", value: kind });
          box.addEventListener("change", () => this.explorer.set({ kinds: this.boxes.filter((b) => b.checked).map((b) => b.value) }));
          this.kinds.append(choice(kind, box));
          return box;
        });
      }
      this.measure.value = state.measure;
      if (document.activeElement !== this.support) this.support.value = state.support;
      for (const box of this.boxes) box.checked = state.kinds.includes(box.value);
      if (!part.tags) {
        this.note.textContent = part.lacking ?? "reading …";
        return;
      }
      const chosen = new Set(this.explorer.asks("tags", "all") ?? []);
      this.note.textContent = part.tags.length
        ? `The ${part.tags.length} commonest tags of ${number(part.n)} cards; ${number(part.n_ranked)} pairs. Choose a pair for its cards.`
        : "No tag of these kinds is on so many cards.";
      this.drawGrid(part, chosen, view.state.measure);
      this.drawList(part, chosen);
    }

    drawGrid(part, chosen, measure) {
      const { words, values, both } = part;
      const flat = values.flatMap((row, i) => row.filter((v, j) => j < i && v !== null));
      const most = Math.max(...flat, 1e-9);
      const focused = this.grid.contains(document.activeElement);
      const rows = words.map((word, i) => {
        const cells = words.slice(0, i).map((other, j) => {
          const v = values[i][j];
          const cell = withRole("gridcell", { tabIndex: -1, title: `${word} + ${other}: ${number(both[i][j])} cards, ${v ?? "–"}` });
          aria(cell, { label: cell.title });
          cell.dataset.i = i;
          cell.dataset.j = j;
          cell.style.setProperty("--shade", `${v > 0 ? Math.round(100 * (measure === "npmi" || measure === "jaccard" ? v : Math.sqrt(v / most))) : 0}%`);
          if (chosen.has(part.tags[i]) && chosen.has(part.tags[j])) aria(cell, { selected: "true" });
          return cell;
        });
        return withRole("row", {}, [withRole("rowheader", {}, [make("bdi", { textContent: word })]), ...cells]);
      });
      const names = words.map((word) => withRole("columnheader", {}, [make("bdi", { textContent: word })]));
      this.grid.replaceChildren(...rows, withRole("row", {}, [withRole("gridcell"), ...names]));
      this.at = [Math.min(this.at[0], words.length - 1), Math.min(this.at[1], Math.max(this.at[0] - 1, 0))];
      const now = this.cell();
      if (now) now.tabIndex = 0;
      if (focused) now?.focus();
    }

    drawList(part, chosen) {
      const focused = [...this.list.querySelectorAll("button")].indexOf(document.activeElement);
      this.list.replaceChildren(...part.ranked.map(([i, j]) => {
        const value = part.values[i][j];
        const pair = make("button", { type: "button" }, [
          make("bdi", { textContent: part.words[i] }), make("span", { textContent: " + " }), make("bdi", { textContent: part.words[j] }),
          make("span", { className: "clx-n", textContent: ` ${value === part.both[i][j] ? "" : `${value?.toPrecision(2)} · `}${number(part.both[i][j])} cards` }),
        ]);
        aria(pair, { pressed: String(chosen.has(part.tags[i]) && chosen.has(part.tags[j])) });
        pair.addEventListener("click", () => this.pick(i, j));
        return make("li", {}, [pair]);
      }));
      if (focused >= 0) this.list.querySelectorAll("button")[focused]?.focus();
    }

    cell() {
      return this.grid.querySelector(`[data-i="${this.at[0]}"][data-j="${this.at[1]}"]`);
    }

    press(event) {
      const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
      if (event.key === "Enter" || event.key === " ") this.pick(...this.at);
      else if (!(event.key in moves)) return;
      else {
        const [i, j] = this.at.map((v, k) => v + moves[event.key][k]);
        const next = this.grid.querySelector(`[data-i="${i}"][data-j="${j}"]`);
        if (next) {
          const now = this.cell();
          if (now) now.tabIndex = -1;
          this.at = [i, j];
          next.tabIndex = 0;
          next.focus();
        }
      }
      event.preventDefault();
    }

    pick(i, j) {
      const pair = [this.part.tags[i], this.part.tags[j]];
      this.at = [Math.max(i, j), Math.min(i, j)];
      const now = this.explorer.asks("tags", "all") ?? [];
      const same = now.length === 2 && pair.every((tag) => now.includes(tag));
      this.explorer.where("tags", "all", same ? null : pair);
    }
  }

  // ---- lengths: the distribution, by group, and the sections beside it

  class Lengths {
    constructor(explorer) {
      this.explorer = explorer;
      this.length = select((length) => explorer.set({ length }));
      this.by = select((by) => explorer.set({ by }));
      this.note = make("p", { className: "clx-help" });
      this.main = make("div", { className: "clx-main" });
      this.groups = make("div", { className: "clx-groups" });
      this.beside = make("div", { className: "clx-sections" });
      this.ask = make("button", { type: "button", textContent: "Read the sections that cards fill" });
      this.ask.addEventListener("click", () => {
        this.ask.textContent = "reading …";
        explorer.load("section");
      });
      this.node = make("div", { className: "clx-lengths" }, [
        heading("Lengths of the cards"),
        make("div", { className: "clx-controls" }, [choice("Length in", this.length), choice("By", this.by)]),
        this.note,
        make("div", { className: "clx-both" }, [make("div", { className: "clx-wide" }, [this.main, this.groups]), this.beside]),
      ]);
    }

    draw(part, view) {
      this.part = part;
      if (!this.length.options.length) {
        this.length.append(...options(Object.entries(part.measures)));
        this.by.append(...options([["", "no groups"], ...part.groups.map((name) => [name, name.replaceAll("_", " ")])]));
      }
      this.length.value = view.state.length;
      this.by.value = view.state.by;
      if (!part.found) {
        this.note.textContent = part.lacking ?? "reading …";
        return;
      }
      this.note.textContent = "Draw over the bars, or choose the ends below, to keep cards of these lengths. Heights are square roots, so that few cards show.";
      if (this.column !== part.found.column) {
        this.column = part.found.column;
        this.bins = new Bins(this.explorer, part.found);
        this.bins.node.classList.add("clx-large");
        this.main.replaceChildren(this.bins.node);
      }
      this.bins.draw(part.found);
      this.drawGroups(part);
      if (part.sections?.kind === "values") {
        this.sections ??= new Sections(this.explorer, part.sections);
        if (this.sections.node.parentElement !== this.beside) this.beside.replaceChildren(this.sections.node);
        this.sections.draw(part.sections);
      } else this.beside.replaceChildren(...(part.sections ? [this.ask] : []));
    }

    drawGroups(part) {
      const rows = part.parts.map((group) => {
        const most = Math.max(...group.n, 1);
        const bars = group.n.map((n, i) => {
          const bar = make("span", { title: `${number(part.found.values[i])} and more: ${number(n)} cards` });
          bar.style.setProperty("--h", `${100 * Math.sqrt(n / most)}%`);
          return bar;
        });
        const plot = make("span", { className: "clx-spark" }, bars);
        plot.setAttribute("role", "img");
        aria(plot, { label: `${group.label}: most have ${number(part.found.values[group.n.indexOf(Math.max(...group.n))] ?? 0)} or more` });
        return make("div", { className: "clx-group" }, [
          make("bdi", { textContent: group.label }), plot, make("span", { className: "clx-n", textContent: number(group.of) }),
        ]);
      });
      this.groups.replaceChildren(...rows);
    }
  }

  return { make, aria, number, choice, select, heading, Facets, Cards, Pairs, Lengths, Values };
})();
