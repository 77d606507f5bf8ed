// What the console does in the browser alone: the theme, the address, and keys. No data is handled here.
(() => {
  "use strict";
  const root = document.documentElement;
  const preference = window.matchMedia("(prefers-color-scheme: dark)");
  const KEY = "whitecrow-theme";

  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is switched off: the preference alone decides
    }
  };
  const isDark = () => (kept() ?? (preference.matches ? "dark" : "light")) === "dark";

  // Before the first paint, so that nothing flashes; charts and grids are told once they are there.
  const apply = () => {
    const dark = isDark();
    root.dataset.theme = dark ? "dark" : "light";
    window.Quasar?.Dark.set(dark);
    for (const button of document.querySelectorAll("[data-wc-theme]")) {
      button.setAttribute("aria-pressed", String(dark));
    }
    window.dispatchEvent(new CustomEvent("wc-theme", { detail: dark }));
  };
  apply();
  preference.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => requestAnimationFrame(apply));

  let shortcuts = {};
  const typing = (target) =>
    target instanceof Element &&
    target.closest("input, textarea, select, [contenteditable=true], [role=combobox], [role=listbox]") !== null;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
    if (document.querySelector(".q-dialog__inner") !== null) return; // a dialog has its own keys
    // Enter belongs to what has the focus.
    if (event.key === "Enter" && event.target instanceof Element && event.target.closest("a, summary")) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!Object.hasOwn(shortcuts, name)) return;
    event.preventDefault();
    const { link } = shortcuts[name];
    if (link) window.location.assign(link);
    else emitEvent("wc-key", name);
  });

  let shown = window.location.search;
  window.addEventListener("popstate", () => {
    if (window.location.search === shown) return; // only the fragment changed: a skip link
    shown = window.location.search;
    emitEvent("wc-address", shown);
  });

  // A file goes to the server as it is; the page is told of what comes of it there, and here of what does not arrive.
  document.addEventListener("change", async (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || !field.dataset.wcUpload) return;
    const [file] = field.files;
    if (!file) return;
    field.disabled = true;
    try {
      if (file.size > Number(field.dataset.wcMost)) throw new Error("413");
      const headers = { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(file.name) };
      const answer = await fetch(field.dataset.wcUpload, { method: "POST", body: file, headers });
      if (!answer.ok) throw new Error(String(answer.status));
    } catch (error) {
      emitEvent("wc-upload-refused", error.message);
    } finally {
      field.value = "";
      field.disabled = false;
    }
  });

  window.whitecrow = {
    toggleTheme() {
      try {
        localStorage.setItem(KEY, isDark() ? "light" : "dark");
      } catch {
        return;
      }
      apply();
    },
    applyTheme: apply,
    // The address of the view that is shown; `step` makes it one that the back button returns from.
    show(query, step) {
      const search = query ? `?${query}` : "";
      if (search === window.location.search) return;
      window.history[step ? "pushState" : "replaceState"](window.history.state, "", window.location.pathname + search);
      shown = search;
    },
    keys(given) {
      shortcuts = given;
      document.documentElement.dataset.keys = "ready"; // the page is connected, and listens
    },
    isDark,
  };
})();
