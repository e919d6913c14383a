// What charts, tables and maps need: unpacking, saving a file, a box beside the pointer.
const cardlab = (() => {
  "use strict";
  const unzip = async (base64) => {
    if (!("DecompressionStream" in window)) {
      throw new Error("this browser is too old to unpack it");
    }
    const text = atob(base64.trim());
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i); // ten times as fast as from()
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
  const saveText = (text, name, type) => {
    const url = URL.createObjectURL(new Blob([text], { type }));
    saveAs(url, name);
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };
  // The mark at the start tells spreadsheets that the file is UTF-8.
  const saveCsv = (text, name) => saveText("\ufeff" + text, name, "text/csv");
  const fileName = (id, ending) => {
    const page = decodeURIComponent(location.pathname.split("/").pop() || "report");
    return `${page.replace(/\.html?$/, "")}-${id}.${ending}`;
  };
  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // --- passing a figure on: its link, how to cite it, its data and pictures

  const about = (element) => {
    const block = element.closest("[data-page]")?.querySelector(".about-page") ?? document.getElementById("cardlab-report");
    return JSON.parse(block?.textContent ?? "{}");
  };
  const linkTo = (element) => `${location.href.split("#")[0]}#${element.id}`;
  const citation = (figure, title) => {
    const { title: page, corpus, day, versions } = about(figure);
    const parts = [title, page, corpus && `Corpus: ${corpus}`, [day, versions].filter(Boolean).join(", "), linkTo(figure)];
    return parts.filter(Boolean).map((part) => part.replace(/[.?!]?$/, (end) => end || ".")).join(" ").replace(/\.$/, "");
  };
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  const copyButton = (label, text) => {
    const button = make("button", { type: "button", textContent: label });
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      await copy(text());
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = label), 1500);
    });
    return button;
  };
  const passing = (figure, title) => [
    copyButton("Copy link", () => linkTo(figure)),
    copyButton("Cite", () => citation(figure, title)),
  ];
  const addTools = (figure, title, saves) => {
    const buttons = saves.map(([kind, label, act]) => {
      const button = make("button", { type: "button", textContent: label });
      button.dataset.save = kind;
      button.setAttribute("aria-label", `Download ${label}`);
      button.addEventListener("click", act);
      return button;
    });
    figure.append(make("p", { className: "tools" }, [...buttons, ...passing(figure, title)]));
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
  return { inflate, inflateBytes, showTip, hideTip, toCsv, saveAs, saveCsv, saveText, fileName, about, copyButton, passing, addTools, make };
})();
