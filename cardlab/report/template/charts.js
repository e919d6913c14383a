// Charts from specs in data blocks, drawn by the one copy of Vega in the page.
(() => {
  "use strict";
  const { inflate, showTip, hideTip, toCsv, saveAs, saveCsv, fileName, make } = cardlab;

  // A chart asks for nothing. The only address it may hold is a link that a reader follows.
  const refuse = () => Promise.reject(new Error("a report loads nothing"));
  const loader = {
    options: {},
    load: refuse,
    http: refuse,
    file: refuse,
    sanitize: (uri, options) =>
      options && options.context === "href" && /^https?:\/\//i.test(uri)
        ? Promise.resolve({ href: String(uri), target: "_blank", rel: "noopener noreferrer" })
        : refuse(),
  };

  const tooltip = (_handler, event, _item, value) => {
    if (value === null || value === undefined || value === "") return hideTip();
    const isRecord = typeof value === "object" && !Array.isArray(value);
    showTip(event, isRecord ? Object.entries(value) : [[null, value]]);
  };

  let vegaReady = null;
  const loadVega = () =>
    (vegaReady ??= inflate(document.getElementById("vega").textContent).then((source) => {
      // The page's policy knows this script by its hash.
      document.head.append(make("script", { textContent: source }));
      if (!window.vegaEmbed) throw new Error("the drawing library did not start");
    }));

  const datasets = (spec) => {
    const found = [];
    const walk = (value) => {
      if (Array.isArray(value)) return value.forEach(walk);
      if (value === null || typeof value !== "object") return;
      for (const [key, item] of Object.entries(value)) {
        if (key === "datasets" && item) Object.values(item).forEach((rows) => found.push(rows));
        else if (key === "data" && item && Array.isArray(item.values)) found.push(item.values);
        else walk(item);
      }
    };
    walk(spec);
    return found.filter((rows) => Array.isArray(rows) && rows.length);
  };

  // Several tables become one file, whose first column says which.
  const chartCsv = (spec) => {
    const tables = datasets(spec);
    const asRecord = (row) => (row !== null && typeof row === "object" ? row : { value: row });
    const records = tables.flatMap((rows, i) => rows.map((row) => [i + 1, asRecord(row)]));
    const names = [...new Set(records.flatMap(([, record]) => Object.keys(record)))];
    const several = tables.length > 1;
    const header = several ? ["table", ...names] : names;
    const rows = records.map(([number, record]) => {
      const cells = names.map((name) => record[name]);
      return several ? [number, ...cells] : cells;
    });
    return toCsv(header, rows);
  };

  // Vega puts a chart's inputs into a form; Enter in one of them must not leave the page.
  document.addEventListener("submit", (event) => event.preventDefault());

  // Vega groups by value with plain objects: a tag called "constructor" would find a function
  // there instead of nothing, and the whole chart would fail. A blank of no width tells them apart.
  const inherited = new Set(Object.getOwnPropertyNames(Object.prototype));
  const distinct = (key, value) =>
    key !== "field" && inherited.has(value) ? value + "\u200b" : value;

  const draw = async (figure) => {
    const holder = figure.querySelector(".canvas");
    try {
      const text = figure.querySelector(".spec").textContent;
      const csv = chartCsv(JSON.parse(text));
      const spec = JSON.parse(text, distinct);
      await loadVega();
      const result = await window.vegaEmbed(holder, spec, {
        mode: "vega-lite",
        actions: false,
        ast: true,
        renderer: "canvas",
        defaultStyle: false,
        loader,
        tooltip,
      });
      const tools = figure.querySelector(".tools");
      tools.hidden = false;
      tools.querySelector("[data-save=csv]").addEventListener("click", () =>
        saveCsv(csv, fileName(figure.id, "csv")),
      );
      tools.querySelector("[data-save=png]").addEventListener("click", async () =>
        saveAs(await result.view.toImageURL("png", 2), fileName(figure.id, "png")),
      );
      return result.view;
    } catch (error) {
      holder.replaceChildren(make("p", { className: "refused", textContent: `This chart cannot be drawn: ${error.message}.` }));
      throw error;
    }
  };

  // One after another, and the page answers in between. Tests wait for these promises.
  let before = Promise.resolve();
  window.cardlabViews = [...document.querySelectorAll("figure.chart")].map((figure) => {
    const pause = () => new Promise((resolve) => setTimeout(resolve));
    const view = before.then(pause).then(() => draw(figure));
    before = view.catch(() => {});
    return view;
  });
})();
