"""Draw a run's report as an SVG: `python docs/report_picture.py RUN.json docs/report.svg`."""

from __future__ import annotations

import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.terminal import render

WIDTH = 100
NEXT_STEPS = "what to do next"


def main(source: Path, target: Path) -> None:
    """Render the report as the terminal shows it, and keep it as a picture that loads nothing from elsewhere."""
    report = RunReport.from_json(source.read_text(encoding="utf-8"))
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    shown = render(report, width=WIDTH, color=True)
    verdicts = shown[: shown.index(NEXT_STEPS)]  # the commands below them are too long for a picture
    console.print(Text.from_ansi(verdicts.rstrip()), soft_wrap=False)
    svg = console.export_svg(title=" ".join(report.base_command), unique_id="quantgate")
    # rich's template fetches a web font, which a picture in a README must not; not all viewers keep leading spaces
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    target.write_text(svg.replace("<svg ", '<svg xml:space="preserve" ', 1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
