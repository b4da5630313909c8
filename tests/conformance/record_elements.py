"""Records the optimizers of ``element_cases`` into recorded/elements.npz.

Run as a script where pytorch_optimizer is installed; nothing of the project is needed.  How a case
is run is `record_pytorch_optimizer`'s; here is only what these are called there.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import pytorch_optimizer
import torch
from cases import STEPS, Array, Case
from element_cases import CLASSES, ELEMENT_CASES
from in_double import adam_mini
from record_pytorch_optimizer import record
from recording import Recorder, State

#: The library's names of arguments, where they differ from ours.
ARGUMENTS = {"amsgrad": "ams_bound", "d": "clip_threshold"}
ARGUMENTS |= {"decoupled_weight_decay": "weight_decouple"}
#: What is given in addition: which of the library's it is, our default, a coupled decay, vectors
#: treated as matrices are, states in double, no warmup, nothing of other types.
MORE: dict[str, dict[str, Any]] = {
    "A2GradExp": {"variant": "exp"},
    "A2GradInc": {"variant": "inc"},
    "A2GradUni": {"variant": "uni"},
    "AdamMini": {"weight_decay": 0.0},
    "ApolloDQN": {"warmup_steps": 0},
    "FAdam": {"momentum_dtype": torch.float64, "fim_dtype": torch.float64},
    "PID": {"weight_decouple": False},
    "Padam": {"weight_decouple": False},
    "QHM": {"weight_decouple": False},
    "MARS": {"optimize_1d": True},
    "Rose": {"compute_dtype": None, "bf16_sr": False},
}
#: Sums that the library never reads, an average of parameters that is the parameter, and what LAMB,
#: StableAdamW and CAME note down.
NOT_OURS = {"exp_avg_lr_2", "num_sum", "mov_avg_param"}
NOT_OURS |= {"alpha_k", "weight_norm", "adam_norm", "trust_ratio", "RMS", "dimension"}
#: Our keys, where the library has others.
KEYS = {
    "AdaNorm": {"exp_avg_var": "exp_avg_sq", "max_exp_avg_var": "max_exp_avg_sq"},
    "FAdam": {"momentum": "exp_avg"},
    "AdamMini": {"m": "exp_avg"},
}
#: The two momenta of alternate steps: the one of the last step, and the one before.
ALTERNATE = {"PNM": ("pos_momentum", "neg_momentum"), "AdaPNM": ("exp_avg", "neg_exp_avg")}
#: States of rows and of columns of which the library keeps no second axis.
ROWS = {"exp_avg_sq_row", "exp_avg_res_row", "v_avg_0"}
COLUMNS = {"exp_avg_sq_col", "exp_avg_res_col", "v_avg_1"}
#: What knows more axes than two, or but two, or takes only rows that lie together: it is given
#: matrices and vectors that do.
OF_MATRICES = {"AdamMini", "AdamP", "Amos", "SGDP", "SM3"}


def in_library(case: Case) -> Case:
    """The case with the library's names."""
    changes = {step: _renamed(values) for step, values in case.changes.items()}
    given = {**MORE.get(case.optimizer, {}), **_renamed(case.arguments)}
    if case.optimizer == "CAME" and "eps" in given:
        given["eps1"], given["eps2"] = given.pop("eps")
    if case.optimizer == "AdaShift" and not given.pop("by_tensor", True):
        given["reduce_func"] = None
    if case.optimizer == "ApolloDQN":
        given["rebound"] = "belief" if given.pop("belief", False) else "constant"
    return Case(case.name, CLASSES.get(case.optimizer, case.optimizer), given, changes)


def _renamed(values: Any) -> dict[str, Any]:
    return {ARGUMENTS.get(key, key): value for key, value in values.items()}


def seen_by(case: Case, values: Array) -> Array:
    """What the library is given: a matrix of the first axis against all others, or a vector."""
    if case.optimizer not in OF_MATRICES:
        return values
    found = values.reshape(len(values), -1) if values.ndim > 2 else np.atleast_1d(values)
    return np.ascontiguousarray(found)


def ours(case: Case, state: State, steps: int) -> State:
    """A state of the library under our keys, after a number of steps of its parameter."""
    keys = KEYS.get(case.optimizer, {})
    kept = {keys.get(key, key): value for key, value in state.items() if key not in NOT_OURS}
    kept |= {key: kept[key][..., :, None] for key in kept.keys() & ROWS}
    kept |= {key: kept[key][..., None, :] for key in kept.keys() & COLUMNS}
    if "exp_grad_norm" in kept:
        kept["exp_grad_norm"] = kept["exp_grad_norm"].reshape(())
    if case.optimizer in ALTERNATE and len(kept) > 1:
        pair = [kept.pop(key) for key in ALTERNATE[case.optimizer]]
        kept["exp_avg"], kept["neg_exp_avg"] = pair if steps % 2 else pair[::-1]
    if case.optimizer == "Kate" and len(kept) > 1:
        kept |= {f"{key}_squared": np.square(kept.pop(key)) for key in ("b", "m")}
    if case.optimizer == "SM3" and not case.arguments.get("momentum"):
        kept.pop("momentum_buffer", None)
    if case.optimizer == "SM3" and len(kept) > 1 and kept["w"].ndim < 2:
        kept["accumulator"] = kept.pop("accumulator_0")
    if case.optimizer == "AdaShift" and len(kept) > 1:
        kept = {f"grad_{k}": np.zeros_like(kept["w"]) for k in range(1, 11)} | kept
        if case.arguments.get("by_tensor", True):
            kept["exp_avg_sq_max"] = kept.pop("exp_avg_sq")
    if case.optimizer == "AdamMini" and np.ndim(kept.get("v_mean", 0)) == 1:
        kept["v_mean_row"] = kept.pop("v_mean")[:, None]
    return kept


def record_in_library(case: Case, recorder: Recorder) -> None:
    """Run one case and add its checkpoints."""
    theirs = in_library(case)
    create = adam_mini if case.optimizer == "AdamMini" else None
    record(
        theirs,
        recorder,
        lambda state, steps: ours(case, state, steps),
        create or getattr(pytorch_optimizer, theirs.optimizer),
        lambda values: seen_by(case, values),
    )


def main() -> None:
    """Record every case."""
    torch.set_default_dtype(torch.float64)
    recorder = Recorder()
    for case in ELEMENT_CASES.values():
        record_in_library(case, recorder)
    recorder.write(
        "pytorch_optimizer", version("pytorch_optimizer"), cases=ELEMENT_CASES, name="elements"
    )
    print(f"recorded {len(ELEMENT_CASES)} cases of {STEPS} steps from pytorch_optimizer")


if __name__ == "__main__":
    main()
