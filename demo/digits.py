"""Trains a network on handwritten digits with each generated optimizer, next to the library's own.

Prints a table of test accuracies and step times, and draws the loss curves. This script owns the
settings and what is shown; ``training`` owns the network and the loop.
"""

import argparse
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from training import SEED, MakeOptimizer, Run, has_lucid, train_in_lucid, train_in_mlx

SETTINGS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.05, "momentum": 0.9},
    "Adam": {"lr": 1e-3},
    "AdamW": {"lr": 1e-3},
    "NAdam": {"lr": 1e-3},
    "RAdam": {"lr": 3e-3},
}
PICTURE = Path(__file__).resolve().parents[1] / "build" / "demo" / "digits.png"

Train = Callable[[MakeOptimizer, int, str], Run]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    console = Console()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the libraries say while they are imported
        train, home, theirs = library(arguments.device)
        import lucidgen.optim as ours
    runs: dict[str, tuple[Run, Run | None]] = {}
    for name, settings in SETTINGS.items():
        with console.status(f"training with {name}"):
            mine = train(maker(ours, name, settings), arguments.epochs, arguments.device)
            other = getattr(theirs, name, None)
            runs[name] = (
                mine,
                other and train(maker(theirs, name, settings), arguments.epochs, arguments.device),
            )
    console.print(table(runs, home, arguments.epochs))
    draw(runs, home)
    console.print(f"Loss curves: {os.path.relpath(PICTURE)}")


def library(device: str) -> tuple[Train, str, Any]:
    """Return the training function, its library's name, and the library's own optimizers."""
    if has_lucid():
        import lucid.optim

        return train_in_lucid, f"Lucid, {'MLX' if device == 'gpu' else 'NumPy'}", lucid.optim
    import mlx.optimizers

    return train_in_mlx, "MLX", mlx.optimizers


def maker(package: Any, name: str, settings: dict[str, Any]) -> MakeOptimizer:
    """Return a function from parameters (None: they come with each update) to an optimizer."""
    settings = dict(settings)
    if package.__name__ == "mlx.optimizers":
        settings["learning_rate"] = settings.pop("lr")
        if name in {"Adam", "AdamW"}:
            settings["bias_correction"] = True
        return lambda _: getattr(package, name)(**settings)
    return lambda parameters: getattr(package, name)(parameters, **settings)


def table(runs: dict[str, tuple[Run, Run | None]], home: str, epochs: int) -> Table:
    """Return the comparison as a table."""
    library = home.split(",")[0]
    shown = Table(title=f"Handwritten digits, {epochs} epochs, seed {SEED} ({home})")
    shown.add_column("optimizer")
    for heading in ("test accuracy", "step, ms"):
        shown.add_column(f"lucidgen\n{heading}", justify="right", style="bold")
        shown.add_column(f"{library}'s own\n{heading}", justify="right")
    for name, (mine, other) in runs.items():
        shown.add_row(
            name,
            f"{mine.accuracy:.1%}",
            f"{other.accuracy:.1%}" if other else "-",
            f"{mine.step_ms:.3f}",
            f"{other.step_ms:.3f}" if other else "-",
        )
    return shown


def draw(runs: dict[str, tuple[Run, Run | None]], home: str) -> None:
    """Draw the training losses, generated and own, one panel for each optimizer."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(runs), figsize=(3 * len(runs), 3), sharey=True)
    for axis, (name, (mine, other)) in zip(axes, runs.items(), strict=True):
        epochs = range(1, len(mine.losses) + 1)
        axis.plot(epochs, mine.losses, label="lucidgen")
        if other:
            axis.plot(epochs, other.losses, "--", label=f"{home.split(',')[0]}'s own")
        axis.set(title=name, xlabel="epoch", yscale="log")
        axis.legend()
    axes[0].set_ylabel("training loss")
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
