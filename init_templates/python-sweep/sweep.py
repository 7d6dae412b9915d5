"""One function over a grid of parameters. Yours is point(); the rest calls it.

    sweep.py point       the point of this folder's parameters.json   -> result.json
    sweep.py gather      all points                                   -> results.csv
"""

# Runs on the cluster's Python, which may be an old one; print is its voice.
# ruff: noqa: T201

import csv
import json
import os
import sys


def point(a, b):
    """Your calculation: numbers and words in, a dictionary of results out."""
    numbers = [x for x in [a, b] if not isinstance(x, str)]
    return {"sum": sum(numbers)}


def one():
    with open("parameters.json", encoding="utf-8") as file:
        parameters = json.load(file)
    save("result.json", lambda file: json.dump(point(**parameters), file, indent=1))


def gather():
    """A row for each folder of folders.txt: its parameters, then its results."""
    rows = []
    with open("folders.txt", encoding="utf-8") as file:
        folders = file.read().split()
    for folder in folders:
        row, result = (load(folder, name) for name in ("parameters.json", "result.json"))
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


def load(folder, name):
    with open(os.path.join("..", folder, name), encoding="utf-8") as file:
        return json.load(file)


def save(name, write):
    """Put a file in place whole, so that one that is there is finished."""
    with open(name + ".part", "w", encoding="utf-8") as file:
        write(file)
    os.replace(name + ".part", name)


if __name__ == "__main__":
    {"point": one, "gather": gather}[sys.argv[1]]()
