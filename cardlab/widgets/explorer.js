// An explorer on the screen: what is chosen goes to the kernel, what is left comes back and is
// drawn. A card's words only ever become text nodes, its Markdown elements of a short list.
const cardlabExplorer = (() => {
  "use strict";
  const { make, number, Facets, Cards, Pairs, Lengths } = cardlabPanels;
  const PANELS = { facets: Facets, cards: Cards, pairs: Pairs, lengths: Lengths, points: cardlabPoints };
  let made = 0;

  class Explorer {
    constructor(model, el) {
      this.model = model;
      this.key = `cl-x${(made += 1)}`; // ids of one explorer must not be those of another
      this.seq = Math.floor(Math.random() * 2 ** 30); // of two views of one explorer, neither's numbers are the other's
      this.waiting = null;
      this.pending = [];
      this.loads = new Set();
      this.status = make("p", { className: "clx-status", role: "status" });
      this.chips = make("div", { className: "clx-chips" });
      this.chips.setAttribute("role", "group");
      this.chips.setAttribute("aria-label", "Conditions");
      this.error = make("p", { className: "clx-error", role: "alert", hidden: true });
      this.root = make("section", { className: "clx mathjax_ignore tex2jax_ignore" }, [
        make("div", { className: "clx-top" }, [this.status, this.chips]),
        this.error,
      ]);
      this.root.setAttribute("aria-label", `Explorer ${made} of cards`);
      // JupyterLab's shortcuts of single letters stay outside. It looks for the mark at what has the
      // focus before anything around it.
      const mark = (node) => (node.dataset.lmSuppressShortcuts = "true");
      this.root.addEventListener("focusin", (event) => mark(event.target));
      mark(this.root);
      this.panels = new Map();
      for (const name of model.get("shown")) {
        const panel = new PANELS[name](this);
        this.panels.set(name, panel);
        this.root.append(panel.node);
      }
      if (!model.isLocal) this.root.append(this.buildCode());
      el.append(this.root);
      this.onView = () => this.draw(model.get("view"));
      this.onMessage = (message) => this.receive(message);
      // A canvas keeps the colours of the theme that it was painted in.
      this.themes = new MutationObserver(() => this.view && this.draw(this.view));
      const theme = { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light"] };
      for (const node of [document.documentElement, document.body]) this.themes.observe(node, theme);
      model.on("change:view", this.onView);
      model.on("msg:custom", this.onMessage);
      if (model.get("view").state) this.onView();
      else this.ask("hello");
    }

    destroy() {
      this.themes.disconnect();
      this.model.off?.("change:view", this.onView);
      this.model.off?.("msg:custom", this.onMessage);
    }

    // --- to the kernel: one question at a time. Changes that it has not answered are kept as what they
    // do, and done again to each state that it tells: an answer takes back nothing that came after it.

    isFree() {
      return this.waiting === null || performance.now() - this.asked >= 20_000;
    }

    ask(type, more = {}) {
      this.waiting = this.seq += 1;
      this.asked = performance.now();
      this.root.setAttribute("aria-busy", "true");
      this.model.send({ type, seq: this.seq, ...more });
    }

    // A change is the parts of the state that differ, or what gives them from a state.
    set(change) {
      this.pending.push({ seq: null, of: typeof change === "function" ? change : () => change });
      this.state = this.changed();
      if (this.isFree()) this.send();
    }

    changed(which = () => true) {
      return this.pending.filter(which).reduce((state, { of }) => ({ ...state, ...of(state) }), this.view.state);
    }

    // Sends the changes that wait, as one.
    send() {
      let state = this.changed((one) => one.seq !== null);
      const change = {};
      for (const one of this.pending.filter(({ seq }) => seq === null)) {
        Object.assign(change, one.of(state));
        state = { ...state, ...change };
        one.seq = this.seq + 1;
      }
      this.ask("state", { state: change });
    }

    // Replaces what is asked of a column by what is asked now; null takes it away.
    where(column, op, value) {
      const others = (one) => one.column !== column || one.op !== op;
      const added = value === null ? [] : [{ column, op, value }];
      this.set(({ conditions }) => ({ conditions: [...conditions.filter(others), ...added] }));
    }

    asks(column, op) {
      return this.state.conditions.find((one) => one.column === column && one.op === op)?.value ?? null;
    }

    load(column) {
      this.wanted = column;
      if (this.loads.has(column) || !this.isFree()) return;
      this.loads.add(column);
      this.ask("load", { column });
    }

    // --- from the kernel

    draw(view) {
      if (!view.state) return;
      this.view = view;
      const style = getComputedStyle(this.root);
      this.colors = { pale: style.getPropertyValue("--clx-pale"), mark: style.getPropertyValue("--clx-mark") };
      if (view.seq === this.waiting) this.waiting = null;
      if (this.waiting === null && !view.searching) this.root.removeAttribute("aria-busy");
      else this.root.setAttribute("aria-busy", "true");
      this.pending.splice(0, this.pending.map(({ seq }) => seq).lastIndexOf(view.seq) + 1);
      this.state = this.changed();
      this.root.classList.toggle("clx-local", Boolean(this.model.isLocal));
      const share = view.n ? ` (${((100 * view.selected) / view.n).toFixed(1)} %)` : "";
      const ignored = view.ignored ? ` ${view.ignored} of the conditions cannot be asked of these cards.` : "";
      const text = `${number(view.selected)} of ${number(view.n)} cards${share}.${ignored}${view.searching ? " Searching …" : ""}`;
      if (this.status.textContent !== text) this.status.textContent = text;
      this.error.textContent = view.error;
      this.error.hidden = !view.error;
      this.drawChips(view);
      for (const [name, panel] of this.panels) panel.draw(view[name], view);
      if (this.code?.open) this.model.send({ type: "code" });
      this.root.dataset.seq = view.seq; // what the tests of time wait for
      if (this.waiting !== null) return;
      if (this.pending.some(({ seq }) => seq === null)) this.send();
      else this.loadNext();
    }

    // Columns are read one after another, so that what is there can be used meanwhile.
    loadNext() {
      if (this.wanted && !this.loads.has(this.wanted)) return void this.load(this.wanted);
      for (const panel of this.panels.values()) {
        const column = panel.wants?.() ?? panel.part?.load;
        if (column && !this.loads.has(column)) return void this.load(column);
      }
    }

    drawChips(view) {
      const chips = view.said.map((said, i) => {
        const chip = make("button", { type: "button", className: "clx-chip" }, [
          make("bdi", { textContent: said }),
          make("span", { textContent: " ×" }),
        ]);
        chip.setAttribute("aria-label", `Remove: ${said}`);
        chip.addEventListener("click", () => {
          const gone = JSON.stringify(view.state.conditions[i]);
          this.set(({ conditions }) => ({ conditions: conditions.filter((one) => JSON.stringify(one) !== gone) }));
          this.status.tabIndex = -1;
          this.status.focus(); // the button goes; without this the focus would be lost
        });
        return chip;
      });
      if (chips.length > 1) {
        const all = make("button", { type: "button", className: "clx-chip", textContent: "Remove all" });
        all.addEventListener("click", () => this.set({ conditions: [] }));
        chips.push(all);
      }
      this.chips.replaceChildren(...chips);
    }

    buildCode() {
      const text = make("pre", { tabIndex: 0 });
      const copy = make("button", { type: "button", textContent: "Copy" });
      copy.addEventListener("click", () => void navigator.clipboard?.writeText(text.textContent));
      this.codeText = text;
      this.code = make("details", { className: "clx-code" }, [
        make("summary", { textContent: "Code of this selection" }),
        copy,
        text,
      ]);
      this.code.addEventListener("toggle", () => this.code.open && this.model.send({ type: "code" }));
      return this.code;
    }

    receive(message) {
      if (message.type === "code") this.codeText.textContent = message.code;
      for (const panel of this.panels.values()) panel.receive?.(message);
    }
  }

  const render = ({ model, el }) => {
    const explorer = new Explorer(model, el);
    return () => explorer.destroy();
  };
  return { render, Explorer };
})();
