"""One function over a grid of parameters. Yours is point(); the rest calls it.

sweep.py point       the point of this folder's parameters.json   -> result.json
sweep.py gather      all points                                   -> results.csv
"""

# Runs on the cluster's Python, which may be an old one; print is its voice.
# ruff: noqa: T201

import csv
import json
import sys
from pathlib import Path


def point(a, b):
    """Your calculation: numbers and words in, a dictionary of results out."""
    numbers = [x for x in [a, b] if not isinstance(x, str)]
    return {"sum": sum(numbers)}


def one():
    parameters = load("parameters.json")
    save("result.json", lambda file: json.dump(point(**parameters), file, indent=1))


def gather():
    """A row for each folder of folders.txt: its parameters, then its results."""
    rows = []
    for folder in Path("folders.txt").read_text(encoding="utf-8").split():
        row, result = (load(f"../{folder}/{name}.json") for name in ("parameters", "result"))
        both = sorted(set(row) & set(result))
        if both:
            sys.exit("a result has the name of a parameter: " + ", ".join(both))
        rows.append(dict(row, **result))
    columns = list(dict.fromkeys(name for row in rows for name in row))

    def write(file):
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)

    save("results.csv", write)
    print(len(rows), "points")


def load(name):
    return json.loads(Path(name).read_text(encoding="utf-8"))


def save(name, write):
    """Put a file in place whole, so that one that is there is finished."""
    part = Path(name + ".part")
    with part.open("w", encoding="utf-8") as file:
        write(file)
    part.replace(name)


if __name__ == "__main__":
    {"point": one, "gather": gather}[sys.argv[1]]()
