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
      this.seq = 0;
      this.waiting = null;
      this.later = [];
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

    // --- to the kernel: one question at a time; changes of the state that wait become one

    ask(type, more = {}) {
      if (this.waiting !== null && performance.now() - this.asked < 20_000) {
        const last = this.later.at(-1);
        if (type === "load") this.wanted = more.column;
        else if (type === "state" && last?.[0] === type) Object.assign(last[1].state, more.state);
        else this.later.push([type, type === "state" ? { state: { ...more.state } } : more]);
        return;
      }
      this.waiting = this.seq += 1;
      this.asked = performance.now();
      this.root.setAttribute("aria-busy", "true");
      this.model.send({ type, seq: this.seq, ...more });
    }

    set(change) {
      this.state = { ...this.state, ...change };
      this.ask("state", { state: change });
    }

    // Replaces what is asked of a column by what is asked now; null takes it away.
    where(column, op, value) {
      const others = this.state.conditions.filter((one) => one.column !== column || one.op !== op);
      this.set({ conditions: value === null ? others : [...others, { column, op, value }] });
    }

    asks(column, op) {
      return this.state.conditions.find((one) => one.column === column && one.op === op)?.value ?? null;
    }

    load(column) {
      if (this.loads.has(column)) return;
      if (this.waiting === null) this.loads.add(column);
      this.ask("load", { column });
    }

    // --- from the kernel

    draw(view) {
      if (!view.state) return;
      this.view = view;
      if (this.waiting === null || view.seq >= this.waiting) {
        this.waiting = null;
        this.root.removeAttribute("aria-busy");
      }
      const [next] = this.later;
      this.state = { ...view.state, ...next?.[1].state };
      this.root.classList.toggle("clx-local", Boolean(this.model.isLocal));
      const share = view.n ? ` (${((100 * view.selected) / view.n).toFixed(1)} %)` : "";
      const ignored = view.ignored ? ` ${view.ignored} of the conditions cannot be asked of these cards.` : "";
      const text = `${number(view.selected)} of ${number(view.n)} cards${share}.${ignored}`;
      if (this.status.textContent !== text) this.status.textContent = text;
      this.error.textContent = view.error;
      this.error.hidden = !view.error;
      this.drawChips(view);
      for (const [name, panel] of this.panels) panel.draw(view[name], view);
      if (this.code?.open) this.model.send({ type: "code" });
      this.root.dataset.seq = view.seq; // what the tests of time wait for
      if (this.waiting === null && next) {
        this.later.shift();
        this.ask(...next);
      } else if (this.waiting === null) this.loadNext();
    }

    // Columns are read one after another, so that what is there can be used meanwhile.
    loadNext() {
      if (this.wanted && !this.loads.has(this.wanted)) return void this.load(this.wanted);
      for (const panel of this.panels.values()) {
        const column = panel.wants?.();
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
          this.set({ conditions: this.state.conditions.filter((_, k) => k !== i) });
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
