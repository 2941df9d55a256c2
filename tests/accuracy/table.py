"""The table: a figure over several seeds beside what it must reach and what it should."""
import sys

HEAD = ("work", "measured", "spread", "must", "aim", "")


class Figure:
    """One line. better: "<=" or ">=" says on which side of `must` and `aim` the mean over seeds has to lie."""

    def __init__(self, work, values, better, must, aim=None, form="{:.4g}"):
        self.work, self.values, self.better, self.must, self.aim, self.form = work, values, better, must, aim, form
        self.mean = sum(values) / len(values)

    def reaches(self, limit):
        # As printed: a figure that reads like its limit has reached it.
        mean, limit = float(self.form.format(self.mean)), float(self.form.format(limit))
        return mean <= limit if self.better == "<=" else mean >= limit

    def cells(self):
        show = self.form.format
        if self.must is None:
            verdict = ""
        elif not self.reaches(self.must):
            verdict = "BELOW MUST"
        else:
            verdict = "aim reached" if self.aim is not None and self.reaches(self.aim) else "pass"
        spread = f"{show(min(self.values))} .. {show(max(self.values))}" if len(self.values) > 1 else ""
        limit = lambda v: f"{self.better} {show(v)}" if v is not None else ""
        return (self.work, show(self.mean), spread, limit(self.must), limit(self.aim), verdict)


def show(figures, out=sys.stdout):
    """Prints them; how many are below what they must reach."""
    rows = [HEAD] + [f.cells() for f in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    for n, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip(), file=out)
        if n == 0:
            print("-" * (sum(widths) + 2 * len(widths) - 2), file=out)
    return sum(f.must is not None and not f.reaches(f.must) for f in figures)
