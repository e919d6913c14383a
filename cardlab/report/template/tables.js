// Tables from columns: sorted, searched and paged in the page. Text only ever becomes text nodes.
(() => {
  "use strict";
  const { inflate, toCsv, saveCsv, fileName, passing, make } = cardlab;
  const MOST_ITEMS = 20;
  const MOST_LETTERS = 300;
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const isNumeric = (kind) => kind === "int" || kind === "float" || kind === "share";

  // A column's numbers share their decimals, so that the points stand below each other.
  const formatter = (kind, values) => {
    if (kind === "int") return (value) => value.toLocaleString("en-US");
    if (kind === "share") {
      const percent = { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 };
      const format = new Intl.NumberFormat("en-US", percent);
      return (value) => format.format(value);
    }
    const sizes = values.filter((value) => value).map(Math.abs);
    const largest = sizes.reduce((max, size) => Math.max(max, size), 0);
    const smallest = sizes.reduce((min, size) => Math.min(min, size), Infinity);
    // counts and small rates in one column: no number of decimals suits both
    if (largest >= 1000 && smallest >= 1e-3 && largest > 1e4 * smallest) {
      const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
      const precise = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
      return (value) => (Math.abs(value) >= 1000 ? whole : precise).format(value);
    }
    const digits = largest >= 1000 ? 1 : largest >= 10 ? 2 : 3;
    const format = new Intl.NumberFormat("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    const least = 0.5 * 10 ** -digits;
    return (value) =>
      value !== 0 && Math.abs(value) < least ? value.toExponential(1) : format.format(value);
  };

  const textOf = (value, column) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number" && isNumeric(column.kind)) return column.format(value);
    if (Array.isArray(value)) return value.join(", ");
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  };

  // The columns that hold ids of cards, and what an id of the Hub looks like.
  const IDS = /^(id|id_[ab]|example_ids?|base_model|root|card|nearly the same)$/;
  const ID = /^[a-z0-9][\w.-]{0,95}(\/[\w-][\w.-]{0,95})?$/i;
  const linked = (address, words) =>
    make("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, [words]);

  const fillCell = (cell, value, column) => {
    if (value === null || value === undefined) {
      cell.textContent = "—";
      cell.title = "no value";
      cell.className = "null";
      return;
    }
    if (isNumeric(column.kind)) {
      cell.textContent = textOf(value, column);
      return;
    }
    // One card can have thousands of tags; the search and the CSV have them all.
    const items = Array.isArray(value) ? value : [textOf(value, column)];
    items.slice(0, MOST_ITEMS).forEach((item, i) => {
      const text = String(item);
      const cut = text.length > MOST_LETTERS;
      if (i) cell.append(", ");
      const words = make("bdi", { textContent: cut ? text.slice(0, MOST_LETTERS) + "…" : text });
      cell.append(column.links && ID.test(text) ? linked(column.links + text, words) : words);
      if (cut) cell.title = text.slice(0, 5000);
    });
    const more = items.length - MOST_ITEMS;
    if (more > 0) {
      const words = ` and ${more.toLocaleString("en-US")} more`;
      cell.append(make("span", { className: "null", textContent: words }));
    }
    if (!items.length) cell.append(make("span", { className: "null", textContent: "none" }));
  };

  // Long words may break, so a browser would squeeze a column to a few letters: it keeps room for
  // its longest word of common length, and for long contents so much that three lines hold most.
  const leastWidth = (column, values) => {
    if (isNumeric(column.kind)) return "";
    const texts = values.slice(0, 200).map((value) => textOf(value, column));
    const words = texts.flatMap((text) => text.split(/[\s\-]+/));
    const mean = texts.reduce((sum, text) => sum + text.length, 0) / Math.max(texts.length, 1);
    const longest = words.reduce((max, word) => Math.max(max, word.length), 4);
    const room = Math.max(Math.min(longest, 16) + 1, Math.min(Math.ceil(mean / 3), 36));
    return `calc(${room}ch + 1.4rem)`;
  };

  // Pixels that a column takes on a sheet, where none is narrower than 12 mm; long words may break.
  const SHEET = 640;
  const printed = (column, values) => {
    const texts = values.slice(0, 50).map((value) => textOf(value, column));
    const heads = column.label.split(" ");
    const words = isNumeric(column.kind) ? [...heads, ...texts] : [...heads, ...texts.flatMap((text) => text.split(/[\s\-/_,]+/))];
    return Math.max(46, 6.2 * Math.min(words.reduce((most, word) => Math.max(most, word.length), 0), 22) + 10);
  };

  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));

  class Table {
    constructor(section, content) {
      this.section = section;
      this.data = content.data;
      this.nRows = this.data[0].length;
      this.nTotal = content.n_total;
      const hub = `https://huggingface.co/${cardlab.about(section).hub ?? ""}`;
      this.columns = content.columns.map((column, i) => ({
        ...column,
        links: content.links && IDS.test(column.name) && hub,
        format: isNumeric(column.kind) ? formatter(column.kind, this.data[i]) : String,
      }));
      this.widths = this.columns.map((column, i) => leastWidth(column, this.data[i]));
      this.sheet = this.columns.map((column, i) => printed(column, this.data[i]));
      section.classList.toggle("wide", this.sheet.reduce((sum, width) => sum + width, 0) > SHEET);
      this.rows = Array.from({ length: this.nRows }, (_, i) => i);
      this.shown = this.rows;
      this.query = "";
      this.sort = null;
      this.page = 0;
      this.perPage = 10;
      this.build();
      this.update();
    }

    build() {
      this.headers = this.columns.map((column, i) => this.buildHeader(column, i));
      this.body = make("tbody", { role: "rowgroup" });
      // It scrolls by itself; roles, because one that is displayed as a block loses them.
      const head = make("tr", { role: "row" }, this.headers);
      const parts = [make("thead", { role: "rowgroup" }, [head]), this.body];
      this.scroll = make("table", { className: "scroll", tabIndex: 0, role: "table" }, parts);
      this.scroll.setAttribute("aria-label", this.section.getAttribute("aria-label"));
      this.status = make("p", { className: "status", role: "status" });
      this.section.append(this.buildTop(), this.scroll, this.buildPager());
    }

    buildHeader(column, i) {
      const button = make("button", { type: "button" }, [make("bdi", { textContent: column.label })]);
      button.addEventListener("click", () => this.sortBy(i));
      const header = make("th", { scope: "col", role: "columnheader" }, [button]);
      header.setAttribute("aria-sort", "none");
      if (isNumeric(column.kind)) header.className = "number";
      return header;
    }

    buildTop() {
      const search = make("input", { type: "search", autocomplete: "off", spellcheck: false });
      search.addEventListener("input", () => {
        this.query = search.value.trim().toLowerCase();
        this.page = 0;
        this.update();
      });
      const label = make("label", { className: "search" }, [make("span", { textContent: "Search" }), search]);
      label.hidden = this.nRows <= 10;
      const save = make("button", { type: "button", textContent: "CSV" });
      save.dataset.save = "csv";
      save.setAttribute("aria-label", "Download CSV");
      save.addEventListener("click", () => this.save());
      const title = this.section.getAttribute("aria-label");
      const tools = make("span", { className: "tools" }, [save, ...passing(this.section, title)]);
      return make("div", { className: "top" }, [label, this.status, tools]);
    }

    buildPager() {
      const step = (text, by) => {
        const button = make("button", { type: "button", textContent: text });
        button.addEventListener("click", () => {
          this.page += by;
          this.update();
        });
        return button;
      };
      this.previous = step("Previous", -1);
      this.next = step("Next", 1);
      this.range = make("span", { className: "range" });
      const options = [10, 25, 100].map((n) => make("option", { value: n, textContent: n }));
      const size = make("select", {}, options);
      size.addEventListener("change", () => {
        this.perPage = Number(size.value);
        this.page = 0;
        this.update();
      });
      const label = make("label", {}, [make("span", { textContent: "Rows a page" }), size]);
      const pager = make("div", { className: "pager" }, [this.previous, this.range, this.next, label]);
      pager.hidden = this.nRows <= 10;
      return pager;
    }

    // The first press puts what a reader looks for on top: A for text, the most for numbers. The
    // second turns it round, the third gives the order of the source back.
    sortBy(i) {
      const first = isNumeric(this.columns[i].kind) ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const now = this.sort && this.sort.column === i ? this.sort.direction : null;
      const direction = now === null ? first : now === first ? second : null;
      this.sort = direction && { column: i, direction };
      this.headers.forEach((header, k) =>
        header.setAttribute("aria-sort", direction && k === i ? direction : "none"),
      );
      this.page = 0;
      this.update();
    }

    haystack(row) {
      this.haystacks ??= new Array(this.nRows);
      this.haystacks[row] ??= this.columns
        .map((column, i) => textOf(this.data[i][row], column))
        .join("\n")
        .toLowerCase();
      return this.haystacks[row];
    }

    select() {
      let rows = this.rows;
      if (this.query) rows = rows.filter((row) => this.haystack(row).includes(this.query));
      if (!this.sort) return rows;
      const values = this.data[this.sort.column];
      const sign = this.sort.direction === "ascending" ? 1 : -1;
      const isNull = (row) => values[row] === null || values[row] === undefined;
      return [...rows].sort((a, b) => {
        if (isNull(a) || isNull(b)) return isNull(a) - isNull(b) || a - b;
        return sign * compare(values[a], values[b]) || a - b;
      });
    }

    update() {
      this.shown = this.select();
      const nPages = Math.max(1, Math.ceil(this.shown.length / this.perPage));
      this.page = Math.min(Math.max(this.page, 0), nPages - 1);
      const start = this.page * this.perPage;
      const rows = this.shown.slice(start, start + this.perPage);
      this.body.replaceChildren(...rows.map((row) => this.buildRow(row)));
      this.previous.disabled = this.page === 0;
      this.next.disabled = this.page === nPages - 1;
      const number = (n) => n.toLocaleString("en-US");
      this.range.textContent = rows.length
        ? `${number(start + 1)}–${number(start + rows.length)}`
        : "none";
      const cut = this.nTotal > this.nRows ? ` (first ${number(this.nRows)} of ${number(this.nTotal)})` : "";
      this.status.textContent = `${number(this.shown.length)} of ${number(this.nRows)} rows${cut}`;
    }

    buildRow(row) {
      const cells = this.columns.map((column, i) => {
        const cell = make("td", { role: "cell" });
        fillCell(cell, this.data[i][row], column);
        if (isNumeric(column.kind)) cell.classList.add("number");
        cell.style.minWidth = this.widths[i];
        cell.style.setProperty("--sheet", `${this.sheet[i]}px`);
        cell.dataset.label = this.columns[i].label;
        return cell;
      });
      return make("tr", { role: "row" }, cells);
    }

    save() {
      const rows = this.shown.map((row) => this.data.map((values) => values[row]));
      const text = toCsv(this.columns.map((column) => column.name), rows);
      saveCsv(text, fileName(this.section.id, "csv"));
    }
  }

  window.cardlabTables = [...document.querySelectorAll("section.table")].map(async (section) => {
    try {
      const content = JSON.parse(await inflate(section.querySelector(".packed").textContent));
      return new Table(section, content);
    } catch (error) {
      section.append(make("p", { className: "refused", textContent: `This table cannot be shown: ${error.message}.` }));
      throw error;
    }
  });
})();
