"""The README's way to an own optimizer in five minutes, word for word."""

import re
import shlex

import numpy as np
import pytest
from building import ROOT
from typer.testing import CliRunner

from lucidgen import Parameter
from lucidgen.commands.app import app


@pytest.fixture
def section():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.split("## Your own optimizer in five minutes")[1].split("\n## ")[0]


def test_the_five_minutes(section, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    shell = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    commands = [shlex.split(line, comments=True) for line in shell.splitlines()]
    ours = [command[1:] for command in commands if command[:1] == ["lucidgen"]]
    assert [command[0] for command in ours] == ["new", "build", "show"]
    for command in ours:
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        if command[0] == "new":
            (written,) = (tmp_path / "mine").glob("*.py")
            assert str(written.relative_to(tmp_path)) in shell
            written.write_text(code)
    from my_optim import Cautious

    assert "Liang et al. 2024" in Cautious.__doc__
    p = Parameter(np.zeros(2))
    optimizer = Cautious([p], lr=0.5, weight_decay=0.0, betas=(0.9, 0.999))
    p.grad = np.array([1.0, 1.0])
    optimizer.step()
    before = p.data.copy()
    p.grad = np.array([1.0, -1e-3])
    optimizer.step()
    assert p.data[0] < before[0]
    assert p.data[1] == before[1], "the momentum and the gradient disagree there"
