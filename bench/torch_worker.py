"""Steps of torch's optimizers, timed in a process of their own: torch may need another Python.

It is told one thing a line: "case MODE OPTIMIZER SHAPES" makes the parameters, "step" times a step
with new gradients in cold caches and answers with milliseconds.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch

Shapes = list[tuple[int, ...]]


def steps(mode: str, name: str, shapes: Shapes) -> Iterator[float]:
    """Endless steps; each yields its milliseconds."""
    torch.manual_seed(0)
    values = [torch.randn(shape) for shape in shapes]
    parameters = [value.clone().requires_grad_() for value in values]
    options: dict[str, Any] = {} if mode == "compile" else {mode: True}
    optimizer = getattr(torch.optim, name)(parameters, lr=1e-3, **options)
    step = torch.compile(optimizer.step) if mode == "compile" else optimizer.step
    scrub = torch.zeros(32 * 2**20)
    while True:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.grad = value.clone()
        scrub += 1
        start = time.perf_counter()
        step()
        yield (time.perf_counter() - start) * 1e3


def main() -> None:
    """Serve until the input ends."""
    running = iter(())
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "case":
            mode, name, shapes = rest.split(" ", 2)
            running = steps(mode, name, [tuple(shape) for shape in json.loads(shapes)])
            print("ready", flush=True)
        else:
            print(next(running), flush=True)


if __name__ == "__main__":
    main()
