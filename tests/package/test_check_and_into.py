"""`lucidgen build --check`, and `--into`: packages that bring the runtime along."""

import re
import shutil
from pathlib import Path

from building import DERIVED, contents, python, run

from lucidgen.package import writing
from lucidgen.paths import specs_folder

# --check


def test_check_names_what_differs_and_writes_nothing(place):
    (place / "specs/derived.py").write_text(DERIVED)
    run()
    assert run("--check") == (0, "my_optim is up to date\n")
    stale = Path("my_optim/plain.py")
    stale.write_text(stale.read_text().replace("lr: float = 1e-2", "lr: float = 9e-2"))
    Path("my_optim/_mlx/plain.py").unlink()
    (place / "specs/derived.py").unlink()
    before = contents()
    code, output = run("--check")
    assert code == 1
    assert contents() == before
    assert "  stale    plain.py\n" in output
    assert "  missing  _mlx/plain.py\n" in output
    assert "  extra    _numpy/derived.py\n" in output
    assert "-        lr: float = 9e-2,\n+        lr: float = 1e-2,\n" in output
    assert output.endswith("  lucidgen build --specs specs --out my_optim\n")
    assert run()[0] == 0
    assert run("--check")[0] == 0


def test_check_shows_long_differences_in_part(place):
    run()
    path = Path("my_optim/plain.py")
    path.write_text(path.read_text() + "# by hand\n" * 500)
    code, output = run("--check")
    assert code == 1
    assert "more lines" in output
    assert len(output.splitlines()) < 70


# --into


STEP = """
import importlib.util, sys
assert importlib.util.find_spec("lucidgen") is None
from mine.optim import Adam, Optimizer, SGD
from mine.optim._runtime import Parameter
import numpy as np
p = Parameter(np.ones(3))
for kind in (SGD, Adam):
    p.grad = np.ones(3)
    opt = kind([p], lr=0.25)
    assert isinstance(opt, Optimizer)
    opt.step()
from mine.optim._runtime.backends.gpu.kernel import kernel_of
for language in ("metal", "cuda"):
    assert "adam_step(" in kernel_of(Adam.rules["torch"], language).header
print(p.data.round(6).tolist())
assert not [name for name in sys.modules if name.startswith(("lucidgen", "sympy"))]
"""


#: Not in the examples of a docstring, where `>>>` stands before it.
IMPORT = re.compile(r"\s*(import|from) lucidgen")


def test_a_self_contained_package_needs_no_lucidgen(place, numpy_alone):
    for name in ("adam/adam.py", "momentum/sgd.py"):
        shutil.copy(specs_folder() / name, place / "specs")
    into = ["--specs", "specs", "--into", "mine/optim"]
    code, output = run(*into)
    assert code == 0, output
    assert python(STEP, place, numpy_alone) == "[0.5, 0.5, 0.5]\n"
    for path in Path("mine").rglob("*.py"):
        text = path.read_text()
        assert writing.is_generated(path), path
        assert not [line for line in text.splitlines() if IMPORT.match(line)], path
    assert run(*into) == (0, "mine/optim is up to date\n")
    assert run(*into, "--check")[0] == 0
    Path("mine/optim/_runtime/rules/ieee.py").write_text(f"# {writing.MARK}\n")
    code, output = run(*into, "--check")
    assert code == 1
    assert "  stale    _runtime/rules/ieee.py\n" in output
    assert "--into mine/optim" in output
    assert run("--into", "x", "--out", "y")[0] == 2


def test_another_kind_of_package_in_the_same_folder_is_noticed(place):
    assert run("--into", "my_optim")[0] == 0
    assert Path("my_optim/_runtime").is_dir()
    assert run()[0] == 0
    assert not Path("my_optim/_runtime").exists()
    assert "from lucidgen.runtime import" in Path("my_optim/plain.py").read_text()
    assert run("--into", "my_optim")[0] == 0
    assert Path("my_optim/_runtime").is_dir()
