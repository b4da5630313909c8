"""What depends on where a module lies, and would break without a word when modules move."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from record_generation_2 import driven, updated

from lucidgen import Parameter
from lucidgen.optim import SGD, AdamW

RECORDED = Path(__file__).with_name("recorded")


def loaded(name: str):
    outer = pickle.loads((RECORDED / f"{name}.pickle").read_bytes())
    return pickle.loads(outer["kept"]), outer["reached"]


@pytest.mark.parametrize("kind", ["numpy", "mlx"])
def test_a_pickle_of_generation_2_goes_on_where_it_stopped(kind):
    (optimizer, scheduler, plateau, average), reached = loaded(kind)
    assert optimizer.accumulated == 1
    assert plateau.optimizer is optimizer
    ours = driven(optimizer, scheduler, 5)
    for our, theirs in zip(ours, reached, strict=True):
        np.testing.assert_array_equal(our, theirs)
    with average.averaged():
        pass


def test_a_pickled_tree_of_generation_2_goes_on_where_it_stopped():
    (optimizer, weights), reached = loaded("tree")
    np.testing.assert_array_equal(np.array(updated(optimizer, weights, 3)["a"]), reached)


def test_a_pickle_of_generation_2_may_hold_a_type_of_mlx():
    pickled = b"clucidgen.runtime.parameters\n_mlx_type\n(Vbfloat16\ntR."
    assert pickle.loads(pickled) is mx.bfloat16


@pytest.mark.parametrize("params", [[Parameter(np.ones(2))], None], ids=["parameters", "trees"])
def test_a_pickle_names_rooms_and_no_modules_within(params):
    optimizer = AdamW(params, accumulation_steps=1 if params is None else 2, master_weights=True)
    if params is None:
        optimizer.init({"w": mx.ones(2)})
    else:
        params[0].grad = np.ones(2)
        optimizer.step()
    optimizer.kind_of_array = mx.float32
    named = set()

    class Noting(pickle.Unpickler):
        def find_class(self, module, name):
            named.add(f"{module}.{name}")
            return super().find_class(module, name)

    assert Noting(io.BytesIO(pickle.dumps(optimizer))).load().kind_of_array is mx.float32
    rooms = {"groups.Group", "groups.Parameter", "groups.States", "step.Accumulation"}
    expected = rooms if params else {"groups.Group"}
    ours = {name for name in named if name.startswith("lucidgen.runtime")}
    assert ours == {f"lucidgen.runtime.{name}" for name in expected}


def test_a_generated_optimizer_refuses_a_state_that_it_does_not_know():
    optimizer = SGD([Parameter(np.ones(2))], lr=0.1, momentum=0.9)
    saved = optimizer.state_dict()
    saved["state"] = {0: {"momentum_buffer": np.ones(2), "another": np.ones(2)}}
    with pytest.raises(ValueError, match="another"):
        optimizer.load_state_dict(saved)


def test_an_optimizer_with_a_step_of_its_own_may_keep_any_state():
    class Own(SGD):
        def step(self, closure=None):
            return super().step(closure)

    optimizer = Own([Parameter(np.ones(2))], lr=0.1, momentum=0.9)
    saved = optimizer.state_dict()
    saved["state"] = {0: {"momentum_buffer": np.ones(2), "another": np.ones(2)}}
    optimizer.load_state_dict(saved)
    (state,) = optimizer.state_dict()["state"].values()
    np.testing.assert_array_equal(state["another"], np.ones(2))


def test_a_warning_names_the_line_that_called_into_the_package():
    weight = Parameter(np.ones(2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SGD([weight, weight], lr=0.1)
    assert [w.filename for w in caught] == [__file__]


@pytest.mark.parametrize(
    "one_each",
    [
        pytest.param(True, id="one of each folder"),
        pytest.param(False, id="all", marks=pytest.mark.complete),
    ],
)
def test_a_change_of_any_module_of_the_compiler_makes_builds_stale(one_each, tmp_path):
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        import lucidgen
        from lucidgen.paths import specs_folder
        """
        f"from {manifest_module()} import inputs_digests; one_each = {one_each}\n"
        """
        root = Path(lucidgen.__path__[0])
        specs = specs_folder(), [specs_folder() / "momentum/sgd.py"]
        before = inputs_digests(*specs)
        chosen = {path.parent if one_each else path: path for path in root.rglob("*.py")}
        for path in chosen.values():
            text = path.read_bytes()
            path.write_bytes(text + b"# changed")
            if inputs_digests(*specs) == before:
                print(path.relative_to(root))
            path.write_bytes(text)
        assert inputs_digests(*specs) == before
        """
    )
    root = Path(__file__).parents[2]
    subprocess.run(
        ["cp", "-r", *(str(root / name) for name in ("lucidgen", "specs", "templates")), tmp_path],
        check=True,
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


def manifest_module() -> str:
    """The module that decides what is stale, wherever it lies."""
    root = Path(__file__).parents[2]
    (path,) = (root / "lucidgen").rglob("manifest.py")
    return ".".join(path.relative_to(root).with_suffix("").parts)
