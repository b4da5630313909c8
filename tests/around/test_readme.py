"""The README's section on what is around a step, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("library", [np, mx], ids=["numpy", "mlx"])
def test_the_example_runs(library: object) -> None:
    section = README.read_text(encoding="utf-8").split("## Around a step")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    made = (np.full(3, 2.0, np.float16), np.full(3, 2.0, np.float32))
    values = [array if library is np else mx.array(array) for array in made]
    model = list(zip(("norm.weight", "linear.bias"), map(Parameter, values), strict=True))
    seen = []

    def evaluate(model: list[tuple[str, Parameter]]) -> None:
        optimizer, average = names["optimizer"], names["average"]
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0]
        for number in range(1, 5):
            seen.append([float(p.data[0]) for _, p in model])
            assert average.state["updates"] == 0
            for _, p in model:
                p.grad = p.data * 0 + number
            optimizer.step()
        assert float(optimizer.grad_norm) == pytest.approx(2.5 * 6**0.5)
        assert model[0][1].data[0] < 2

    names = {"model": model, "evaluate": lambda model: None}
    exec(code, names)
    evaluate(model)
    assert seen == [[2.0, 2.0]] * 4
    assert names["average"].state["updates"] == 1
