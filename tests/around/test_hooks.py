"""Hooks before and after a step, as in torch."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, AdamW, ExponentialMovingAverage
from lucidgen.runtime import Optimizer


def optimizer() -> Any:
    parameter = Parameter(np.ones(2))
    parameter.grad = np.ones(2)
    return SGD([parameter], lr=0.5)


def test_hooks_run_in_order_around_the_step() -> None:
    opt, seen = optimizer(), []

    def note(word: str) -> Any:
        def hook(found: Any, args: Any, kwargs: Any) -> None:
            assert (found, args, kwargs) == (opt, (), {})
            seen.append((word, float(opt.param_groups[0]["params"][0].data[0])))

        return hook

    opt.register_step_post_hook(note("after"))
    opt.register_step_pre_hook(note("first"))
    opt.register_step_pre_hook(note("second"))
    opt.step()
    assert seen == [("first", 1.0), ("second", 1.0), ("after", 0.5)]


def test_a_hook_before_may_exchange_the_closure() -> None:
    opt = optimizer()
    opt.register_step_pre_hook(lambda found, args, kwargs: ((lambda: 7.0,), {}))
    assert opt.step() == 7
    assert opt.step(lambda: 3.0) == 7


def test_what_a_hook_before_returns_is_checked() -> None:
    opt = optimizer()
    handle = opt.register_step_pre_hook(lambda found, args, kwargs: 1)
    with pytest.raises(TypeError, match="returns None or new"):
        opt.step()
    handle.remove()
    opt.register_step_pre_hook(lambda found, args, kwargs: (args, {"foo": 1}))
    with pytest.raises(TypeError, match=r"step\(\) does not take: got an unexpected .* 'foo'"):
        opt.step()
    assert opt.param_groups[0]["params"][0].data[0] == 1


def test_a_handle_removes_its_hook_only() -> None:
    opt, seen = optimizer(), []
    first = opt.register_step_post_hook(lambda *_: seen.append(1))
    opt.register_step_post_hook(lambda *_: seen.append(2))
    first.remove()
    first.remove()
    opt.step()
    with opt.register_step_pre_hook(lambda *_: seen.append(3)):
        opt.step()
    opt.step()
    assert seen == [2, 3, 2, 2]


def test_a_hook_may_remove_itself() -> None:
    opt, seen = optimizer(), []
    handle = opt.register_step_post_hook(lambda *_: (seen.append(1), handle.remove()))
    opt.step()
    opt.step()
    assert seen == [1]


def test_copies_and_pickles_have_no_hooks() -> None:
    opt, seen = optimizer(), []
    opt.register_step_post_hook(lambda *_: seen.append(1))
    copy.deepcopy(opt).step()
    pickle.loads(pickle.dumps(opt)).step()
    assert seen == []
    opt.step()
    assert seen == [1]


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="a hook is called, got int"):
        optimizer().register_step_post_hook(3)


def test_an_optimizer_of_trees_refuses_hooks_that_nothing_would_call() -> None:
    average = ExponentialMovingAverage([Parameter(np.zeros(2))])
    with pytest.raises(RuntimeError, match=r"AdamW: hooks are called around step\(\).* update\(\)"):
        average.follow(AdamW(lr=0.1))


def test_a_class_that_defines_step_itself_refuses_hooks() -> None:
    class Own(Optimizer):
        def step(self, closure: Any = None) -> None: ...

    with pytest.raises(RuntimeError, match="Own defines step"):
        Own([Parameter(np.ones(1))], {}).register_step_pre_hook(print)
