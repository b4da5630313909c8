"""Checkpoint files: round trips, files that MLX reads, damage of every kind, atomic writing."""

import json
import os

import mlx.core as mx
import numpy as np
import pytest
from handwritten import SGD, Adam, NAdam

from lucidgen.runtime import Optimizer, Parameter


def named(make, *shapes, dtype=np.float64):
    return [(f"layers.{i}.weight", p) for i, p in enumerate(make(*shapes, dtype=dtype))]


def stepped(cls, params, steps=3, **options):
    opt = cls(params, **options)
    for _ in range(steps):
        opt.step()
    return opt


def equal(a, b):
    """Whether two state dicts are the same, bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if hasattr(a, "dtype"):
        return a.dtype == b.dtype and np.array_equal(np.array(a), np.array(b))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("cls", [Adam, NAdam, SGD])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_saved_file_restores_every_bit(make, tmp_path, cls, dtype):
    options = {"momentum": 0.9} if cls is SGD else {}
    params = named(make, (3, 2), (), (0, 4), dtype=dtype)
    opt = stepped(cls, params, **options)
    opt.save(tmp_path / "opt.safetensors")
    fresh = cls(params, lr=0.9, **options)
    fresh.load(tmp_path / "opt.safetensors")
    assert equal(fresh.state_dict(), opt.state_dict())


def test_parameters_without_names_are_saved_by_their_numbers(make, tmp_path):
    opt = stepped(Adam, make((2,), (3,)))
    opt.save(tmp_path / "opt.safetensors")
    assert set(mx.load(str(tmp_path / "opt.safetensors"))) == {
        "0.exp_avg",
        "0.exp_avg_sq",
        "1.exp_avg",
        "1.exp_avg_sq",
    }
    fresh = Adam(opt.param_groups[0]["params"])
    fresh.load(tmp_path / "opt.safetensors")
    assert equal(fresh.state_dict(), opt.state_dict())


def test_mlx_reads_the_file_by_the_parameters_names(make, tmp_path):
    params = named(make, (3, 2), dtype=np.float32)
    opt = stepped(Adam, params)
    opt.save(str(tmp_path / "opt.safetensors"))
    arrays, metadata = mx.load(str(tmp_path / "opt.safetensors"), return_metadata=True)
    assert set(arrays) == {"layers.0.weight.exp_avg", "layers.0.weight.exp_avg_sq"}
    np.testing.assert_array_equal(
        np.array(arrays["layers.0.weight.exp_avg"]), opt.state[params[0][1]]["exp_avg"]
    )
    assert json.loads(metadata["lucidgen"])["class"] == "Adam"


def test_every_array_lies_where_its_type_may_lie(make, tmp_path):
    path = tmp_path / "opt.safetensors"
    (half,), (double,) = make((3,), dtype=np.float16), make((3,))
    stepped(Adam, [("half", half), ("double", double)]).save(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    header = json.loads(content[8 : 8 + length])
    for name, size in (("double.exp_avg", 8), ("half.exp_avg", 2)):
        assert header[name]["data_offsets"][0] % size == 0


def test_mlx_reads_the_bits_of_doubles(make, tmp_path):
    params = named(make, (3,))
    opt = stepped(Adam, params)
    opt.save(tmp_path / "opt.safetensors")
    found = mx.load(str(tmp_path / "opt.safetensors"))["layers.0.weight.exp_avg"]
    np.testing.assert_array_equal(
        np.array(found).view(np.float64), opt.state[params[0][1]]["exp_avg"]
    )


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
def test_the_state_of_a_tree_goes_on_from_a_file(tmp_path, rng, dtype):
    tree = {"a": [{"w": mx.array(rng.standard_normal((3, 2))).astype(dtype)}], "b": mx.ones(2)}

    def gradients():
        a = mx.array(rng.standard_normal((3, 2))).astype(dtype)
        return {"a": [{"w": a}], "b": mx.array([0.25, -1.0])}

    opt = Adam(lr=0.1)
    tree = opt.apply_gradients(gradients(), tree)
    opt.save(tmp_path / "opt.safetensors")
    assert mx.load(str(tmp_path / "opt.safetensors"))["a.0.w.exp_avg"].dtype == dtype
    fresh = Adam()
    fresh.init(tree)
    fresh.load(tmp_path / "opt.safetensors")
    assert fresh.state["params"]["a.0.w"]["exp_avg"].dtype == dtype
    grads = gradients()
    one, two = opt.apply_gradients(grads, tree), fresh.apply_gradients(grads, tree)
    assert mx.array_equal(one["a"][0]["w"], two["a"][0]["w"]).item()


@pytest.mark.usefixtures("uncompiled")
def test_arrays_that_were_loaded_from_the_file_itself_are_read_before_it_changes(tmp_path):
    path = str(tmp_path / "opt.safetensors")
    tree = {"w": mx.ones(4)}
    opt = Adam()
    tree = opt.apply_gradients({"w": mx.arange(4.0)}, tree)
    expected = opt.state_dict()
    opt.save(path)
    opt.state["params"]["w"] = {
        key.removeprefix("w."): array for key, array in mx.load(path).items()
    }
    opt.save(path)
    fresh = Adam()
    fresh.init(tree)
    fresh.load(path)
    assert equal(fresh.state_dict(), expected)


def test_every_changed_byte_is_noticed_and_nothing_changes(make, tmp_path):
    path = tmp_path / "opt.safetensors"
    params = named(make, (2,), dtype=np.float32)
    opt = stepped(SGD, params, momentum=0.9)
    opt.save(path)
    content, before = path.read_bytes(), opt.state_dict()
    for position in range(len(content)):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0x11]) + content[position + 1 :]
        )
        with pytest.raises(ValueError, match=r"opt\.safetensors"):
            opt.load(path)
    assert equal(opt.state_dict(), before)


def test_every_shorter_or_longer_file_is_refused(make, tmp_path):
    path = tmp_path / "opt.safetensors"
    opt = stepped(SGD, named(make, (2,), dtype=np.float32), momentum=0.9)
    opt.save(path)
    content = path.read_bytes()
    for wrong in (*(content[:n] for n in range(len(content))), content + b"\0"):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"opt\.safetensors"):
            opt.load(path)


def test_files_of_others_are_refused(make, tmp_path):
    path = tmp_path / "weights.safetensors"
    opt = Adam(named(make, (2,)))
    mx.save_safetensors(str(path), {"w": mx.ones(2)})
    with pytest.raises(ValueError, match=r"no state that an optimizer saved.*no 'lucidgen'"):
        opt.load(path)
    path.write_bytes(b"PK\x03\x04 a zip file, as torch.save writes it")
    with pytest.raises(ValueError, match="is no safetensors file"):
        opt.load(path)
    with pytest.raises(FileNotFoundError):
        opt.load(tmp_path / "missing.safetensors")
    for action in (opt.save, opt.load):
        with pytest.raises(ValueError, match=r"must end in \.safetensors"):
            action(tmp_path / "opt.npz")


def test_a_file_of_another_optimizer_is_refused_and_nothing_changes(make, tmp_path):
    params = named(make, (2,))
    stepped(Adam, params).save(tmp_path / "opt.safetensors")
    opt = stepped(NAdam, params)
    before = opt.state_dict()
    with pytest.raises(ValueError, match="saved by Adam; construct a Adam"):
        opt.load(tmp_path / "opt.safetensors")
    assert equal(opt.state_dict(), before)


def test_a_failed_save_leaves_the_file_that_was_there(make, tmp_path, monkeypatch):
    path = tmp_path / "opt.safetensors"
    opt = stepped(Adam, named(make, (2,)))
    opt.save(path)
    before = path.read_bytes()
    opt.step()

    def fail(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        opt.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_no_file_can_hold_is_refused(tmp_path):
    class Own(Optimizer):
        def step(self, closure=None):
            self.state[self.param_groups[0]["params"][0]]["z"] = self.value

    path = tmp_path / "own.safetensors"
    opt = Own([Parameter(np.ones(2))], {"lr": 0.1})
    for opt.value, message in (
        (np.ones(2, complex), r"'0\.z' is an array of complex128"),
        (object(), "cannot be saved in a file"),
    ):
        opt.step()
        with pytest.raises(TypeError, match=message):
            opt.save(path)
    assert not path.exists()
    opt.value = [1, 2.5, None, "text"]
    opt.step()
    opt.save(path)
    opt.load(path)
    assert next(iter(opt.state.values())) == {"z": [1, 2.5, None, "text"]}
