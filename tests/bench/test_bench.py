"""The benchmark runs, compares like with like, and can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"

CPP, AUTO = "lucidgen, NumPy: cpp", "lucidgen, MLX: auto"
PEERS = ("memory probe", "torch fused", "mlx.optimizers compiled", "Lucid, NumPy", "Lucid, MLX")
OF_OTHERS = ("torch foreach", "optax jit", "pytorch_optimizer")


def bench(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_quick_run_measures_everyone_who_is_installed(tmp_path: Path) -> None:
    done = bench("--quick", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results.png").exists()
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["machine"]["cores"] >= 1
    assert len(found["startup"]) == 4
    assert min(found["building"].values()) > 0
    assert set(found["building"]) == {
        "cold build",
        "rebuild of one spec",
        "check of nothing changed",
    }
    assert {case["optimizer"] for case in found["cases"]} == {"AdamW", "SGD"}
    for case in found["cases"]:
        rivals = {row["rival"]: row for row in case["rivals"]}
        assert {"memory probe", CPP, AUTO, "mlx.optimizers compiled"} <= set(rivals)
        assert all(len(row["times_ms"]) == 2 for row in rivals.values())
        assert rivals[CPP]["ours_numpy_to_it"] == rivals["memory probe"]["to_probe"] == 1
        assert (
            case["bytes_to_move"] == case["numbers"] * {"AdamW": 28, "SGD": 20}[case["optimizer"]]
        )
        assert case["disagree"] == {}
        assert set(case["left_out"]) <= {"lucidgen, MLX: metal"}
        assert CPP in done.stdout


def test_a_rival_that_computes_something_else_is_found() -> None:
    program = (
        "from results import disagreeing\n"
        f"moved = {{{CPP!r}: [1e-3, -1e-3], 'like': [1.0005e-3, -1e-3], 'other': [1e-3, -9e-4]}}\n"
        "assert set(disagreeing(moved)) == {'other'}\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=BENCH, check=True)


def recorded(build_ms: float = 900.0, **times: float) -> dict[str, Any]:
    """Results in which everything is as quick as asked for."""
    case = {"left_out": {}, "disagree": {}, "numbers": 1}
    row = {
        "quartiles_ms": [1, 1],
        **dict.fromkeys(("to_probe", "ours_numpy_to_it", "ours_mlx_to_it", "peak_beyond"), 0),
    }
    quick = {CPP: 1.0, AUTO: 1.0, **dict.fromkeys((*PEERS, *OF_OTHERS), 20.0)}
    cases = [
        {**case, "optimizer": optimizer, "shapes": shapes,
         "rivals": [{**row, "rival": r, "median_ms": ms} for r, ms in (quick | times).items()]}
        for optimizer in ("AdamW", "LAMB", "LARS", "Adafactor", "Prodigy")
        for shapes in ("1 x 10M", "200 x 50k", "2000 x 1k")
    ]  # fmt: skip
    startup = dict.fromkeys(
        [f"{what}, {on}" for what in ("import", "first step") for on in ("NumPy", "MLX")], 10
    )
    building = dict.fromkeys(
        ("cold build", "rebuild of one spec", "check of nothing changed"), build_ms
    )
    return {"cases": cases, "startup": startup, "building": building}


@pytest.mark.parametrize(
    ("times", "fails"),
    [
        ({}, 0),
        ({"memory probe": 0.5}, 8),
        ({"torch fused": 1.2}, 1),
        ({"mlx.optimizers compiled": 3.9}, 1),
        ({"Lucid, MLX": 9.0}, 1),
        ({"torch foreach": 0.9}, 3),
        ({"optax jit": 0.9}, 12),
        ({"build_ms": 7000.0}, 3),
        ({"build_ms": 2000.0}, 1),
    ],
)
def test_the_check_fails_where_a_run_does_not_show_what_is_asked(
    times: dict[str, float], fails: int, tmp_path: Path
) -> None:
    (tmp_path / "results.json").write_text(json.dumps(recorded(**times)))
    done = bench("--from", tmp_path / "results.json", "--check")
    assert done.stdout.count(" fail") == fails
    assert done.returncode == (1 if fails else 0)


def test_what_was_not_measured_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"cases": [], "startup": {}}))
    done = bench("--from", tmp_path / "results.json", "--check")
    assert done.returncode == 1
    assert " pass" not in done.stdout


def test_a_python_that_is_not_there_is_named() -> None:
    done = bench("--quick", "--python", "/no/such/python")
    assert done.returncode == 2
    assert "/no/such/python cannot be used" in done.stdout
    assert "Traceback" not in done.stderr
