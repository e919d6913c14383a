// The switches of a page. Nothing is stored: a choice lasts as long as the page is open.
(() => {
  "use strict";
  const root = document.documentElement;
  const applyTheme = (value) => {
    if (value === "auto") delete root.dataset.theme;
    else root.dataset.theme = value;
  };
  for (const input of document.querySelectorAll(".theme input")) {
    input.addEventListener("change", () => applyTheme(input.value));
    if (input.checked) applyTheme(input.value); // a browser may restore it after a reload
  }
  const showCode = document.getElementById("show-code");
  if (showCode) {
    const blocks = document.querySelectorAll("details.code");
    const apply = () => blocks.forEach((block) => (block.open = showCode.checked));
    showCode.addEventListener("change", apply);
    if (!blocks.length) showCode.closest("label").hidden = true;
    if (showCode.checked) apply();
  }
  const contents = document.querySelector(".toc details");
  if (contents && matchMedia("(max-width: 60rem)").matches) contents.open = false;
})();
