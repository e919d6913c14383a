// An explorer without a kernel: the same questions, answered from what a page holds of the cards.
const cardlabTwin = (() => {
  "use strict";
  const MEASURES = {
    n_cards: (both) => both,
    jaccard: (both, a, b) => both / (a + b - both),
    lift: (both, a, b, n) => (both * n) / (a * b),
    npmi: (both, a, b, n) => (both === 0 ? -1 : both === n ? 1 : Math.log((both * n) / (a * b)) / -Math.log(both / n)),
  };

  class Local {
    constructor(about, parts) {
      this.isLocal = true;
      this.about = about;
      this.parts = parts;
      this.cards = parts.cards;
      this.n = this.cards.ids.length;
      this.heard = { "change:view": [], "msg:custom": [] };
      this.masks = new Map();
      this.orders = new Map();
      this.state = about.state;
      // The values of a card stand one after another: where those of each begin.
      for (const facet of Object.values(parts)) {
        if (facet.codes) facet.codes = Int32Array.from(facet.codes);
        if (!facet.lengths) continue;
        facet.starts = new Uint32Array(this.n + 1);
        facet.lengths.forEach((n, i) => (facet.starts[i + 1] = facet.starts[i] + n));
      }
      this.view = this.look(0);
    }

    get(name) {
      return name === "shown" ? this.about.shown : this[name];
    }

    on(event, act) {
      this.heard[event]?.push(act);
    }

    tell(event, message) {
      for (const act of this.heard[event]) act(message);
    }

    send({ type, seq, ...more }) {
      if (type === "state") {
        this.state = { ...this.state, ...more.state };
        this.view = this.look(seq);
        this.tell("change:view");
      } else if (type === "rows") {
        const rows = this.rows(this.left(), more.start, more.stop);
        this.tell("msg:custom", { type, seq, start: more.start, rows });
      } else if (type === "card") this.tell("msg:custom", { type, card: this.card(more.row) });
      else if (type === "map") setTimeout(() => this.tell("msg:custom", { type, map: this.parts.map?.data }));
    }

    // --- which cards are left

    mask(condition) {
      const key = JSON.stringify(condition);
      if (!this.masks.has(key)) this.masks.set(key, this.fits(condition));
      return this.masks.get(key);
    }

    fits({ column, op, value }) {
      const mask = new Uint8Array(this.n);
      if (op === "contains") {
        const wanted = value.trim().toLowerCase();
        this.cards.ids.forEach((id, i) => (mask[i] = Number(id.toLowerCase().includes(wanted))));
      } else if (op === "ids") for (const i of value) mask[this.parts.map.order[i]] = 1;
      else if (op === "between") {
        const { values, codes } = this.parts[column];
        const low = value[0] === null ? 0 : values.indexOf(value[0]);
        const high = value[1] === null ? values.length : values.indexOf(value[1]);
        codes.forEach((code, i) => (mask[i] = Number(code >= low && code < high)));
      } else {
        const facet = this.parts[column];
        const wanted = [value].flat().map((v) => facet.values.indexOf(v));
        const none = facet.values.length - 1;
        for (let i = 0; i < this.n; i++) {
          const own = facet.codes.subarray(facet.starts[i], facet.starts[i + 1]);
          const has = (code) => (code === none ? own.length === 0 : own.includes(code));
          mask[i] = Number(op === "all" ? wanted.every(has) : wanted.some(has));
        }
      }
      return mask;
    }

    left(but) {
      const mask = new Uint8Array(this.n).fill(1);
      for (const one of this.state.conditions) {
        if (one.column === but || (one.op !== "ids" && one.op !== "contains" && !this.parts[one.column])) continue;
        const fits = this.mask(one);
        for (let i = 0; i < this.n; i++) mask[i] &= fits[i];
      }
      return mask;
    }

    order() {
      const { sort } = this.state;
      if (!this.orders.has(sort)) this.orders.set(sort, this.sorted(sort));
      return this.orders.get(sort);
    }

    sorted(sort) {
      const by = { "by id": this.cards.ids, "most downloads": this.cards.beside.downloads, newest: this.cards.beside.created_at }[sort];
      const all = Array.from({ length: this.n }, (_, i) => i);
      if (!by) return all;
      const down = sort === "by id" ? 1 : -1;
      const compare = (a, b) => (a === null) - (b === null) || (a === b ? 0 : down * (a < b ? -1 : 1));
      return all.sort((i, j) => compare(by[i], by[j]));
    }

    rows(mask, start, stop) {
      const { ids, beside } = this.cards;
      const places = this.order().filter((i) => mask[i]);
      this.places = places;
      return places.slice(Math.max(start, 0), stop).map((i) => [i, ids[i], ...Object.values(beside).map((values) => values[i])]);
    }

    // --- what is seen

    look(seq) {
      const { shown, labels } = this.about;
      const left = this.left();
      const rows = this.rows(left, 0, 60);
      const make = { facets: () => this.facets(), pairs: () => this.pairs(), lengths: () => this.lengths(), points: () => this.points(left), cards: () => this.open() };
      return {
        seq,
        n: this.n,
        selected: this.places.length,
        said: this.state.conditions.map((one) => this.said(one, labels)),
        ignored: 0,
        state: this.state,
        sorts: this.about.sorts,
        rows: { start: 0, rows },
        error: "",
        ...Object.fromEntries(shown.map((name) => [name, make[name]()])),
      };
    }

    said({ column, op, value }, labels) {
      if (op === "ids") return `${value.length.toLocaleString("en-US")} chosen cards`;
      const name = labels[column] ?? column;
      if (op === "between") return `${name}: ${value.map((v) => (v === null ? "…" : String(v).slice(0, 10))).join(" to ")}`;
      return `${name}${op === "contains" ? " contains" : ":"} ${[value].flat().map((v) => v ?? "none").join(", ")}`;
    }

    count(facet, mask) {
      const n = new Array(facet.kind === "bins" ? Math.max(facet.values.length - 1, 0) : facet.values.length).fill(0);
      for (let i = 0; i < this.n; i++) {
        if (!mask[i]) continue;
        if (facet.kind === "bins") {
          if (facet.codes[i] >= 0) n[facet.codes[i]] += 1;
        } else if (!facet.lengths[i]) n[n.length - 1] += 1;
        else for (let k = facet.starts[i]; k < facet.starts[i + 1]; k++) n[facet.codes[k]] += 1;
      }
      return n;
    }

    counted(column) {
      const facet = this.parts[column];
      facet.of ??= this.count(facet, new Uint8Array(this.n).fill(1));
      const { kind, values, of, n_distinct } = facet;
      return { column, label: this.about.labels[column], kind, values, words: values, of, n: this.count(facet, this.left(column)), n_distinct };
    }

    facets() {
      return { columns: this.about.columns.map((column) => this.counted(column)) };
    }

    open() {
      const { open } = this.state;
      return { open, place: open === null ? -1 : this.places.indexOf(open) };
    }

    card(row) {
      this.state = { ...this.state, open: row };
      const facts = this.about.columns.filter((column) => column !== "tags").flatMap((column) => {
        const facet = this.parts[column];
        if (facet.kind === "bins") return [];
        const values = this.own(facet, row);
        return values.length ? [[this.about.labels[column], values.join(", ")]] : [];
      });
      const { ids, beside, html, more } = this.cards;
      for (const [name, values] of Object.entries(beside)) if (values[row] !== null) facts.push([name, String(values[row])]);
      const own = this.parts.tags ? this.own(this.parts.tags, row) : [];
      return { row, id: ids[row], facts, tags: own, html: html ? html[row] : null, more: more ? more[row] : 0 };
    }

    own(facet, row) {
      return Array.from(facet.codes.subarray(facet.starts[row], facet.starts[row + 1]), (code) => facet.values[code]);
    }

    pairs() {
      const { kinds, measures, tag_kinds: kindOf, tag_keys: keys } = this.about;
      const { measure, support, kinds: wanted } = this.state;
      const facet = this.parts.tags;
      const left = this.left("tags");
      const n = left.reduce((sum, v) => sum + v, 0);
      const each = this.count(facet, left);
      const top = each.map((_, i) => i).filter((i) => i < facet.values.length - 1 && wanted.includes(kindOf[i]) && each[i] >= support)
        .sort((i, j) => each[j] - each[i] || i - j).slice(0, 24);
      const place = new Int32Array(facet.values.length).fill(-1);
      top.forEach((code, i) => (place[code] = i));
      const both = top.map(() => new Array(top.length).fill(0));
      for (let i = 0; i < this.n; i++) {
        if (!left[i]) continue;
        const own = [];
        for (let k = facet.starts[i]; k < facet.starts[i + 1]; k++) if (place[facet.codes[k]] >= 0) own.push(place[facet.codes[k]]);
        for (const a of own) for (const b of own) both[a][b] += 1;
      }
      const values = both.map((row, i) => row.map((v, j) => MEASURES[measure](v, both[i][i], both[j][j], n)));
      const ranked = [];
      for (let i = 0; i < top.length; i++) {
        for (let j = 0; j < i; j++) if (both[i][j] >= support && keys[top[i]] !== keys[top[j]]) ranked.push([i, j]);
      }
      ranked.sort(([a, b], [c, d]) => values[c][d] - values[a][b] || both[c][d] - both[a][b] || a - c || b - d);
      const tags = top.map((i) => facet.values[i]);
      return { kinds, measures, tags, words: tags, both, values, ranked: ranked.slice(0, 40), n_ranked: ranked.length, n };
    }

    lengths() {
      const { length, by } = this.state;
      const measures = Object.fromEntries(this.about.lengths.map((name) => [name, this.about.labels[name]]));
      const groups = this.about.columns.filter((name) => this.parts[name].kind === "values");
      const left = this.left(length);
      const parts = [];
      if (by && this.parts[by]) {
        const facet = this.parts[by];
        const each = this.count(facet, left);
        const first = each.map((_, i) => i).sort((i, j) => each[j] - each[i] || i - j).slice(0, 5);
        for (const i of first) {
          const own = this.mask({ column: by, op: "any", value: [facet.values[i]] });
          const n = this.count(this.parts[length], left.map((v, k) => v & own[k]));
          parts.push({ label: facet.values[i] ?? "none", of: each[i], n });
        }
      }
      const sections = this.parts.section ? this.counted("section") : null;
      return { measures, groups, found: this.counted(length), parts, sections };
    }

    points(left) {
      const { order } = this.parts.map;
      const lit = new Uint8Array(Math.ceil(order.length / 8));
      order.forEach((row, i) => (lit[i >> 3] |= left[row] << (i & 7)));
      const { layers } = this.about;
      const layer = this.state.layer in layers ? this.state.layer : Object.keys(layers)[0];
      return { n: order.length, layers, clusters: layer ? this.counted(layer) : null, all: left.every(Boolean), lit };
    }
  }

  // Tests wait for these promises. A part that several explorers of a page hold stands there once.
  const start = () => {
    window.cardlabTwins = [...document.querySelectorAll("figure.explorer")].map(async (figure) => {
      try {
        const about = JSON.parse(figure.querySelector(".data").textContent);
        const parts = {};
        for (const [name, key] of Object.entries(about.parts)) {
          parts[name] = JSON.parse(await cardlab.inflate(document.querySelector(`script[data-part="${key}"]`).textContent));
        }
        const model = new Local(about, parts);
        const explorer = new cardlabExplorer.Explorer(model, figure);
        figure.append(figure.querySelector("figcaption"));
        return explorer;
      } catch (error) {
        figure.prepend(cardlab.make("p", { className: "refused", textContent: `This explorer cannot be shown: ${error.message}.` }));
        throw error;
      }
    });
  };
  return { start, Local };
})();
