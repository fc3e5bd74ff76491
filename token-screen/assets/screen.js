"use strict";
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);

  // The page with a value: what the browser keeps of it is the list.
  const reveal = one("#reveal");
  if (reveal) {
    history.replaceState(null, "", reveal.dataset.list);
    for (const field of all("[data-secret]")) {
      field.addEventListener("focus", () => field.select());
    }
    for (const button of all("[data-copy]")) {
      button.hidden = !navigator.clipboard;
      button.addEventListener("click", async () => {
        const field = document.getElementById(button.dataset.copy);
        const told = one("#copied");
        told.textContent = "";
        try {
          await navigator.clipboard.writeText(field.value);
          told.textContent = button.dataset.done;
        } catch {
          field.focus();
        }
      });
    }
    addEventListener("pagehide", () => {
      for (const field of all("[data-secret]")) field.value = "";
    });
    // It comes back as the list.
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  // A summary of faults takes the focus, wherever it is on the page.
  (one("#faults") || one("#again"))?.focus();

  // One click sends one form. A page that comes back by Back can be sent again.
  for (const form of all("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
    });
  }
  addEventListener("pageshow", () => {
    for (const form of all("[data-sent]")) delete form.dataset.sent;
  });

  // What a form is about to allow, in words, as it is filled in.
  const form = one("[data-form]");
  if (form) {
    const summary = one("#summary");
    const said = () => {
      const chosen = [...form.querySelectorAll("[data-says]:checked")].map((input) => input.dataset.says);
      summary.textContent = chosen.filter(Boolean).join(" · ");
      summary.hidden = false;
    };
    form.addEventListener("change", said);
    for (const [field, radio] of [["date", "[name=expires][value=date]"], ["resources", "[name=reach][value=some]"]]) {
      one("#" + field).addEventListener("input", () => {
        one(radio).checked = true;
        said();
      });
    }
    // A preset is chosen without losing what was typed.
    for (const link of all("[data-preset]")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        const scopes = link.dataset.preset.split(" ");
        for (const none of form.querySelectorAll("[value=none]")) none.checked = true;
        for (const input of form.querySelectorAll("[data-scope]")) {
          if (!input.disabled) input.checked = scopes.includes(input.dataset.scope) || (input.type === "radio" && input.checked);
        }
        said();
      });
    }
    said();
  }
})();
