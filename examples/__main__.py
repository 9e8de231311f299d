"""Run examples and write their pictures, figures and the page: `python -m examples digits`, or all of them."""

from __future__ import annotations

import argparse
import ast
import datetime
import importlib
import inspect
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
# In the order of the page.
NAMES = (
    *("digits", "stamps", "hot_dog", "coloring", "spoken_words", "sentiment", "austen", "translation"),
    *("reasoning", "genes", "fraud", "scans", "series", "ski_runs", "games", "driving", "more_examples"),
)
HEAD = """# The gallery

What Instar is for, in {count} examples. Each is at most a page of code, most of it for the picture: a few lines around
`instar.train` do the work. The data comes from packages by name, or is made with a known law, so that nothing has to be
found or asked for.

```
make examples                        # all of them: sets everything up, and takes about an hour on two cores
python -m examples {first}  # one of them, after that; the same command goes on where it was stopped
```

Every figure is of examples that the network never saw. In italics stands what others get: a simpler method on the same
examples, a published result, or the best that is possible.
"""


def run(name: str) -> None:
    """Run an example and write what it shows into its folder."""
    from examples.gallery import write_picture

    shown = importlib.import_module(f"examples.{name}.run").run()
    folder = HERE / name
    picture = write_picture(shown.picture, folder)
    result = {
        "figure": shown.figure,
        "rival": shown.rival,
        "picture": picture.name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "seconds": round(sum(model.report.timings["training"] for model in shown.models)),
    }
    (folder / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{name}: {shown.figure}; {shown.rival}")


def page() -> str:
    """examples/README.md: a table of all, two in a row, and a section each of what the example itself says."""
    cells, sections = [], []
    for name in NAMES:
        result = json.loads((HERE / name / "result.json").read_text(encoding="utf-8"))
        title, about = described(name)
        image = f'<a href="#{name}"><img src="{name}/{result["picture"]}" width="420" alt="{title}"></a>'
        cells.append(f"{image}<br><b>{title}</b><br>{result['figure']}<br><i>{result['rival']}</i>")
        seconds = result["seconds"]
        trained = f"{seconds} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
        cores = f"{result['cores']} core{'' if result['cores'] == 1 else 's'}"
        sections.append(
            f'## <a name="{name}"></a>{title}\n\n{about}\n\n**{result["figure"]}**; {result["rival"]}.\n\n'
            f"[The code]({name}/run.py) · `python -m examples {name}` · "
            f"{result['date']}, {trained} of training on {cores}"
        )
    pairs = [
        "".join(f'<td width="50%" valign="top">{cell}</td>' for cell in cells[first : first + 2])
        for first in range(0, len(cells), 2)
    ]
    table = "\n".join(f"<tr>{pair}</tr>" for pair in pairs)
    head = HEAD.format(count=len(cells), first=f"{NAMES[0]:<7}")
    return "\n".join([head, f"<table>\n{table}\n</table>", "", "\n\n".join(sections), ""])


def described(name: str) -> tuple[str, str]:
    """The title of an example, and what it says of itself: its docstring, which is read without running it."""
    text = ast.get_docstring(ast.parse((HERE / name / "run.py").read_text(encoding="utf-8")))
    title, about = inspect.cleandoc(text or "").split("\n", 1)
    return title.rstrip("."), about.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    asked = parser.parse_args().names or NAMES
    for name in asked:
        if name not in NAMES:
            parser.error(f"there is no example called {name!r}; known: {', '.join(NAMES)}")
        run(name)
    if all((HERE / name / "result.json").exists() for name in NAMES):
        (HERE / "README.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
