"""What is prepared for a Mac works as far as it can be tried without one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import mlx.core as mx
import pytest
from readings import sampled

from lucidgen.verify.gpu.machine import Machine
from lucidgen.verify.gpu.subjects import Subject

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def on_a_mac() -> ModuleType:
    """The module that `make test-metal` runs."""
    path = Path(__file__).with_name("on_a_mac.py")
    spec = importlib.util.spec_from_file_location("on_a_mac", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["on_a_mac"] = module
    spec.loader.exec_module(module)
    return module


#: First updates; states that live at times; scalars that are states; conditions on the host.
CLASSES = ("SGD-nesterov", "Adam-amsgrad", "NAdam-weight_decay=0.1", "RAdam")


@pytest.mark.parametrize("name", sampled(CLASSES, ("Adam-amsgrad", "RAdam"), str))
def test_kernels_follow_torchs_trajectories_on_this_machine(
    name: str, on_a_mac: ModuleType
) -> None:
    machine = Machine(at_once=True)
    with machine.installed():
        on_a_mac.test_kernels_follow_torchs_recorded_trajectories(name)
    machine.close()
    assert machine.texts


def test_kernels_are_compared_with_mlx_functions(
    on_a_mac: ModuleType,
    emitted: Callable[[str], list[Subject]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (lars,) = emitted("lars")
    machine = Machine(at_once=True)
    monkeypatch.setattr(on_a_mac, "SIZES", (9, 300))
    with machine.installed():
        on_a_mac.compare(lars, lars.settings()[0], mx.bfloat16)
    machine.close()


def test_the_workflow_and_the_makefile_know_it() -> None:
    assert "test-metal: setup\n" in (ROOT / "Makefile").read_text()
    workflow = (ROOT / ".github" / "workflows" / "macos.yml").read_text()
    assert "xcrun -sdk macosx metal" in workflow
    assert "make test-metal" in workflow
