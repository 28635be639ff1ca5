"""A report as one HTML file: stylesheet, script, plotly.js and figures inside, no access to any network.

Text of run folders is foreign text: it is escaped, cut to a bounded length, and a content security policy lets no other script
run than the two whose hashes it names.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from measurements.report_parts import Figure, ReportError, Section, Table, plain

MARK = '<meta name="generator" content="joulegrad report">'
"""Stands in every page, so that a page is told from other files."""

HERE = Path(__file__).parent
STYLE, SCRIPT = HERE / "report_page.css", HERE / "report_page.js"
NUMBER = re.compile(r"[-+−]?[\d.,]+(e[-+]?\d+)?( (±|of) [\d.,]+)?( ?(%|[GMkmµnp]?(J|W|s|V|A)))?")
PAGE_MOST = 64 << 20
SHORT, LONG = 24, 60
"""Characters up to which a cell is kept on one line, and from which it gets more width."""


def page(title: str, lead: str, sections: Sequence[Section], library: str | None = None) -> str:
    """Return the page.

    Args:
        library: text of plotly.js; by default that of the installed plotly.

    Raises:
        ImportError: plotly is not installed.
        ReportError: the page would be larger than PAGE_MOST.
    """
    script = SCRIPT.read_text(encoding="utf-8")
    library = _library() if library is None else library
    figures = {part.key: _figure_data(part) for section in sections for part in section.parts if isinstance(part, Figure)}
    scripts = (library, script)
    policy = ("default-src 'none'; script-src " + " ".join(_hash(text) for text in scripts) + "; style-src 'unsafe-inline'; "
              "img-src data: blob:; base-uri 'none'; form-action 'none'")  # fmt: skip
    text = "\n".join([
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">', MARK,
        '<meta name="viewport" content="width=device-width, initial-scale=1">', '<meta name="color-scheme" content="light dark">',
        f"<title>{_text(title)}</title>", f"<style>{STYLE.read_text(encoding='utf-8')}</style>", "</head>", "<body>",
        '<a class="skip" href="#content">Skip to the content</a>', "<header>",
        f"<h1>{_text(title)}</h1>", f"<p>{_text(lead)}</p>",
        _contents(sections), "</header>", '<main id="content">',
        '<noscript><p class="note">Charts need JavaScript; every chart\'s numbers stand in a table below it.</p></noscript>',
        *(_section(section) for section in sections), "</main>",
        f'<script type="application/json" id="figures">{_json(figures)}</script>',
        f"<script>{library}</script>", f"<script>{script}</script>", "</body>", "</html>", "",
    ])  # fmt: skip
    if len(text) > PAGE_MOST:
        raise ReportError(f"the page would have {len(text) >> 20} MiB, more than {PAGE_MOST >> 20}: name fewer runs")
    return text


def is_page(path: Path) -> bool:
    """Return whether a file is a page that this module made. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return MARK.encode() in file.read(4096)


def _library() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _text(text: str) -> str:
    return html.escape(plain(text, 2000))


def _json(data) -> str:
    """Return JSON that cannot end the element that it stands in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _figure_data(figure: Figure) -> dict:
    return {"height": figure.height, "views": [{"name": v.name, "data": v.data, "layout": v.layout} for v in figure.views]}


def _contents(sections: Sequence[Section]) -> str:
    items = "".join(f'<li><a href="#{section.key}">{_text(section.title)}</a></li>' for section in sections)
    return f'<nav aria-label="Contents"><ol>{items}</ol></nav>' if len(sections) > 1 else ""


def _section(section: Section) -> str:
    parts = [f'<section id="{section.key}" aria-labelledby="{section.key}-title">',
             f'<h2 id="{section.key}-title">{_text(section.title)}</h2>']  # fmt: skip
    parts += [f"<p>{_text(remark)}</p>" for remark in section.remarks]
    parts += [_listed("warning", "Warnings", section.warnings), _listed("missing", "What is missing", section.missing)]
    parts += [_figure(part) if isinstance(part, Figure) else _table(part) for part in section.parts]
    return "\n".join([*(part for part in parts if part), "</section>"])


def _listed(kind: str, heading: str, texts: Sequence[str]) -> str:
    if not texts:
        return ""
    items = "".join(f"<li>{_text(text)}</li>" for text in texts)
    return f'<div class="{kind}" role="note"><h3>{heading}</h3><ul>{items}</ul></div>'


def _figure(figure: Figure) -> str:
    key = figure.key
    views = ""
    if len(figure.views) > 1:
        choices = "".join(
            f'<label><input type="radio" name="{key}" value="{index}"{"" if index else " checked"}> {_text(view.name)}</label>'
            for index, view in enumerate(figure.views)
        )
        views = f'<fieldset class="views"><legend>Show</legend>{choices}</fieldset>'
    table = ""
    if figure.table is not None:
        table = f"<details><summary>{_text(figure.table.title)}</summary>{_table(figure.table, heading=False)}</details>"
    return (f'<figure aria-labelledby="{key}-title"><h3 id="{key}-title">{_text(figure.title)}</h3>{views}'
            f'<div class="chart" id="{key}" role="img" tabindex="0" aria-label="{_text(figure.title)}. {_text(figure.said)} '
            f'The numbers are in the table below." style="height:{figure.height}px"></div>'
            f"<figcaption>{_text(figure.said)}</figcaption>{table}</figure>")  # fmt: skip


def _table(table: Table, heading: bool = True) -> str:
    if table.folded and heading:
        inside = _table(table, heading=False)
        return f"<details><summary>{_text(table.title)}: {len(table.rows)} rows</summary>{inside}</details>"
    title = f"<h3>{_text(table.title)}</h3>" if heading else ""
    numeric = [_is_numeric(row[i] for row in table.rows) for i in range(len(table.columns))]
    head = "".join(f'<th scope="col"{_kind("", n)}>{_text(c)}</th>' for c, n in zip(table.columns, numeric, strict=True))
    rows = "".join(f"<tr>{''.join(_cell(cell, numeric[i], not i) for i, cell in enumerate(row))}</tr>" for row in table.rows)
    note = f'<p class="note">{_text(table.note)}</p>' if table.note else ""
    return (f'{title}<div class="scroll" tabindex="0" role="region" aria-label="{_text(table.title)}"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}")  # fmt: skip


def _cell(cell: str, numeric: bool, first: bool) -> str:
    element = ("th", ' scope="row"') if first else ("td", "")
    return f"<{element[0]}{element[1]}{_kind(cell, numeric)}>{_text(cell)}</{element[0]}>"


def _is_numeric(cells: Iterable[str]) -> bool:
    """Return whether a column holds numbers: then it is set to the right."""
    said = [cell for cell in cells if cell not in ("", "none")]
    return bool(said) and all(NUMBER.fullmatch(cell) for cell in said)


def _kind(cell: str, numeric: bool) -> str:
    """Return the class of a cell: number, short text that is not broken, long text that needs width."""
    kind = "n" if numeric else "s" if 0 < len(cell) <= SHORT else "l" if len(cell) > LONG else ""
    return f' class="{kind}"' if kind else ""
