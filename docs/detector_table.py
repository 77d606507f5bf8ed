"""Write the README's table of detectors from the registry: ``make docs``."""

import re
from pathlib import Path

from whitecrow.cli.detectors import card
from whitecrow.core import registry

README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"(<!-- detectors: [^\n]* -->\n).*?(<!-- /detectors -->)", re.DOTALL)


def table() -> str:
    """Return the table in Markdown, one row per registered detector."""
    rows = ["| name | class | idea | data | paper | labels | cost |", "|---|---|---|---|---|---|---|"]
    for about in map(card, registry.names()):
        name = about["name"]
        rows.append(
            f"| [`{name}`](docs/detectors/{name}.md) | `{about['class']}` | {about['summary']} "
            f"| {', '.join(about['kinds'])} | {about['paper']} | {about['labels']} | {about['cost']} |"
        )
    return "\n".join(rows) + "\n"


def with_table(text: str) -> str:
    """Return the README's text with the table put in its place."""
    return _BLOCK.sub(lambda match: match[1] + table() + match[2], text)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
