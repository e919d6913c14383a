// The switches of a page, and where one is. Nothing is stored: a choice lasts as long as the page is open.
(() => {
  "use strict";
  const root = document.documentElement;
  const changed = () => document.dispatchEvent(new Event("cardlab-theme"));
  const applyTheme = (value) => {
    if (value === "auto") delete root.dataset.theme;
    else root.dataset.theme = value;
    changed();
  };
  for (const input of document.querySelectorAll(".theme input")) {
    input.addEventListener("change", () => applyTheme(input.value));
    if (input.checked) applyTheme(input.value); // a browser may restore it after a reload
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  const showCode = document.getElementById("show-code");
  if (showCode) {
    const apply = () => root.toggleAttribute("data-code", showCode.checked);
    showCode.addEventListener("change", apply);
    const blocks = document.querySelectorAll(".code");
    for (const block of blocks) {
      block.firstElementChild.append(cardlab.copyButton("Copy", () => block.querySelector("code").textContent));
    }
    if (!blocks.length) showCode.closest("label").hidden = true;
    apply();
  }
  const contents = document.querySelector(".toc details");
  if (!contents) return;
  if (matchMedia("(max-width: 60rem)").matches) contents.open = false;
  const links = [...contents.querySelectorAll("a")];
  const places = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  const mark = () => {
    const at = places.findLastIndex((place) => place && place.getBoundingClientRect().top < 0.3 * innerHeight);
    links.forEach((link, i) => (i === Math.max(at, 0) ? link.setAttribute("aria-current", "location") : link.removeAttribute("aria-current")));
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      mark();
    });
  }, { passive: true });
  mark();
})();
