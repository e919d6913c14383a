// A chart's specification for a width and for a light or dark page. The title leaves it, for the
// page to wrap; colours of the palette become those of a dark page.
const cardlabFit = (() => {
  "use strict";
  const NARROW = 480;
  const LETTER = 6.4; // pixels of a letter of a legend, rather too wide
  const DATA = new Set(["data", "datasets", "domain", "sort"]); // a tag may be called as a colour is
  const COLOURED = new Set(["color", "fill", "stroke", "shape", "strokeDash", "opacity", "size", "strokeWidth"]);
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const isText = (value) => typeof value === "string" || (Array.isArray(value) && value.every((v) => typeof v === "string"));
  const lines = (value) => (value === undefined ? [] : [value].flat());

  const recolour = (value, map, key) => {
    if (DATA.has(key)) return value;
    if (typeof value === "string") return Object.hasOwn(map, value) ? map[value] : value;
    if (Array.isArray(value)) return value.map((item) => recolour(item, map, key));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, recolour(item, map, name)]));
  };

  const merge = (base, over) => {
    const result = { ...base };
    for (const [key, value] of Object.entries(over ?? {})) {
      result[key] = isObject(value) && isObject(base[key]) ? merge(base[key], value) : value;
    }
    return result;
  };

  // For charts that bring no look of their own.
  const [, INK, FAINT, GRID] = Object.keys(cardlabDark);
  const words = { labelColor: INK, titleColor: FAINT };
  const LOOK = {
    axis: { ...words, gridColor: GRID, domainColor: GRID, tickColor: GRID },
    legend: words,
    header: words,
    title: { color: INK, subtitleColor: FAINT },
    text: { color: INK },
  };

  const rowsOf = (spec) => {
    const found = [];
    const walk = (value, key) => {
      if (key === "datasets") return Object.values(value ?? {}).forEach((rows) => found.push(rows));
      if (key === "data") return void (Array.isArray(value?.values) && found.push(value.values));
      if (Array.isArray(value)) value.forEach((item) => walk(item, ""));
      else if (isObject(value)) Object.entries(value).forEach(([name, item]) => walk(item, name));
    };
    walk(spec, "");
    return found.filter((rows) => Array.isArray(rows) && rows.length);
  };

  const labelsOf = (channel, tables) => {
    const domain = channel.scale?.domain;
    if (Array.isArray(domain)) return domain.map(String);
    const named = tables.find((rows) => isObject(rows[0]) && channel.field in rows[0]);
    return [...new Set((named ?? []).map((row) => String(row[channel.field])))];
  };

  // A legend that is wider than its chart squeezes it to nothing: it gets so many columns as fit.
  const legend = (channel, width, tables) => {
    if (!channel.field || channel.legend === null || channel.scale === null) return;
    const narrow = width < NARROW;
    const own = channel.legend ?? {};
    const beside = !["top", "bottom"].includes(own.orient);
    const room = Math.max(width - (narrow ? 0.36 * width : 260), 150);
    if (["quantitative", "temporal"].includes(channel.type)) {
      if (narrow) channel.legend = { ...own, orient: beside ? "top" : own.orient, gradientLength: Math.min(own.gradientLength ?? 200, room), titleLimit: room };
      return;
    }
    const labels = labelsOf(channel, tables);
    const limit = Math.min(own.labelLimit ?? 200, narrow ? room - 30 : 230);
    const longest = Math.min(Math.max(...labels.map((label) => label.length), 1) * LETTER, limit);
    const fitting = Math.max(Math.floor(room / (longest + 34)), 1);
    if (beside && !narrow) return;
    const orient = beside ? "top" : own.orient;
    const columns = Math.min(own.columns ?? labels.length, fitting, labels.length);
    channel.legend = { ...own, orient, labelLimit: limit, titleLimit: room, ...(columns < labels.length || own.columns ? { columns } : {}) };
  };

  const legends = (value, width, tables, key = "") => {
    if (DATA.has(key)) return;
    if (Array.isArray(value)) return value.forEach((item) => legends(item, width, tables));
    if (!isObject(value)) return;
    if (COLOURED.has(key)) [value, ...[value.condition ?? []].flat()].forEach((channel) => legend(channel, width, tables));
    for (const [name, item] of Object.entries(value)) legends(item, width, tables, name);
  };

  const joined = (spec) => ["hconcat", "vconcat", "concat"].find((key) => Array.isArray(spec[key]));

  // The parts of a chart that have a width of their own, and how many of them stand in a row.
  const parts = (spec, across = 1) => {
    const key = joined(spec);
    if (key) {
      const row = key === "hconcat" ? spec[key].length : key === "concat" ? spec.columns ?? spec[key].length : 1;
      return spec[key].flatMap((part) => parts(part, across * row));
    }
    return spec.spec ? parts(spec.spec, across * (spec.columns ?? 1)) : [{ view: spec, across }];
  };

  const marks = (view) => [view, ...(view.layer ?? []).flatMap(marks)].filter((one) => isObject(one.mark));
  const widen = (view, width) => {
    const before = view.width;
    view.width = Math.max(Math.round(width), 40);
    if (typeof before !== "number") return;
    for (const { mark } of marks(view)) if (typeof mark.width === "number") mark.width = Math.max(mark.width * (view.width / before), 1);
  };

  // What stands side by side, or in columns, has room for so many.
  const stack = (spec, width, least) => {
    const key = joined(spec);
    if (key === "hconcat" && width / spec.hconcat.length < least) {
      spec.vconcat = spec.hconcat;
      delete spec.hconcat;
      // what was said once, to the left, is to be said beside each
      for (const part of spec.vconcat) axes(part);
    }
    if (spec.columns > 1) spec.columns = Math.max(1, Math.min(spec.columns, Math.floor(width / least)));
    (key ? spec[joined(spec)] : spec.spec ? [spec.spec] : []).forEach((part) => stack(part, width, least));
  };
  const axes = (view) => {
    const y = view.encoding?.y;
    if (y?.axis === null || y?.axis?.labels === false) delete y.axis;
    (view.layer ?? []).forEach(axes);
  };

  const fit = (text, width, dark) => {
    const narrow = width < NARROW;
    let spec = JSON.parse(text, distinct);
    spec.config = merge(LOOK, spec.config);
    if (dark) spec = recolour(spec, cardlabDark, "");
    spec.background = spec.config.background = "transparent";
    spec.padding = spec.config.padding = { left: 2, right: 6, top: 6, bottom: 4 };
    const title = isObject(spec.title) ? spec.title : { text: spec.title };
    const words = isText(title.text) && isText(title.subtitle ?? []) ? { title: lines(title.text), subtitle: lines(title.subtitle) } : null;
    if (words) delete spec.title;
    if (narrow) {
      const config = spec.config;
      config.axis = { ...config.axis, labelLimit: Math.round(0.36 * width), maxExtent: Math.round(0.4 * width) };
      config.axisX = { labelLimit: 110, ...config.axisX };
      config.legend = { ...config.legend, orient: "top" };
      cut(spec, Math.round(0.36 * width));
    }
    legends(spec, width, rowsOf(spec));
    stack(spec, width, 180);
    const [{ view }, ...more] = parts(spec);
    const single = !more.length && view === spec;
    if (single && !isObject(spec.width)) {
      widen(spec, width);
      spec.fitted = true;
    }
    // a first guess for each part by itself, for those beneath each other need not be alike
    if (!single) parts(spec).forEach(({ view: part, across }) => typeof part.width === "number" && widen(part, (width - 40) / across - 20));
    return { spec, words, single };
  };

  // Labels of an axis take a third of a narrow chart at most, whatever the axis itself asks for.
  const cut = (value, most, key = "") => {
    if (DATA.has(key)) return;
    if (Array.isArray(value)) return value.forEach((item) => cut(item, most));
    if (!isObject(value)) return;
    if (key === "axis" && value.labelLimit > most) value.labelLimit = most;
    for (const [name, item] of Object.entries(value)) cut(item, most, name);
  };

  // A drawn chart was too wide, or too narrow, by so much: its parts share that. Null if it fits.
  const refit = ({ spec, single }, drawn, width) => {
    const views = parts(spec);
    const off = Math.ceil(drawn - width);
    if (spec.fitted) return null;
    if (off <= 0 && (off > -4 || single)) return null; // cells of a heatmap need not grow
    if (single) {
      // a heatmap, whose cells have a width
      widen(spec, width);
      spec.fitted = true;
      if (width < NARROW) bare(spec);
      return spec;
    }
    for (const { view, across } of views) {
      if (typeof view.width === "number") widen(view, Math.floor(view.width - off / across));
    }
    return spec;
  };

  // Cells too narrow for their numbers have none, and columns too narrow for all names have some.
  const bare = (spec) => {
    const views = [spec, ...(spec.layer ?? [])];
    const x = views.map((view) => view.encoding?.x).find((channel) => channel?.field);
    const cell = (0.6 * spec.width) / Math.max(labelsOf(x ?? {}, rowsOf(spec)).length, 1);
    if (spec.layer && cell < 26) spec.layer = spec.layer.filter((part) => (part.mark?.type ?? part.mark) !== "text");
    const upright = { labelAngle: -90, labelOverlap: cell < 11 ? "greedy" : false };
    for (const view of views) if (view.encoding?.x?.field) view.encoding.x.axis = { ...view.encoding.x.axis, ...upright };
  };

  // Vega groups by value with plain objects: a tag called "constructor" would find a function
  // there instead of nothing, and the whole chart would fail. A blank of no width tells them apart.
  const inherited = new Set(Object.getOwnPropertyNames(Object.prototype));
  const distinct = (key, value) => (key !== "field" && inherited.has(value) ? value + "\u200b" : value);

  return { fit, refit, rowsOf, lines };
})();
