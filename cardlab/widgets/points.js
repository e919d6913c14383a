// The map of an explorer: the points that are left in colour, those that are roped in kept, and
// the clusters beside it as boxes to tick, which a keyboard reaches as well.
const cardlabPoints = (() => {
  "use strict";
  const { make, choice, select, heading, Values } = cardlabPanels;

  return class Points {
    constructor(explorer) {
      this.explorer = explorer;
      this.plane = make("div", { className: "map", id: `${explorer.key}-map` });
      this.layer = select((layer) => explorer.set({ layer }));
      this.choice = choice("Clusters of", this.layer);
      this.table = make("div");
      this.beside = make("div", { className: "clx-sections" }, [this.choice, this.table]);
      this.node = make("div", { className: "clx-points" }, [
        heading("Map of the cards"),
        make("div", { className: "clx-both" }, [make("div", { className: "clx-wide" }, [this.plane]), this.beside]),
      ]);
    }

    wants() {
      return this.part?.clusters?.kind === "none" ? this.part.clusters.column : null;
    }

    draw(part, view) {
      this.part = part;
      if (!this.asked) {
        this.asked = true;
        this.explorer.model.send({ type: "map" });
      }
      const layers = Object.entries(part.layers);
      this.choice.hidden = layers.length < 2;
      this.node.classList.toggle("clx-alone", !layers.length);
      if (!this.layer.options.length) this.layer.append(...layers.map(([value, textContent]) => make("option", { value, textContent })));
      if (part.clusters) this.layer.value = part.clusters.column;
      if (part.clusters?.kind === "values") {
        if (this.clusters?.column !== part.clusters.column) {
          this.clusters = new Values(this.explorer, part.clusters);
          this.table.replaceChildren(this.clusters.node);
        }
        this.clusters.draw(part.clusters);
      }
      this.light();
    }

    light() {
      if (!this.map || !this.part) return;
      const { all, lit, n } = this.part;
      if (all) return this.map.highlight(null);
      const bytes = lit instanceof Uint8Array ? lit : new Uint8Array(lit.buffer ?? lit, lit.byteOffset ?? 0);
      const found = [];
      for (let i = 0; i < n; i++) if ((bytes[i >> 3] >> (i & 7)) & 1) found.push(i);
      this.map.highlight(found);
    }

    async receive(message) {
      if (message.type !== "map" || !message.map || this.map) return;
      const onselect = (points) => this.explorer.where("id", "ids", points);
      this.map = await cardlabMap.create(this.plane, message.map, { onselect });
      this.light();
    }
  };
})();
