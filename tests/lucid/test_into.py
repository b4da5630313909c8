"""`lucidgen build --into` a Lucid: its optimizers and schedulers are ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import lucid

ROOT = Path(__file__).resolve().parents[2]

TRAIN = """
import sys
import lucid.optim as optim, lucid.nn as nn, numpy as np
p = nn.Parameter(np.ones(3, dtype=np.float32))
opt = optim.Adam([p], lr=0.5)
scheduler = optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)
assert optim.lr_scheduler.__file__ == optim.__file__.replace("optim/", "optim/lr_scheduler/")
for _ in range(3):
    p.grad = np.ones(3, dtype=np.float32)
    opt.step()
    scheduler.step()
assert isinstance(opt, optim.Optimizer)
assert not [name for name in sys.modules if name.startswith("lucidgen")]
print(opt.param_groups[0]["lr"] < 0.5, (p.data < 0.3).all(), optim.__file__)
"""


def test_a_lucid_that_carries_the_optimizers(tmp_path):
    real = Path(lucid.__file__).parent
    mine = tmp_path / "lucid"
    (mine / "optim").mkdir(parents=True)
    for path in real.iterdir():
        if path.name != "optim":
            (mine / path.name).symlink_to(path)
    (tmp_path / "specs").mkdir()
    for name in ("adam/adam.py", "schedules/schedules.py"):
        shutil.copy(ROOT / "specs" / name, tmp_path / "specs")
    command = [sys.executable, "-m", "lucidgen.commands.app", "build"]
    command += ["--specs", str(tmp_path / "specs"), "--into", str(mine / "optim")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == f"True True {mine / 'optim/__init__.py'}\n"


def test_the_optimizers_of_a_lucid_are_replaced_only_if_that_is_asked_for(tmp_path):
    optim = tmp_path / "lucid/optim"
    shutil.copytree(Path(lucid.__file__).parent / "optim", optim)
    before = (optim / "sgd.py").read_bytes()
    specs = tmp_path / "specs"
    specs.mkdir()
    for name in ("schedules/schedules.py", "momentum/sgd.py"):
        shutil.copy(ROOT / "specs" / name, specs)
    command = [sys.executable, "-m", "lucidgen", "build", "--specs", str(specs)]
    command += ["--into", str(optim)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "--replace" in " ".join(refused.stderr.split())
    assert (optim / "sgd.py").read_bytes() == before
    subprocess.run([*command, "--replace"], env=environment, check=True, capture_output=True)
    assert not (optim / "prop.py").exists()
    assert not (optim / "lr_scheduler/_base.py").exists()
    assert (optim / "lr_scheduler/schedules.py").exists()
    subprocess.run([*command, "--check"], env=environment, check=True, capture_output=True)
