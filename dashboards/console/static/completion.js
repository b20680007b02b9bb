// Completion in the filter box: the words that begin as what is typed does.
"use strict";
(() => {
  const box = document.querySelector("[data-search]"), list = document.querySelector(".search .options");
  if (box && list) {
    const words = JSON.parse(box.dataset.words || "[]");
    let at = -1;
    const word = () => box.value.slice(0, box.selectionStart).split(/\s+/).pop();
    function take(text) {
      const end = box.selectionStart, start = end - word().length;
      const whole = text.endsWith(":") || text.endsWith(".") || text.endsWith('"') ? text : `${text} `;
      box.value = box.value.slice(0, start) + whole + box.value.slice(end).trimStart();
      box.setSelectionRange(start + whole.length, start + whole.length);
      list.hidden = true; box.setAttribute("aria-expanded", "false");
      box.focus();
    }
    function offer() {
      const begun = word().toLowerCase();
      const fit = words.filter((one) => one.startsWith(begun) && one !== begun).slice(0, 12);
      at = -1;
      list.replaceChildren(...fit.map((one, number) => {
        const node = document.createElement("li");
        node.textContent = one; node.id = `option-${number}`; node.setAttribute("role", "option");
        node.addEventListener("mousedown", (event) => { event.preventDefault(); take(one); offer(); });
        return node;
      }));
      list.hidden = !fit.length || document.activeElement !== box;
      box.setAttribute("aria-expanded", String(!list.hidden));
    }
    box.addEventListener("input", offer);
    box.addEventListener("focus", offer);
    box.addEventListener("blur", () => { list.hidden = true; box.setAttribute("aria-expanded", "false"); });
    box.addEventListener("keydown", (event) => {
      const nodes = [...list.querySelectorAll("li")];
      if (list.hidden || !nodes.length) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        at = (at + (event.key === "ArrowDown" ? 1 : -1) + nodes.length) % nodes.length;
        nodes.forEach((one, number) => one.setAttribute("aria-selected", String(number === at)));
        box.setAttribute("aria-activedescendant", nodes[at].id);
        nodes[at].scrollIntoView({ block: "nearest" });
      } else if (event.key === "Tab" || (event.key === "Enter" && at >= 0)) {
        event.preventDefault(); take(nodes[Math.max(at, 0)].textContent); offer();
      }
    });
  }
})();
