"""What the docstrings of detectors say of their parameters."""

import inspect
import re
import unicodedata

__all__ = ["parameter_texts", "plain_text", "summary"]

_HEAD = re.compile(r"^(?P<names>\w+(?:, \w+)*) : (?P<kind>.*)$")
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?([^`]*)`")
_TEX = re.compile(r"\\([A-Za-z]+)")
_SYMBOLS = {"sim": "~", "lVert": "‖", "rVert": "‖", "circ": "∘", "top": "T", "sqrt": "√", "nabla": "∇"}


def _symbol(command: re.Match[str]) -> str:
    """Return the character that a TeX command stands for, or the command if it is none that we use."""
    name = command[1]
    try:
        return _SYMBOLS.get(name) or unicodedata.lookup(f"GREEK SMALL LETTER {name.replace('lambda', 'lamda').upper()}")
    except KeyError:
        return command[0]


def summary(cls: type) -> str:
    """Return the first sentence of a class's docstring."""
    return plain_text((inspect.getdoc(cls) or "").split("\n\n")[0])


def parameter_texts(cls: type) -> dict[str, str]:
    """Return what each parameter means, from the Parameters sections of the class and its bases."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        # Not getdoc: it would give a class without a docstring that of its base.
        texts |= _section(inspect.cleandoc(vars(base).get("__doc__") or ""))
    return texts


def _section(doc: str) -> dict[str, str]:
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", doc, re.MULTILINE | re.DOTALL)
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in found.group(1).splitlines() if found else []:
        head = _HEAD.match(line)
        if head:
            names = head["names"].split(", ")
            texts |= dict.fromkeys(names, "")
        else:
            texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    return {name: plain_text(text) for name, text in texts.items()}


def plain_text(text: str) -> str:
    """Return reStructuredText on one line without its marks."""
    text = _TEX.sub(_symbol, _ROLE.sub(r"\1", text).replace("``", ""))
    return " ".join(re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"\1", text).split())
