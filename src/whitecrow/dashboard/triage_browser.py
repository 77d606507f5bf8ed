"""What the triage screen does in the browser itself: keys that cannot wait for the server, and the reviewer's name."""

__all__ = ["GUARD_KEYS", "KEEP_NAME", "READ_NAME"]

_NAME = "whitecrow-reviewer"

GUARD_KEYS = """window.wcTriage ??= (window.addEventListener("keydown", (event) => {
  const on = event.target instanceof Element ? event.target : document.body;
  if (on.closest("input, textarea, [contenteditable=true]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const field = { e: "[data-wc-note]", a: "[data-wc-assignee]" }[key];
  const note = field && !document.querySelector(".q-dialog__inner") && document.querySelector(field);
  if (note) {
    event.preventDefault();
    note.focus();
    if (key === "a") note.select();
  }
  const judges = event.repeat && "ynuz".includes(key);
  if (note || judges || (key === "enter" && on.closest("a, summary"))) event.stopImmediatePropagation();
}, true), true)"""
"""A key that is held down judges once. A link or a summary that has the focus keeps its Enter. Note and
assignee get the focus at once: by way of the server, what is typed next would be taken for verdicts."""

READ_NAME = f"(() => {{ try {{ return localStorage.getItem('{_NAME}'); }} catch {{ return null; }} }})()"
"""The name that this browser keeps, if any."""

KEEP_NAME = f"(name) => {{ try {{ localStorage.setItem('{_NAME}', name); }} catch {{}} }}"
"""Keeps the name that a field has now."""
