// The button of a quiz: compares, marks, and opens the fold with the answer. Without it the fold is opened by hand.
(() => {
  "use strict";
  const plain = (text) => text.trim().toLowerCase().replace(/\s+/g, " ");

  function compare(form) {
    const typed = form.querySelector("[type=text]");
    if (typed) {
      if (!plain(typed.value)) return null;
      return typed.dataset.right.split("|").some((right) => plain(right) === plain(typed.value));
    }
    const boxes = [...form.querySelectorAll("input")];
    if (!boxes.some((box) => box.checked)) return null;
    for (const box of boxes) {
      const right = box.hasAttribute("data-right");
      const label = box.closest("label");
      label.classList.toggle("is-right", right);
      label.classList.toggle("is-wrong", !right && box.checked);
    }
    return boxes.every((box) => box.checked === box.hasAttribute("data-right"));
  }

  for (const form of document.querySelectorAll("form.quiz")) {
    const verdict = form.querySelector(".quiz-verdict");
    const why = form.querySelector(".quiz-why");
    const button = document.createElement("button");
    button.type = "submit";
    button.textContent = "Check";
    form.querySelector("fieldset").append(button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const right = compare(form);
      verdict.textContent = right === null ? "Choose first." : right ? "Right." : "Not so.";
      if (right !== null) why.open = true;
    });
    form.addEventListener("input", () => {
      verdict.textContent = "";
      for (const label of form.querySelectorAll("label")) label.classList.remove("is-right", "is-wrong");
    });
    // mdBook takes letters and arrows for its own keys.
    form.addEventListener("keydown", (event) => event.stopPropagation());
  }

  // On paper nothing can be opened.
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
  });
})();
