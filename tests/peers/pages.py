# SPDX-License-Identifier: 0BSD
"""Whether NAME.html says what NAME.json says: pages.py NAME..., NAME being see, shift or probe."""
import html.parser
import json
import sys


class Page(html.parser.HTMLParser):
    """All text of a page, what its tables' rows hold, and the figures of its tables."""

    def __init__(self, path):
        super().__init__()
        self.text, self.rows, self.cell = "", [], False
        self.feed(open(path, encoding="utf-8").read())

    def handle_starttag(self, tag, attributes):
        self.cell = tag == "td"
        if tag == "tr":
            self.rows.append([])
        if self.cell:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.cell = False

    def handle_data(self, data):
        self.text += data
        if self.cell:
            self.rows[-1][-1] += data


def see(d):
    rows = []
    for layer in d["study"]["layers"]:
        s = layer["selectivity"]
        rows.append([layer["name"], str(layer["channels"]), str(layer["silent"])] +
                    [f"{s[k]:.3f}" for k in ("mean", "quarter", "median", "three_quarters")])
    words = [f"Over {d['study']['pictures']} pictures"]
    for picture in d["pictures"]:
        words += [picture["name"], f"{100 * picture['predicted']['probability']:.1f} %"]
        words += [f"{l['channels'] - l['silent']} of its {l['channels']} channels fire here, at {100 * l['active']:.0f} %" for l in picture["layers"]]
    return rows, words


def shift(d):
    rows = [[l["layer"], str(l["channels"]), *(f"{l[k]:.{n}f}" for k, n in (("distance", 3), ("median", 3), ("sum", 2), ("chance", 3),
                                                                         ("source", 3)))] for l in d["layers"]]
    rows += [[c["class"], c["label"], c["match"]] for c in d["classes"] if c["common"]]
    return rows, d["suggests"] + [f"AUC of {d['auc']:.2f} (95 % interval {d['auc_low']:.2f} to {d['auc_high']:.2f}"]


def probe(d):
    def count(n):
        return f"{n / 1e3:.1f} k" if n >= 1000 else str(n)
    rows = [[r["part"], str(r["features"]), count(r["parameters"]), count(r["macs"]), f"{100 * r['linear']:.1f} %", f"{100 * r['knn']:.1f} %",
             f"{r['logme']:.3f}"] for r in d["depths"]]
    return rows, [d["best"], d["cut"]["command"]]


bad = 0
for name in sys.argv[1:]:
    page = Page(f"{name}.html")
    rows, words = {"see": see, "shift": shift, "probe": probe}[name](json.load(open(f"{name}.json", encoding="utf-8")))
    have = [r for r in page.rows if r]
    absent = [r for r in rows if r not in have] + [w for w in words if w not in page.text]
    strange = [r for r in have if r not in rows]
    print(f"{name}: {len(rows)} rows and {len(words)} sentences and figures; absent: {absent}; not in the JSON: {strange}")
    bad += bool(absent or strange or not rows or not words)
sys.exit(bad != 0)
