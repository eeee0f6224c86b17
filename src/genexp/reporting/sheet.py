"""A table of texts, and its forms: for the terminal, in Markdown and in LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

LEAST_LABEL = 16
"""Names of rows get at least so many characters, and a third of the table; longer ones go on below."""
GAP = 2
"""Blanks between columns."""
LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "→": r"$\to$", "≤": r"$\le$", "≈": r"$\approx$"},
    **{"\u00d7": r"$\times$", "<": r"$<$", ">": r"$>$", "|": r"$|$", "é": r"\'e", "∞": r"$\infty$"},
}


@dataclass(frozen=True)
class Column:
    """A column of a sheet.

    Attributes:
        name: at its head.
        aim: the arrow and the null value.
        cells: one text per row.
        bold: the rows whose cells are bold.
    """

    name: str
    aim: str
    cells: Sequence[str]
    bold: frozenset[int] = frozenset()

    @property
    def header(self) -> str:
        """The name with its aim, in one line."""
        return f"{self.name} {self.aim}".rstrip()

    @property
    def width(self) -> int:
        """Characters that it takes in a terminal."""
        return max(cell_len(text) for text in (self.name, self.aim, *self.cells))


@dataclass(frozen=True)
class Sheet:
    """Rows with names, and columns in the order of their importance.

    Attributes:
        labels: the rows' names.
        columns: the first are shown where there is no room for all.
        dim: the rows that stand back: the anchors.
        caption: lines below.
        title: above.
        rest: where the columns are that do not fit.
    """

    labels: Sequence[str]
    columns: Sequence[Column]
    dim: frozenset[int] = frozenset()
    caption: Sequence[str] = field(default_factory=tuple)
    title: str | None = None
    rest: str = "scores.jsonl"


def to_terminal(sheet: Sheet, width: int | None = None) -> Table:
    """As many columns as fit whole; the caption says how many are left out.

    Arguments:
        sheet: the table.
        width: characters in a line of the terminal; None for no limit.
    """
    longest = max((cell_len(name) for name in sheet.labels), default=0)
    label = longest if width is None else min(longest, max(LEAST_LABEL, width // 3))
    shown = sheet.columns if width is None else sheet.columns[: _fitting(sheet.columns, width - label)]
    left_out = len(sheet.columns) - len(shown)
    more = [f"{left_out} more {'column is' if left_out == 1 else 'columns are'} in {sheet.rest}"] if left_out else []
    table = Table(
        title=None if sheet.title is None else Text(sheet.title, style="table.title"),
        caption=Text("\n".join([*sheet.caption, *more]), style="table.caption"),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),  # the box's own blank is one more
    )
    table.add_column("", width=label, overflow="fold")
    for column in shown:
        head = Text(f"{column.name}\n{column.aim}")
        table.add_column(head, justify="right", no_wrap=True, min_width=column.width)
    for i, name in enumerate(sheet.labels):
        cells = (Text(column.cells[i], style="bold" if i in column.bold else "") for column in shown)
        table.add_row(Text(name), *cells, style="dim" if i in sheet.dim else None)
    return table


def to_markdown(sheet: Sheet) -> str:
    """All columns; the rows that stand back in italics."""
    lines = [["", *(_plain(column.header) for column in sheet.columns)], ["---", *("---:" for _ in sheet.columns)]]
    for i, name in enumerate(sheet.labels):
        label = f"*{_plain(name)}*" if i in sheet.dim else _plain(name)
        texts = [f"**{column.cells[i]}**" if i in column.bold else column.cells[i] for column in sheet.columns]
        lines.append([label, *texts])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    title = f"### {_plain(sheet.title)}\n\n" if sheet.title else ""
    caption = _plain("\n\n".join(sheet.caption) if sheet.title else "\n".join(sheet.caption))
    return f"{title}{body}\n\n{caption}\n"


def to_latex(sheet: Sheet) -> str:
    """A `table` with `booktabs` rules and all columns; the caption holds what is said below the others."""
    bold = [[i in column.bold for column in sheet.columns] for i in range(len(sheet.labels))]
    rows = []
    for i, name in enumerate(sheet.labels):
        texts = [latex(column.cells[i]) for column in sheet.columns]
        texts = [rf"\textbf{{{text}}}" if strong else text for text, strong in zip(texts, bold[i], strict=True)]
        label = rf"\textit{{{latex(name)}}}" if i in sheet.dim else latex(name)
        first_dim = i in sheet.dim and i > 0 and i - 1 not in sheet.dim
        rows.append((r"\midrule" + "\n" if first_dim else "") + " & ".join([label, *texts]) + r" \\")
    named = sheet.title and not (sheet.caption and sheet.caption[0].startswith(sheet.title))
    sentences = [*([sheet.title] if sheet.title and named else []), *sheet.caption]
    caption = " ".join(latex(line if line.endswith(".") else f"{line}.") for line in sentences)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * len(sheet.columns)}}}",
            r"\toprule",
            " & ".join(["", *(latex(column.header) for column in sheet.columns)]) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def latex(text: str) -> str:
    r"""Text in which nothing is a command of LaTeX.

    Example:
        >>> print(latex("fd_pix ↓ 5 %"))
        fd\_pix $\downarrow$ 5 \%
    """
    return "".join(LATEX.get(sign, sign) for sign in text)


def _fitting(columns: Sequence[Column], width: int) -> int:
    """How many of the first columns fit; the first is always shown."""
    for count, column in enumerate(columns):
        width -= GAP + column.width
        if width < 0:
            return max(count, 1)
    return len(columns)


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
