// Charts from specs in data blocks, drawn by the one copy of Vega in the page: as wide as the page,
// light or dark as the page is, and light at the width of a sheet where it is printed.
(() => {
  "use strict";
  const { inflate, showTip, hideTip, toCsv, saveAs, saveCsv, saveText, fileName, addTools, about, make } = cardlab;
  const { fit, refit, rowsOf } = cardlabFit;
  const SHEET = 640; // pixels within a figure on A4
  const PICTURE = 760; // pixels of a picture that is saved

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

  // Vega itself is told to fit the width: Vega-Lite would warn that it leaves rows their height.
  const embed = (holder, { fitted, ...spec }, renderer = "canvas") => {
    const patch = (compiled) => (fitted ? { ...compiled, autosize: { type: "fit-x", contains: "padding" } } : compiled);
    return window.vegaEmbed(holder, spec, { mode: "vega-lite", actions: false, ast: true, renderer, defaultStyle: false, loader, tooltip, patch });
  };

  // Columns that only place or shade what is drawn are no data.
  const drawing = (spec) => {
    const found = new Set();
    const walk = (value) => {
      if (value === null || typeof value !== "object") return;
      if (value.field && (value.axis === null || value.scale === null)) found.add(value.field);
      Object.entries(value).forEach(([key, item]) => key === "data" || key === "datasets" || walk(item));
    };
    walk(spec);
    return (name) => found.has(name) || /^(shade(_\w+)?|text_[xy]|narrow|[xy]2|panel)$/.test(name);
  };

  // Several tables become one file, whose first column says which; what is in a larger one, such
  // as the line at a date, is left out.
  const chartCsv = (spec) => {
    const isDrawn = drawing(spec);
    const asRecord = (row) => (row !== null && typeof row === "object" ? row : { value: row });
    const namesOf = (rows) => [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => !isDrawn(name));
    const all = rowsOf(spec).map((rows) => rows.map(asRecord)).map((rows) => [namesOf(rows), rows]);
    const said = ([names, rows]) =>
      !all.some(([others, more]) => more.length > rows.length && names.every((name) => /^(label|text)$/.test(name) || others.includes(name)));
    const tables = all.filter((table) => table[0].length && said(table));
    const names = [...new Set(tables.flatMap(([own]) => own))];
    const several = tables.length > 1;
    const rows = tables.flatMap(([, records], i) =>
      records.map((record) => [...(several ? [i + 1] : []), ...names.map((name) => record[name])]),
    );
    return toCsv(several ? ["table", ...names] : names, rows);
  };

  // Vega puts a chart's inputs into a form; Enter in one of them must not leave the page.
  document.addEventListener("submit", (event) => event.preventDefault());

  // What a reader chose stays when a chart is drawn anew.
  const plain = (value) => value === null || ["string", "number", "boolean"].includes(typeof value);
  const namesOf = (spec) => {
    const found = [];
    JSON.stringify(spec, (key, value) => {
      if (key === "params" && Array.isArray(value)) found.push(...value.map((param) => param.name));
      return key === "datasets" || key === "data" ? undefined : value;
    });
    return found;
  };
  const choices = (view, names) => {
    if (!names.length) return [];
    const ours = (signal) => names.some((name) => signal === name || signal.startsWith(`${name}_`));
    const { signals } = view.getState({ signals: ours, data: () => false });
    return Object.entries(signals ?? {}).filter(([, value]) => plain(value));
  };

  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.holder = figure.querySelector(".canvas");
      this.text = figure.querySelector(".spec").textContent;
      this.heading = make("div", { className: "heading" });
      this.holder.before(this.heading);
    }

    get width() {
      return this.holder.clientWidth || Math.max(document.querySelector("main").clientWidth - 42, 280);
    }

    // What is awaited is ready at once but for the first time: a page that is printed does not wait.
    async draw(width = this.width, dark = isDark()) {
      this.drawn = width;
      this.isDark = dark;
      const form = fit(this.text, width, dark);
      this.say(form.words);
      let result = await embed(this.holder, form.spec);
      for (let tries = 0; tries < 3; tries++) {
        const again = refit(form, this.holder.querySelector("canvas").width / devicePixelRatio, width);
        if (!again) break;
        result.finalize();
        result = await embed(this.holder, again);
      }
      const canvas = this.holder.querySelector("canvas");
      this.figure.classList.toggle("tall", canvas.height > 1.1 * canvas.width);
      const kept = this.kept();
      this.result?.finalize();
      this.result = result;
      if (kept.length) {
        kept.forEach(([name, value]) => result.view.signal(name, value));
        await result.view.runAsync();
      }
      return result.view;
    }

    kept() {
      return this.result ? choices(this.result.view, namesOf(JSON.parse(this.text))) : [];
    }

    say(words) {
      this.title = words?.title.join(" ") ?? "";
      const line = (className) => (textContent) => make("p", { className, textContent, dir: "auto" });
      this.heading.replaceChildren(...(words?.title ?? []).map(line("title")), ...(words?.subtitle ?? []).map(line("subtitle")));
    }

    // The same at one width, light, with its title, the corpus and the date.
    async picture(kind) {
      const form = fit(this.text, PICTURE, false);
      const { spec } = form;
      const { corpus, day } = about(this.figure);
      const words = form.words ?? { title: [], subtitle: [] };
      const broken = (text, font) => wrapped(text, font, PICTURE - 24);
      spec.title = {
        text: words.title.flatMap((text) => broken(text, "600 15px system-ui, sans-serif")),
        subtitle: [...words.subtitle, [corpus, day, "cardlab"].filter(Boolean).join(" · ")].flatMap((text) => broken(text, "12px system-ui, sans-serif")),
        anchor: "start",
        frame: "bounds",
      };
      spec.background = spec.config.background = Object.keys(cardlabDark)[0]; // paper
      spec.padding = 12;
      const { view, finalize } = await embed(document.createElement("div"), spec, "none");
      this.kept().forEach(([name, value]) => view.signal(name, value));
      await view.runAsync();
      const made = kind === "png" ? await view.toImageURL("png", 2) : await view.toSVG();
      finalize();
      return made;
    }
  }

  const wrapped = (text, font, width) => {
    const pen = (wrapped.pen ??= document.createElement("canvas").getContext("2d"));
    pen.font = font;
    const lines = [""];
    for (const word of text.split(" ")) {
      const longer = `${lines.at(-1)} ${word}`.trim();
      if (pen.measureText(longer).width > width && lines.at(-1)) lines.push(word);
      else lines[lines.length - 1] = longer;
    }
    return lines;
  };

  const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark";
  const fails = (holder, error) => {
    holder.replaceChildren(make("p", { className: "refused", textContent: `This chart cannot be drawn: ${error.message}.` }));
    throw error;
  };

  const first = async (chart) => {
    const { figure, text } = chart;
    try {
      await loadVega();
      const view = await chart.draw();
      addTools(figure, chart.title, [
        ["csv", "CSV", () => saveCsv(chartCsv(JSON.parse(text)), fileName(figure.id, "csv"))],
        ["png", "PNG", async () => saveAs(await chart.picture("png"), fileName(figure.id, "png"))],
        ["svg", "SVG", async () => saveText(await chart.picture("svg"), fileName(figure.id, "svg"), "image/svg+xml")],
      ]);
      return view;
    } catch (error) {
      return fails(chart.holder, error);
    }
  };

  // One after another, the one that a link led to first, and the page answers in between. Tests
  // wait for these promises.
  const charts = [...document.querySelectorAll("figure.chart")].map((figure) => new Chart(figure));
  const asked = ({ figure }) => `#${figure.id}` === location.hash;
  const pause = () => new Promise((resolve) => setTimeout(resolve));
  const views = new Map();
  let before = loadVega().catch(() => {});
  for (const chart of [...charts].sort((a, b) => asked(b) - asked(a))) {
    views.set(chart, before.then(pause).then(() => first(chart)));
    before = views.get(chart).catch(() => {});
  }
  window.cardlabViews = charts.map((chart) => views.get(chart));

  let printing = false;
  const redraw = () => {
    if (printing) return;
    charts.forEach((chart, i) => {
      const stale = chart.result && (Math.abs(chart.width - chart.drawn) > 1 || chart.isDark !== isDark());
      if (stale) window.cardlabViews[i] = chart.draw().catch((error) => fails(chart.holder, error));
    });
  };
  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 120);
  };
  const watch = new ResizeObserver(soon);
  charts.forEach((chart) => watch.observe(chart.holder));
  document.addEventListener("cardlab-theme", soon);
  window.addEventListener("beforeprint", () => {
    printing = true;
    charts.forEach((chart) => chart.result && void chart.draw(SHEET, false));
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    soon();
  });
})();
