"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const form = find("filters");
  if (form) {
    form.hidden = false;
    const all = [...document.querySelectorAll(".advisory")];
    const apply = () => {
      const words = find("search").value.trim().toLowerCase();
      const layer = find("layer").value, least = Number(find("least").value), fixable = find("fixable").checked;
      let shown = 0;
      for (const one of all) {
        const data = one.dataset;
        const keep = data.words.includes(words) && Number(data.rank) >= least
          && (layer === "" || data.layer === layer) && (!fixable || data.fixed === "1");
        one.hidden = !keep;
        shown += keep ? 1 : 0;
      }
      for (const one of document.querySelectorAll(".package")) {
        one.hidden = !one.querySelector(".advisory:not([hidden])");
        if (words !== "" && !one.hidden) one.open = true;
      }
      find("none").hidden = shown !== 0;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("#findings details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
})();
