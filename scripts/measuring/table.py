"""Results as rows of a Markdown table in the repository, appended as they are measured."""
import datetime
import pathlib

from .cost import machine
from .server import ROOT


class Table:
    """`columns` after the date; the last one is `met` or `missed`."""

    def __init__(self, file, title, words, columns):
        self.path: pathlib.Path = ROOT / file
        self.missed = []
        self.rows = 0
        head = " | ".join(["date", *columns])
        line = "|".join(" --- " for _ in ["date", *columns])
        self.head = f"# {title}\n\n{words}\n\nMachine of the first run: {machine()}.\n\n| {head} |\n|{line}|\n"

    def row(self, what, *cells, met):
        """Appends one row and prints it. `what` is the first cell and names the row when it was missed."""
        verdict = "met" if met else "missed"
        if not met:
            self.missed.append(what)
        self.rows += 1
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")
        clean = [str(cell).replace("|", "\\|").replace("\n", " ") for cell in (what, *cells)]
        if not self.path.exists():
            self.path.write_text(self.head)
        with self.path.open("a") as file:
            file.write(f"| {date} | " + " | ".join([*clean, verdict]) + " |\n")
        print(f"{verdict.upper():6} " + " · ".join(clean), flush=True)

    def close(self):
        """The exit status of the whole run."""
        print(f"{self.rows - len(self.missed)} passed, {len(self.missed)} failed")
        for what in self.missed:
            print(f"missed: {what}")
        return 1 if self.missed or not self.rows else 0


def acceptance():
    """The table of ACCEPTANCE.md."""
    words = "Each row is one figure measured by `make accept` (or one section of it, `make accept ONLY=name`) with the release build."
    return Table("ACCEPTANCE.md", "Acceptance", words, ["section and case", "command", "figure", "promise", "verdict"])
