"""The table of values in a chart's README, made from the comments of its values.yaml.

    python tests/delivery/values_table.py       writes the tables anew

A comment that begins with `# --` describes the key under it.
"""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHARTS = [ROOT / "charts/egret-sidecar", ROOT / "charts/egret", ROOT / "deploy/examples/app"]
TABLE = re.compile(r"(<!-- values -->\n).*?(<!-- /values -->)", re.S)


def readme(chart):
    """The README with the table as it should be."""
    text = (chart / "README.md").read_text()
    assert TABLE.search(text), f"{chart}/README.md has no place for the table"
    return TABLE.sub(lambda found: found[1] + table(chart) + found[2], text)


def table(chart):
    text = (chart / "values.yaml").read_text()
    lines = text.splitlines()
    rows = ["| value | default | |", "|---|---|---|"]
    whole = None
    for path, key, value in entries(yaml.compose(text)):
        # A map that is described is told as a whole; one that is not, by its entries.
        if whole and path.startswith(whole):
            continue
        about = description(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode) and value.value:
            if not about:
                continue
            whole = path + "."
        assert about, f"{chart.name}: `{path}` has no description"
        default = json.dumps(yaml.safe_load(yaml.serialize(value)))
        rows.append(f"| `{path}` | `{default}` | {about} |")
    return "\n".join(rows) + "\n"


def entries(node, prefix=""):
    """Every key of a map with its path, and after it the keys of its own map."""
    for key, value in node.value:
        path = prefix + key.value
        yield path, key, value
        if isinstance(value, yaml.MappingNode):
            yield from entries(value, path + ".")


def description(lines, at):
    """The comment above a line, from its `# --` on."""
    found = []
    while at > 0 and lines[at - 1].lstrip().startswith("#"):
        at -= 1
        line = lines[at].lstrip("# ").strip()
        begins = line.startswith("--")
        found.insert(0, line.removeprefix("--").strip())
        if begins:
            return " ".join(found).replace("|", "\\|")
    return ""


if __name__ == "__main__":
    for chart in CHARTS:
        (chart / "README.md").write_text(readme(chart))
