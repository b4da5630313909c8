"""Loads that are refused, by steps and by trees: in a sentence, at once, and changing nothing."""

import json
import os
import tracemalloc
import warnings

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given
from malformed import broken

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam, AdamW, ExponentialMovingAverage, NAdam

WEIGHTS = {"a": np.linspace(-1, 1, 6).reshape(2, 3), "b": np.linspace(1, 2, 4)}
GRADS = {"a": np.cos(WEIGHTS["a"]), "b": np.sin(WEIGHTS["b"])}


@pytest.fixture(autouse=True)
def uncompiled():
    mx.disable_compile()
    yield
    mx.enable_compile()


def single(arrays):
    return {name: mx.array(array.astype(np.float32)) for name, array in arrays.items()}


class Run:
    """An optimizer, and what a step of it is, in each idiom."""

    def __init__(self, kind, cls=Adam, **options):
        self.kind, self.optimizer = kind, None
        if kind == "trees":
            self.weights, self.optimizer = single(WEIGHTS), cls(**options)
            self.optimizer.init(self.weights)
            return
        arrays, grads = (WEIGHTS, GRADS) if kind == "numpy" else (single(WEIGHTS), single(GRADS))
        self.weights = {name: Parameter(array) for name, array in arrays.items()}
        for name, parameter in self.weights.items():
            parameter.grad = grads[name]
        self.optimizer = cls(list(self.weights.items()), **options)

    def steps(self, count):
        for _ in range(count):
            if self.kind == "trees":
                self.weights = self.optimizer.apply_gradients(single(GRADS), self.weights)
            else:
                self.optimizer.step()
        return self

    def values(self):
        if self.kind == "trees":
            return {name: np.array(array) for name, array in self.weights.items()}
        return {name: np.array(p.data) for name, p in self.weights.items()}

    def everything(self):
        """All that a load may change, to the bit."""
        found = self.optimizer
        state = found.state if self.kind == "trees" else list(found.state.values())
        groups = [
            {key: group[key] for key in group if key != "params"} for group in found.param_groups
        ]
        return frozen([state, groups, found.max_grad_norm, found.accumulated])


def frozen(value):
    if isinstance(value, dict):
        return [(key, frozen(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return list(map(frozen, value))
    if hasattr(value, "dtype"):
        return (str(value.dtype), np.array(value).tobytes())
    return repr(value)


def deep(levels):
    found = []
    for _ in range(levels):
        found = [found]
    return found


def in_state(key, value):
    return lambda saved: saved["state"][1].update({key: value})


def in_group(key, value):
    return lambda saved: saved["param_groups"][0].update({key: value})


KINDS = ("numpy", "mlx", "trees")
#: What is wrong with a dict, where, and what is said.
REFUSED = {
    "a number that no float holds": (KINDS, in_group("lr", 10**400), "must be finite, got 1000"),
    "a number of too many digits": (
        KINDS,
        in_group("lr", 10**5000),
        "must be finite, got <int>",
    ),
    "a key that is no string": (KINDS, in_group(5, 1), "a key must be a string, got 5"),
    "a step that is no count": (KINDS, in_state("step", 1e300), "whole number, got 1e.300"),
    "a step beyond int32": (
        ("trees",),
        in_state("step", 2**31),
        "'b': a step count must be at most",
    ),
    "updates beyond int32": (
        ("trees",),
        in_group("updates", 2**64),
        "a step count must be at most",
    ),
    "a deep list": (KINDS, in_group("initial_lr", deep(5000)), "nested too deeply"),
    "a long string": (KINDS, in_state("exp_avg", "x" * 10_000), "of real numbers, got 'xxx"),
    "long names": (KINDS, in_group("param_names", ["a" * 10_000, "b"]), "the parameters differ"),
    "names that no page shows": (KINDS, in_group("param_names", ["\ud800", "b"]), r"'\\ud800'"),
    "another class": (KINDS, lambda saved: saved.update({"class": "\udc00" * 9999}), "saved by"),
    "unknown options": (
        KINDS,
        lambda saved: saved.update(options={5: 1, "\ud800": 2}),
        r"unknown saved options .*'\\ud800'",
    ),
    "an array for a name": (
        KINDS,
        lambda saved: saved.update({"class": np.zeros(3)}),
        "'class' must be a name, got array",
    ),
    "an array for a library": (
        KINDS,
        lambda saved: (saved.pop("class"), saved.update(library=np.zeros(3))),
        "'library' must be a name, got array",
    ),
    "batches that nobody counted": (
        KINDS,
        lambda saved: saved.update(options={"accumulated": 10**400}),
        "accumulated must be a count, got 1000",
    ),
    "an infinite shape": (KINDS, in_group("param_shapes", [[2, 3], [7] * 9999]), "with shape"),
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for name, (kinds, *_) in REFUSED.items() for kind in kinds]
)
def test_a_refused_dict_changes_nothing_and_its_message_can_be_read(kind, name):
    _, change, message = REFUSED[name]
    run = Run(kind, lr=0.25).steps(2)
    saved = Run(kind, lr=0.5).steps(3).optimizer.state_dict()
    change(saved)
    before = run.everything()
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        run.optimizer.load_state_dict(saved)
    assert run.everything() == before
    assert len(str(caught.value).encode()) < 1500


@pytest.mark.parametrize("cls", [Adam, NAdam, SGD])
@pytest.mark.parametrize("kind", ["mlx", "trees"])
def test_a_malformed_dict_changes_nothing_or_it_loads_and_goes_on(kind, cls):
    options = {"momentum": 0.9} if cls is SGD else {}
    run = Run(kind, cls, **options).steps(2)
    saved = run.optimizer.state_dict()
    refused = 0

    @given(broken(saved))
    def check(wrong):
        nonlocal refused
        before = run.everything()
        try:
            run.optimizer.load_state_dict(wrong)
        except (TypeError, ValueError) as error:
            message = str(error)
        else:
            run.steps(1).optimizer.load_state_dict(saved)
            return
        assert message.startswith(f"{cls.__name__}: ")
        assert len(message.encode()) < 1500
        assert run.everything() == before
        refused += 1

    check()
    assert refused > 50


@pytest.mark.parametrize("updates", [None, 3], ids=["uncounted", "counted"])
@pytest.mark.parametrize("cls", [Adam, NAdam])
@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_without_an_entry_begins_afresh_and_counts_by_itself(kind, cls, updates):
    whole = Run(kind, cls, lr=0.1).steps(3)
    saved = whole.optimizer.state_dict()
    saved["state"].pop(1)
    if kind == "trees" and updates is None:
        saved["param_groups"][0].pop("updates")
    run, fresh = Run(kind, cls, lr=0.1), Run(kind, cls, lr=0.1).steps(1)
    run.weights = (
        {"a": whole.weights["a"], "b": run.weights["b"]} if kind == "trees" else run.weights
    )
    run.optimizer.load_state_dict(saved)
    assert set(run.optimizer.state_dict()["state"].get(1, {})) <= {"step", *saved["state"][0]}
    run.optimizer.load_state_dict(run.optimizer.state_dict())  # what was saved then loads, too
    run.steps(1)
    np.testing.assert_array_equal(run.values()["b"], fresh.values()["b"])
    steps = run.optimizer.state_dict()["state"]
    assert (steps[0]["step"], steps[1]["step"]) == (4, 1)


def test_a_tree_that_nobody_saved_begins_afresh():
    run = Run("trees", lr=0.1).steps(3)
    saved = run.optimizer.state_dict()
    saved["state"].clear()
    again = Run("trees", lr=0.1)
    again.optimizer.load_state_dict(saved)
    again.steps(1)
    np.testing.assert_array_equal(again.values()["a"], Run("trees", lr=0.1).steps(1).values()["a"])


def test_counts_of_an_assigned_state_may_be_of_any_type_that_holds_them():
    run = Run("trees", NAdam).steps(2)
    state = dict(run.optimizer.state)
    before = run.everything()
    for wrong in (mx.array(2**40, dtype=mx.uint64), mx.array(1e30), mx.array(-1.0), mx.array(0.5)):
        with pytest.raises(ValueError, match=r"NAdam: (a step count|step) must be"):
            run.optimizer.state = {**state, "step": wrong}
    own = {**state["params"]["a"], "step": mx.array([1, 2])}
    with pytest.raises(TypeError, match="parameter 'a': step must be a 0-d MLX array"):
        run.optimizer.state = {**state, "params": {**state["params"], "a": own}}
    own = {**state["params"]["a"], "master_weight": mx.zeros(5)}
    with pytest.raises(ValueError, match=r"'master_weight' has shape \(5,\), expected \(2, 3\)"):
        run.optimizer.state = {**state, "params": {**state["params"], "a": own}}
    assert run.everything() == before
    run.optimizer.state = {**state, "step": mx.array(2, dtype=mx.uint64)}
    assert run.everything() == before


# Masters


@pytest.mark.parametrize("kind", ["steps", "trees"])
def test_masters_that_are_not_kept_are_not_dropped_without_a_word(kind):
    def made(**options):
        half = {"w": mx.array([1.0, 2.0], dtype=mx.float16)}
        if kind == "trees":
            optimizer = AdamW(**options)
            optimizer.apply_gradients(half, half)
            return optimizer
        parameter = Parameter(half["w"])
        parameter.grad = half["w"]
        optimizer = AdamW([("w", parameter)], **options)
        optimizer.step()
        return optimizer

    saved = made(master_weights=True).state_dict()
    plain = made(lr=0.5)
    before = plain.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="masters of 1 parameters"):
            plain.load_state_dict(saved)
        made(master_weights=True).load_state_dict(saved)
    assert frozen(plain.state_dict()) == frozen(before)
    with pytest.warns(UserWarning, match=r"AdamW: .* dropped.*master_weights=True") as seen:
        plain.load_state_dict(saved)
    assert seen[0].filename == __file__
    assert "master_weight" not in plain.state_dict()["state"][0]


# Files


@pytest.fixture
def saved(tmp_path):
    """A file, and its header."""
    path = tmp_path / "opt.safetensors"
    Run("numpy", SGD, momentum=0.9).steps(1).optimizer.save(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return path, json.loads(content[8 : 8 + length])


def write(path, header, size=0):
    """A file of this header, and of zeros that take no room."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)


LONG = "x" * 10_000
DEEP = "[" * 50_000 + "]" * 50_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "the state in it cannot be read"),
        ("1" * 5000, "cannot be read: Exceeds the limit"),
        ("[]", "cannot be read"),
        ('{"state": []}', "it has no 'version'"),
        (json.dumps({"version": LONG}), "it is of version 'xxx"),
        (json.dumps({"version": 1, "state": 5}), "it has no list of states"),
    ],
)
def test_a_text_that_says_nothing_of_a_state_is_refused(saved, text, message):
    path, header = saved
    header["__metadata__"]["lucidgen"] = text
    write(path, header, size=80)
    with pytest.raises(ValueError, match=message) as caught:
        Run("numpy", SGD).optimizer.load(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: DEEP.encode(), "is no safetensors file, or damaged"),
        (lambda header: {}, "an array ends at byte 0, the next is at 20000000000"),
        (lambda header: {**header, LONG: {}}, "unknown here: 'xxx"),
        (lambda header: {**header, "w": {"dtype": LONG}}, "unknown here: 'w': "),
        (lambda header: {**header, "__metadata__": {"lucidgen": 5}}, "no JSON object of strings"),
        (
            lambda header: {"w": {"dtype": "F64", "shape": [1e9], "data_offsets": [0, 8]}},
            "must be whole numbers",
        ),
        (
            lambda header: {"w": {"dtype": "F64", "shape": [9], "data_offsets": [0, 10**400]}},
            "it lies from byte 0 to 1000",
        ),
        (
            lambda header: {
                "w": {"dtype": "U8", "shape": [20_000_000_000], "data_offsets": [0, 20_000_000_000]}
            },
            "no state that an optimizer saved here",
        ),
    ],
)
def test_a_file_is_refused_by_its_header_however_large_it_is(saved, change, message):
    path, header = saved
    write(path, change(header), size=20_000_000_000)
    optimizer = Run("numpy", SGD).optimizer
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            optimizer.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 800


def test_memory_is_taken_only_for_what_the_checksum_fits(saved):
    path, header = saved
    places = {"dtype": "U8", "shape": [64_000_000], "data_offsets": [0, 64_000_000]}
    write(path, {"__metadata__": header["__metadata__"], "w": places}, size=64_000_000)
    optimizer = Run("numpy", SGD).optimizer
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="its checksum does not fit"):
            optimizer.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(ValueError, match="is no file"):
        Run("numpy", SGD).optimizer.load(tmp_path / "pipe.safetensors")


@pytest.mark.parametrize("make", [lambda: [Parameter(np.ones(2))], lambda: nn.Linear(2, 2)])
def test_averages_refuse_in_words_as_well(make):
    average = ExponentialMovingAverage(make())
    before = average.state_dict()
    wrongs = [{"averages": {LONG: np.ones(2)}}, {"decay": 10**400}, {"updates": 0.5}]
    for wrong in (*wrongs, {"updates": 2**64, "decay": 0.5}):
        with pytest.raises((TypeError, ValueError), match="ExponentialMovingAverage: ") as caught:
            average.load_state_dict({**before, **wrong})
        assert len(str(caught.value)) < 500
        assert frozen(average.state_dict()) == frozen(before)
