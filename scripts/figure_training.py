"""Reward, length, entropy and KL against the step, for every run: each seed thin, their moving mean thick."""

from typing import Any

from matplotlib.figure import Figure

from anatomy import plotting, reporting
from job import run

PANELS = {
    "reward": "mean reward",
    "length": "completion length (tokens)",
    "entropy": "token entropy (nats)",
    "kl": "KL to start model (nats per token)",
}


def main(job: Any, report: Any) -> None:
    table = reporting.read_csv(job.input[0], ["run", "seed", "step", *PANELS])
    figure = Figure(figsize=(plotting.WIDTH, 4.2))
    grid = figure.subplots(2, 2, sharex=True)
    for axes, (name, label) in zip(grid.ravel(), PANELS.items(), strict=True):
        for place, (run_name, rows) in enumerate(table.groupby("run", sort=False)):
            style = plotting.look(place + 1)
            for seed, log in rows.dropna(subset=[name]).groupby("seed"):
                if seed == "all":
                    line = {"ls": style["linestyle"], "lw": 1.6, "label": run_name, "zorder": 3}
                else:
                    line = {"lw": 0.4, "alpha": 0.5}
                axes.plot(log["step"], log[name], color=style["color"], **line)
        axes.set_title(label, loc="left")
        axes.set_ylim(bottom=0)
    for axes in grid[1]:
        axes.set_xlabel("step")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1))
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
