"""Accuracy without labels or training: each way of `converters/factorize` on two LeNets.

    python benchmarks/factorize/measure.py [--only first_layer blocks dictionary chain lenet_5]

trains both networks where build/factorize/ does not hold them yet, and writes results.json and the
tables of README.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sparse_chain
from networks import MANY, Lenet5, Lenet300, accuracy

from tflm_sparsesep.converters.factorize import (
    chain,
    dictionary,
    gram,
    low_rank,
    separation,
    sparse_refit,
)
from tflm_sparsesep.converters.factorize.gram import Gram, Matrix
from tflm_sparsesep.datasets import Dataset, load_demo_dataset

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
FEW = 2_000  # unlabelled samples
DAMPING = 1e-2
BLOCKS = ((1, 1), (4, 1), (1, 4), (2, 4), (4, 4))

Row = dict[str, Any]
# Weights [rows, cols] and a Gram matrix -> compressed weights.
Compress = Callable[[Matrix, Gram], Matrix]

# The figures to beat, of a LeNet-300-100 whose dense accuracy was 89.35.
FIRST_LOOK: dict[str, tuple[float | None, ...]] = {
    "SVD": (88.2, 86.1, 82.2, None),
    "SVD, data": (89.0, 88.3, 86.6, None),
    "magnitude": (86.6, 81.0, 73.5, None),
    "one-shot": (88.7, 88.1, 87.2, None),
    "shrink, 5 steps": (None, 89.1, 88.5, 88.3),
    "48 atoms x sparse code": (None, None, 88.7, None),
}
FIRST_LOOK_DENSE = 89.35
SHARES = (0.25, 0.15, 0.10, 0.07)
DATA_FREE = ("SVD", "magnitude")
ATOMS = 48


def first_layer(data: Dataset) -> list[Row]:
    """Only the first layer compressed, 2,000 samples."""
    net = Lenet300(data)
    w = net.layers[0].weights
    seen = gram.accumulate([net.x[:FEW]]).damped(DAMPING)
    free = gram.identity(w.shape[1])
    matter = chain.importance(net.layers, net.x[:FEW])[0]
    rows: list[Row] = []
    for share in SHARES:
        for name, compress in first_layer_ways(round(share * w.size), w.shape, matter).items():
            moments = free if name in DATA_FREE else seen
            found = compress(w, moments)
            row: Row = {"way": name, "share": share, "accuracy": net.with_first(found, moments)}
            rows.append(row | {"error": round(seen.error(w - found), 3)})
            print(rows[-1], flush=True)
    return rows


def first_layer_ways(count: int, shape: tuple[int, ...], importance: Matrix) -> dict[str, Compress]:
    """Each way with `count` weights left; of two factors, both count."""
    rank = low_rank.rank_for(count, *shape)
    ways: dict[str, Compress] = {
        "SVD": lambda w, g: low_rank.svd(w, rank, g).weights,
        "SVD, data": lambda w, g: low_rank.svd(w, rank, g).weights,
        "magnitude": lambda w, g: sparse_refit.magnitude(w, count),
        "one-shot": lambda w, g: sparse_refit.one_shot(w, g, count),
        "admm": lambda w, g: sparse_refit.admm(w, g, count),
        "search": lambda w, g: sparse_refit.search(w, g, count, exchanges=20),
        "search, importance": lambda w, g: sparse_refit.search(
            w, g, count, importance=importance, exchanges=20
        ),
    }
    if count <= 0.15 * shape[0] * shape[1]:  # supports of most columns take minutes
        ways["shrink, 5 steps"] = lambda w, g: sparse_refit.shrink(w, g, count)
    code = count - ATOMS * shape[0]
    if code > 0:
        ways[f"{ATOMS} atoms x sparse code"] = lambda w, g: (
            dictionary.learn(w, g, ATOMS, code).weights
        )
    return ways


def first_layer_table(rows: list[Row], dense: float) -> list[str]:
    """Drops in points, ours and the first look's."""
    heads = " | ".join(f"{share:.0%}" for share in SHARES)
    lines = [f"| way | {heads} |", "|---" * (len(SHARES) + 1) + "|"]
    for way in dict.fromkeys(row["way"] for row in rows):
        cells = []
        for at, share in enumerate(SHARES):
            mine = [r["accuracy"] for r in rows if (r["way"], r["share"]) == (way, share)]
            before = FIRST_LOOK.get(way, (None,) * len(SHARES))[at]
            old = "" if before is None else f" (was {before:.1f}, {before - FIRST_LOOK_DENSE:+.1f})"
            cells.append(f"{mine[0]:.2f}, {mine[0] - dense:+.2f}{old}" if mine else "")
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return lines


def blocks(data: Dataset) -> list[Row]:
    """The first layer in blocks, a tenth of its weights, 2,000 samples."""
    net = Lenet300(data)
    w = net.layers[0].weights
    seen = gram.accumulate([net.x[:FEW]]).damped(DAMPING)
    rows = []
    for block, way in itertools.product(BLOCKS, ("magnitude", "one_shot", "admm")):
        count = w.size // 10
        if way == "magnitude":
            found = sparse_refit.magnitude(w, count, block=block)
        else:
            found = getattr(sparse_refit, way)(w, seen, count, block=block)
        row: Row = {"block": f"{block[0]}x{block[1]}", "way": way}
        row |= {"accuracy": net.with_first(found, seen), "error": round(seen.error(w - found), 2)}
        rows.append(row)
        print(row, flush=True)
    return rows


def blocks_table(rows: list[Row], dense: float) -> list[str]:
    ways = list(dict.fromkeys(row["way"] for row in rows))
    lines = [f"| block | {' | '.join(ways)} |", "|---" * (len(ways) + 1) + "|"]
    for block in dict.fromkeys(row["block"] for row in rows):
        cells = [f"{r['accuracy']:.2f} ({r['error']:.0f})" for r in rows if r["block"] == block]
        lines.append(f"| {block} | {' | '.join(cells)} |")
    return lines


def dictionaries(data: Dataset) -> list[Row]:
    """Basis x code against SVD at the same bytes, with and without data, on every FC layer."""
    net = Lenet300(data)
    flow = chain.forward(net.layers, net.x)
    cases = [("LeNet-300-100", net.layers[i].weights, flow.inputs[i]) for i in range(3)]
    five = Lenet5(data)
    features = five.features(five.kernels[1], five.biases[1], five.x[:4_000])
    tail = chain.forward(five.tail, features)
    cases += [("LeNet-5", five.tail[i].weights, tail.inputs[i]) for i in range(2)]
    rows = []
    for (name, w, inputs), share in itertools.product(cases, (0.25, 0.15)):
        seen = gram.accumulate([inputs[:FEW]]).damped(DAMPING)
        unseen = gram.accumulate([inputs[FEW : 2 * FEW]]).about(seen.mean)
        free, size = gram.identity(w.shape[1]), int(share * w.size)
        rank = low_rank.rank_for(size, *w.shape)
        if rank < 1:
            continue
        found = {
            "svd": low_rank.svd(w, rank, free).weights,
            "dictionary": dictionary.learn_for_bytes(w, free, size, turns=3).weights,
            "svd_data": low_rank.svd(w, rank, seen).weights,
            "dictionary_data": dictionary.learn_for_bytes(w, seen, size, turns=3).weights,
        }
        whole = unseen.error(w)
        # Without data the mean of the inputs is not known either: the bias stays.
        zero_mean = unseen.about(np.zeros(len(unseen.mean)))
        row: Row = {"layer": f"{name} {w.shape[1]}->{w.shape[0]}", "share": share}
        for way, weights in found.items():
            moments = unseen if way.endswith("data") else zero_mean
            row[way] = round(100 * moments.error(w - weights) / whole, 3)
            frobenius = np.square(w - weights).sum() / np.square(w).sum()
            row[f"{way}_frobenius"] = round(100 * float(frobenius), 3)
        rows.append(row)
        print(row, flush=True)
    return rows


def dictionaries_table(rows: list[Row], dense: float) -> list[str]:
    ways = ("svd", "dictionary", "svd_data", "dictionary_data")
    lines = [
        "| layer | bytes | SVD | basis x code | SVD, data | basis x code, data |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = " | ".join(f"{row[way]:.2f}" for way in ways)
        lines.append(f"| {row['layer']} | {row['share']:.0%} | {cells} |")
    return lines


def whole_chain(data: Dataset) -> list[Row]:
    """All three layers of LeNet-300-100."""
    net = Lenet300(data)
    size = sum(layer.weights.size for layer in net.layers)
    ways: dict[str, dict[str, Any]] = {
        f"closed form, {FEW:,} samples": {"samples": FEW, "stages": 1, "refits": 0},
        f"closed form, {MANY:,} samples": {"samples": MANY, "stages": 1, "refits": 0},
        f"joint refit, 3 stages, {MANY:,} samples": {"samples": MANY, "stages": 3, "refits": 2},
    }
    rows = []
    for share, (name, how) in itertools.product((0.10, 0.07, 0.05, 0.04, 0.03), ways.items()):
        if how["refits"] and share > 0.05:
            continue  # there, closed forms lose little
        options = {key: value for key, value in how.items() if key != "samples"}
        found = sparse_chain.sparsify(
            net.layers, net.x[: how["samples"]], round(share * size), **options
        )
        left = [int(np.count_nonzero(layer.weights)) for layer in found]
        row = {"way": name, "share": share, "nonzeros": left, "accuracy": net.accuracy(found)}
        rows.append(row)
        print(row, flush=True)
    return rows


def chain_table(rows: list[Row], dense: float) -> list[str]:
    shares = list(dict.fromkeys(row["share"] for row in rows))
    heads = " | ".join(f"{share:.0%}" for share in shares)
    lines = [f"| way | {heads} |", "|---" * (len(shares) + 1) + "|"]
    for way in dict.fromkeys(row["way"] for row in rows):
        found = {row["share"]: row["accuracy"] for row in rows if row["way"] == way}
        cells = [f"{found[s]:.2f}, {found[s] - dense:+.2f}" if s in found else "" for s in shares]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return lines


def lenet_5(data: Dataset) -> list[Row]:
    """The second convolution separated, then the FC layers made sparse behind it."""
    net = Lenet5(data)
    kernel, bias = net.kernels[1], net.biases[1]
    patches = (gram.patches(part, (5, 5)) for part in np.array_split(net.hidden(net.x[:FEW]), 8))
    seen = gram.accumulate(patches).damped(DAMPING)
    dense = accuracy(net.tail, net.features(kernel, bias, net.x_test), net.labels)
    rows: list[Row] = [{"convolution": "dense", "macs": kernel.size, "accuracy": dense}]
    for rank, (name, moments) in itertools.product((5, 10, 20), (("", None), (", data", seen))):
        found = separation.separate(kernel, rank, moments)
        rows.append(_with_convolution(net, f"separated, K={rank}{name}", found, moments))
    for ranks, (name, moments) in itertools.product(
        ((5, 10), (8, 16)), (("", None), (", data", seen))
    ):
        small = separation.tucker(kernel, ranks, moments)
        rows.append(_with_convolution(net, f"Tucker {ranks}{name}", small, moments))
    ten = separation.separate(kernel, 10, seen)
    shift = seen.bias_shift(_flat(kernel), _flat(ten.kernel))
    train, test = (net.features(ten.kernel, bias + shift, x) for x in (net.x, net.x_test))
    size = sum(layer.weights.size for layer in net.tail)
    for share in (0.05, 0.02):
        tail = sparse_chain.sparsify(net.tail, train, round(share * size), stages=1, refits=0)
        about = f"separated, K=10, data; FC layers {share:.0%}, closed form"
        weights = ten.macs + sum(int(np.count_nonzero(layer.weights)) for layer in tail)
        row = {"convolution": about, "macs": ten.macs, "weights": weights}
        rows.append(row | {"accuracy": accuracy(tail, test, net.labels)})
        print(rows[-1], flush=True)
    return rows


def _with_convolution(
    net: Lenet5,
    name: str,
    found: separation.Separated | separation.Tucker,
    moments: Gram | None,
) -> Row:
    kernel, bias = net.kernels[1], net.biases[1]
    if moments is not None:
        bias = bias + moments.bias_shift(_flat(kernel), _flat(found.kernel))
    features = net.features(found.kernel, bias, net.x_test)
    row = {"convolution": name, "macs": found.macs}
    row |= {"accuracy": accuracy(net.tail, features, net.labels)}
    print(row, flush=True)
    return row


def _flat(kernel: Matrix) -> Matrix:
    return kernel.reshape(len(kernel), -1)


def lenet_5_table(rows: list[Row], dense: float) -> list[str]:
    base = rows[0]["accuracy"]
    lines = ["| second convolution | MACs per pixel | accuracy |", "|---|---|---|"]
    for row in rows:
        change = f"{row['accuracy']:.2f}, {row['accuracy'] - base:+.2f}"
        lines.append(f"| {row['convolution']} | {row['macs']:,} | {change} |")
    return lines


SECTIONS: dict[str, tuple[Callable[[Dataset], list[Row]], Callable[..., list[str]]]] = {
    "first_layer": (first_layer, first_layer_table),
    "blocks": (blocks, blocks_table),
    "dictionary": (dictionaries, dictionaries_table),
    "chain": (whole_chain, chain_table),
    "lenet_5": (lenet_5, lenet_5_table),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    chosen = parser.parse_args().only
    data = load_demo_dataset()
    document: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    net = Lenet300(data)
    document |= {"command": "python benchmarks/factorize/measure.py", "data": data.name}
    document["dense_accuracy"] = net.accuracy(net.layers)
    for name in chosen:
        document[name] = SECTIONS[name][0](data)
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
        write_tables(document)


def write_tables(document: dict[str, Any]) -> None:
    """The measured sections' tables into README.md."""
    text = README.read_text()
    for name in [name for name in SECTIONS if name in document]:
        head, rest = text.split(f"<!-- {name} -->\n")
        tail = rest.split("<!-- end -->\n", 1)[1]
        lines = SECTIONS[name][1](document[name], document["dense_accuracy"])
        table = "".join(f"{line}\n" for line in lines)
        text = f"{head}<!-- {name} -->\n{table}<!-- end -->\n{tail}"
    README.write_text(text)


if __name__ == "__main__":
    main()
