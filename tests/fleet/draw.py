#!/usr/bin/env python3
"""Draws lines and alerts a day of the simulated month: draw.py DAYS.json OUT.svg (or .png)."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
# The same file for the same numbers.
matplotlib.rcParams["svg.hashsalt"] = "dsplug"
matplotlib.rcParams["svg.fonttype"] = "none"
import matplotlib.pyplot as plt  # noqa: E402


def main(source: str, target: str) -> None:
    with open(source, encoding="utf-8") as file:
        month = json.load(file)
    days = month["days"]
    x = list(range(1, len(days) + 1))
    column = lambda key: [day[key] for day in days]  # noqa: E731
    figure, (lines, alerts) = plt.subplots(2, 1, figsize=(8, 5.2), sharex=True)

    lines.bar(x, column("lines"), color="#3b6ea5", label="changes and base lines")
    lines.bar(
        x,
        column("inventory"),
        bottom=column("lines"),
        color="#c9d6e3",
        label="inventory, the daily record",
    )
    lines.set_ylabel("lines a day")
    lines.set_title(f"{month['hosts']:,} Macs, {len(days)} days (simulated)")
    lines.yaxis.set_major_formatter("{x:,.0f}")
    lines.legend(frameon=False, fontsize=9)

    # None at all has no place on a logarithmic scale, and is no bar.
    alerts.bar([d - 0.2 for d in x], column("alerts_before"), 0.4, color="#e0b9a5",
               label="alerts without suppression")
    alerts.bar([d + 0.2 for d in x], column("alerts"), 0.4, color="#b0452a", label="alerts")
    alerts.set_yscale("symlog", linthresh=1)
    alerts.set_ylim(bottom=0)
    alerts.set_ylabel("alerts a day")
    alerts.set_xlabel("day")
    alerts.set_xlim(0.3, len(days) + 0.7)
    alerts.legend(frameon=False, fontsize=9, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.97))
    for axes in (lines, alerts):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(target, dpi=110, metadata={"Date": None} if target.endswith(".svg") else None)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
