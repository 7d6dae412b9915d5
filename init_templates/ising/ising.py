"""The two-dimensional Ising model by Wolff's cluster algorithm; Python's own library only.

    ising.py thermalise   a start configuration, brought to equilibrium   -> configuration.json
    ising.py sample       measurements on the way from it                 -> samples.txt
    ising.py analyse      means and their error bars                      -> magnetisation.json
    ising.py table DIR…   all temperatures beside Onsager's solution      -> table.txt

The first three work in the current folder, as its parameters.json says. Units: J = k = 1, no
field, periodic edges. Every result is put in place whole, so a file that is there is finished.
"""

# Runs on the cluster's Python, which may be an old one: no zip(strict=), and print is its voice.
# ruff: noqa: B905, T201

import json
import math
import random
import sys
from pathlib import Path

CRITICAL = 2 / math.log(1 + math.sqrt(2))  # 2.269185…, Onsager 1944


def onsager(temperature):
    """The magnetisation per spin of the infinite lattice (Onsager; proof: C. N. Yang, 1952)."""
    if temperature >= CRITICAL:
        return 0.0
    return (1 - math.sinh(2 / temperature) ** -4) ** 0.125


def neighbours(size):
    """For each of the size * size places the four beside it."""
    return [
        (
            row * size + (column + 1) % size,
            row * size + (column - 1) % size,
            (row + 1) % size * size + column,
            (row - 1) % size * size + column,
        )
        for row in range(size)
        for column in range(size)
    ]


def flip_cluster(spins, beside, bond, draw):
    """Turn over one Wolff cluster; returns the number of spins in it.

    ``bond`` is the chance 1 - exp(-2/T) that a like neighbour joins; ``draw`` gives uniform
    random numbers from [0, 1).
    """
    first = int(draw() * len(spins))
    old = spins[first]
    spins[first] = -old
    todo = [first]
    turned = 1
    while todo:
        for place in beside[todo.pop()]:
            if spins[place] == old and draw() < bond:
                spins[place] = -old
                todo.append(place)
                turned += 1
    return turned


def energy(spins, beside):
    """The energy per spin; each bond counts once."""
    right_and_down = sum(s * (spins[b[0]] + spins[b[2]]) for s, b in zip(spins, beside))
    return -right_and_down / len(spins)


def thermalise(given):
    """From random spins to equilibrium; also how many clusters turn over the lattice once.

    That number is fixed here: to stop a sweep of the sampling when enough spins have turned
    would let the size of the clusters choose what is measured, and so bend the means.
    """
    draw = stream(given, "thermalise")
    size = given["size"]
    beside, bond = neighbours(size), 1 - math.exp(-2 / given["temperature"])
    spins = [1 if draw() < 0.5 else -1 for _ in range(size * size)]
    turned = clusters = 0
    for sweep in range(given["thermalisation"]):
        if sweep == given["thermalisation"] // 2:
            turned = clusters = 0
        aim = turned + size * size
        while turned < aim:
            turned += flip_cluster(spins, beside, bond, draw)
            clusters += 1
    each = max(1, round(size * size * clusters / turned))
    print(f"T = {given['temperature']} is in equilibrium; {each} clusters a sweep")
    rows = [
        "".join("+-"[spin < 0] for spin in spins[i : i + size]) for i in range(0, len(spins), size)
    ]
    save("configuration.json", json.dumps({"clusters_per_sweep": each, "spins": rows}, indent=1))


def sample(given):
    """Measure energy and magnetisation per spin after each sweep."""
    start = json.loads(Path("configuration.json").read_text())
    draw = stream(given, "sample")
    beside, bond = neighbours(given["size"]), 1 - math.exp(-2 / given["temperature"])
    spins = [1 if sign == "+" else -1 for sign in "".join(start["spins"])]
    lines = ["# energy and magnetisation per spin"]
    for _ in range(given["sweeps"]):
        for _ in range(start["clusters_per_sweep"]):
            flip_cluster(spins, beside, bond, draw)
        lines.append(f"{energy(spins, beside):.10f} {sum(spins) / len(spins):.10f}")
    print(given["sweeps"], "sweeps measured")
    save("samples.txt", "\n".join(lines))


def analyse(given):
    """Means with error bars: |m|, the energy, and the susceptibility of |m|."""
    lines = Path("samples.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    m = [abs(float(row[1])) for row in rows]
    e = [float(row[0]) for row in rows]
    chi, chi_error = susceptibility(m, given)
    m_error = blocking_error(m)
    result = {
        "temperature": given["temperature"],
        "size": given["size"],
        "sweeps": len(m),
        "magnetisation": mean(m),
        "magnetisation_error": m_error,
        "energy": mean(e),
        "energy_error": blocking_error(e),
        "susceptibility": chi,
        "susceptibility_error": chi_error,
    }
    print(f"|m| = {mean(m):.5f} +- {m_error:.5f}")
    save("magnetisation.json", json.dumps(result, indent=1))


def mean(values):
    return math.fsum(values) / len(values)


def blocking_error(values):
    """The standard error of the mean of correlated values.

    Neighbours are averaged in pairs again and again; the naive error grows until the blocks
    are independent (Flyvbjerg and Petersen 1989). The largest one with 32 blocks or more counts.
    """
    worst = 0.0
    while len(values) >= 32:
        middle = mean(values)
        variance = math.fsum((v - middle) ** 2 for v in values) / (len(values) - 1)
        worst = max(worst, math.sqrt(variance / len(values)))
        values = [(a + b) / 2 for a, b in zip(values[::2], values[1::2])]
    return worst


def susceptibility(m, given, blocks=32):
    """N (<m^2> - <|m|>^2) / T and its jackknife error, leaving out one block at a time."""
    scale = given["size"] ** 2 / given["temperature"]
    long = len(m) // blocks
    sums = [
        (math.fsum(b), math.fsum(x * x for x in b))
        for b in (m[i * long : (i + 1) * long] for i in range(blocks))
    ]
    one, two = math.fsum(s[0] for s in sums), math.fsum(s[1] for s in sums)
    rest = long * (blocks - 1)
    left = [scale * ((two - b) / rest - ((one - a) / rest) ** 2) for a, b in sums]
    middle = mean(left)
    error = math.sqrt((blocks - 1) / blocks * math.fsum((x - middle) ** 2 for x in left))
    total = long * blocks
    return scale * (two / total - (one / total) ** 2), error


def table(folders):
    """All temperatures, in order, beside the exact magnetisation of the infinite lattice."""
    files = [Path(folder) / "magnetisation.json" for folder in folders]
    results = sorted((json.loads(f.read_text()) for f in files), key=lambda r: r["temperature"])
    size = results[0]["size"]
    lines = [
        f"The two-dimensional Ising model, {size} x {size} spins, Wolff clusters",
        "",
        "     T      |m|      error    Onsager     energy      error        chi      error",
    ]
    lines += [
        f"{r['temperature']:6.3f}  {r['magnetisation']:7.5f}  {r['magnetisation_error']:7.5f}"
        f"    {onsager(r['temperature']):7.5f}   {r['energy']:8.5f}    {r['energy_error']:7.5f}"
        f"   {r['susceptibility']:8.4f}   {r['susceptibility_error']:8.4f}"
        for r in results
    ]
    lines += [
        "",
        "|m|, energy and chi are per spin, in units of J and k; errors are one standard deviation.",
        f"Onsager: (1 - sinh(2/T)^-4)^(1/8) below Tc = {CRITICAL:.6f}, 0 above, for the infinite",
        "lattice (C. N. Yang, Phys. Rev. 85, 808, 1952). A finite lattice has no transition: near",
        f"Tc and above, |m| with an edge of {size} differs from it by far more than the error.",
        "What is left above Tc is the mean size of a fluctuation; it falls as 1 / edge.",
    ]
    text = "\n".join(lines)
    print(text)
    save("table.txt", text)


def stream(given, step):
    """Random numbers that only this seed, size, temperature and step have."""
    name = f"ising {given['seed']} {given['size']} {given['temperature']!r} {step}"
    return random.Random(name).random


def save(name, text):
    part = Path(name + ".part")
    part.write_text(text + "\n")
    part.replace(name)


def main(step, *folders):
    if step == "table":
        table(folders)
        return
    given = json.loads(Path("parameters.json").read_text())
    {"thermalise": thermalise, "sample": sample, "analyse": analyse}[step](given)


if __name__ == "__main__":
    main(*sys.argv[1:])
