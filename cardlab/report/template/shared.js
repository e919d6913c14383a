// What charts and tables both need: unpacking, and saving a file.
const cardlab = (() => {
  "use strict";
  const inflate = (base64) => {
    if (!("DecompressionStream" in window)) {
      return Promise.reject(new Error("this browser is too old to unpack it"));
    }
    const bytes = Uint8Array.from(atob(base64.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  // A spreadsheet runs a cell that begins like a formula; an apostrophe makes it text.
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const csvCell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    let text = value;
    if (Array.isArray(value)) text = value.join("; ");
    else if (typeof value === "object") text = JSON.stringify(value);
    text = String(text);
    if (/^[=+\-@\t\r\n＝＋－＠]/.test(text) && !isNumber.test(text)) text = "'" + text;
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
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
  return { inflate, toCsv, saveAs, saveCsv, fileName, make };
})();
