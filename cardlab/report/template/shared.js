// What charts, tables and maps need: unpacking, saving a file, a box beside the pointer.
const cardlab = (() => {
  "use strict";
  const unzip = async (base64) => {
    if (!("DecompressionStream" in window)) {
      throw new Error("this browser is too old to unpack it");
    }
    const bytes = Uint8Array.from(atob(base64.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream);
  };
  const inflate = async (base64) => (await unzip(base64)).text();
  const inflateBytes = async (base64) => new Uint8Array(await (await unzip(base64)).arrayBuffer());

  // A spreadsheet runs a cell that begins like a formula, also after blanks and what has no width;
  // an apostrophe makes it text. NFKC turns full-width and small forms into the plain ones.
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const unseen = /^[\s\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800\ufffd]+/u;
  const isFormula = (text) =>
    /^[\t\r\n]/.test(text) || /^[=+\-@\u2212]/.test(text.replace(unseen, "").normalize("NFKC"));
  // Each item of a list is judged by itself: a spreadsheet may be told to split at the semicolon.
  const csvText = (value) => {
    if (value === null || value === undefined) return "";
    if (Array.isArray(value)) return value.map(csvText).join("; ");
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    return isFormula(text) && !isNumber.test(text) ? "'" + text : text;
  };
  const csvCell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    return '"' + csvText(value).replace(/"/g, '""') + '"';
  };
  const toCsv = (header, rows) =>
    [header, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";

  const saveAs = (href, name) => {
    const link = document.createElement("a");
    link.href = href;
    link.download = name;
    link.click();
  };
  const saveCsv = (text, name) => {
    // The mark at the start tells spreadsheets that the file is UTF-8.
    const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    saveAs(url, name);
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };
  const fileName = (id, ending) => {
    const page = decodeURIComponent(location.pathname.split("/").pop() || "report");
    return `${page.replace(/\.html?$/, "")}-${id}.${ending}`;
  };
  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Vega's own tooltip writes HTML and shows images; this one writes text.
  let tip = null;
  const hideTip = () => {
    if (tip) tip.hidden = true;
  };
  const showTip = (event, lines) => {
    if (!tip) {
      tip = make("div", { className: "tip", hidden: true });
      tip.setAttribute("aria-hidden", "true");
      document.body.append(tip);
    }
    tip.hidden = false;
    const write = (v) => (v !== null && typeof v === "object" ? JSON.stringify(v) : String(v));
    const bdi = (className, v) => make("bdi", { className, textContent: write(v) });
    const rows = lines.map(([key, v]) =>
      make("div", {}, key === null ? [bdi("", v)] : [bdi("key", key), bdi("", v)]),
    );
    tip.replaceChildren(...rows);
    const box = tip.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const right = event.clientX + 14;
    const below = event.clientY + 14;
    const flipX = right + box.width > width;
    const flipY = below + box.height > window.innerHeight;
    tip.style.left = Math.max(4, flipX ? event.clientX - box.width - 8 : right) + "px";
    tip.style.top = Math.max(4, flipY ? event.clientY - box.height - 8 : below) + "px";
  };
  return { inflate, inflateBytes, showTip, hideTip, toCsv, saveAs, saveCsv, fileName, make };
})();
