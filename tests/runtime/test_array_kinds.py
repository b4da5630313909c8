"""Arrays of unusual kinds: subclasses, foreign byte orders, types that MLX has not."""

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam, ExponentialMovingAverage, NAdam


class Halved(np.ndarray):
    """An array whose operators mean something else."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        inputs = [np.asarray(x) / 2 if isinstance(x, Halved) else x for x in inputs]
        if out is not None:
            kwargs["out"] = tuple(np.asarray(x) for x in out)
        return getattr(ufunc, method)(*inputs, **kwargs)


def masked(array):
    return np.ma.masked_array(array, mask=array > 0)


SUBCLASSES = {
    "masked": masked,
    "matrix": lambda array: array.view(np.matrix),
    "with its own operators": lambda array: array.view(Halved),
}
OPTIONS = {
    "plain": {},
    "accumulation": {"accumulation_steps": 2},
    "masters": {"master_weights": True},
    "clipping": {"max_grad_norm": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", SUBCLASSES)
def test_of_a_subclass_only_the_data_counts(rng, kind, options):
    of_kind, dtype = SUBCLASSES[kind], np.float16 if options == "masters" else np.float64
    runs = []
    for make in (of_kind, np.asarray):
        values = np.random.default_rng(1).standard_normal((6, 3, 2)).astype(dtype)
        p = Parameter(np.zeros((3, 2), dtype))
        p.data = make(values[0])
        opt = Adam([p], lr=0.1, **OPTIONS[options])
        for step, grad in enumerate(values[1:5]):
            p.grad = make(grad)
            opt.step()
            if step == 1:  # a state and weights that somebody has put there
                p.data = make(np.array(p.data))
                opt.state[p]["exp_avg"] = make(np.array(opt.state[p]["exp_avg"]))
        assert type(p.data) is np.ndarray
        assert {type(value) for value in opt.state[p].values()} <= {np.ndarray, int}
        runs.append((p.data, opt.state[p]["exp_avg_sq"]))
    for found, expected in zip(*runs, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_parameter_is_made_of_the_data_of_a_subclass():
    assert type(Parameter(masked(np.ones(3))).data) is np.ndarray


def test_a_big_endian_float16_weight_has_a_master():
    runs = []
    for dtype in (">f2", "<f2"):
        p = Parameter(np.ones(3, dtype))
        p.grad = np.full(3, 2.0**-13, dtype)
        opt = SGD([p], lr=1.0, master_weights=True)
        for _ in range(8):
            opt.step()
        assert p.data.dtype == dtype
        assert opt.state[p]["master_weight"].dtype == np.float32
        runs.append(p.data.astype("f2"))
    np.testing.assert_array_equal(*runs)
    assert (runs[0] < 1).all()  # without a master it stalls


FOREIGN = {"big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")), "long": np.longdouble}


def as_saved(saved, change):
    """A state dict with each of its arrays changed."""
    if isinstance(saved, dict):
        return {key: as_saved(value, change) for key, value in saved.items()}
    if isinstance(saved, mx.array):
        return change(np.array(saved))
    return saved


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("idiom", ["steps", "trees"])
@pytest.mark.parametrize("change", FOREIGN)
def test_an_mlx_run_goes_on_from_arrays_that_mlx_cannot_read(rng, change, idiom):
    weights = rng.standard_normal((2, 3, 4)).astype(np.float32)
    runs = []
    for foreign in (FOREIGN[change], lambda a: a):
        tree = {"a": mx.array(weights[0])}
        grads = {"a": mx.array(weights[1])}
        p = Parameter(tree["a"])
        p.grad = grads["a"]
        opts = [NAdam() if idiom == "trees" else NAdam([("a", p)]) for _ in range(2)]
        for opt in opts:
            if idiom == "trees":
                opt.init(tree)
            for step in range(3):
                if opt is opts[1] and step == 0:
                    opt.load_state_dict(as_saved(opts[0].state_dict(), foreign))
                if idiom == "trees":
                    tree = opt.apply_gradients(grads, tree)
                else:
                    opt.step()
        runs.append(np.array(tree["a"] if idiom == "trees" else p.data))
    np.testing.assert_array_equal(*runs)


def test_sums_masters_and_averages_may_be_foreign_too():
    foreign = FOREIGN["big-endian"]
    p = Parameter(mx.array([1.0, 2.0], dtype=mx.float16))
    p.grad = mx.array([1.0, 1.0], dtype=mx.float16)
    opt = SGD([p], lr=1.0, accumulation_steps=2, master_weights=True)
    for _ in range(3):
        opt.step()
    opt.load_state_dict(as_saved(opt.state_dict(), foreign))
    opt.step()
    assert p.data.tolist() == [-1, 0]
    average = ExponentialMovingAverage([Parameter(mx.array([1.0]))])
    average.load_state_dict(as_saved(average.state_dict(), foreign))
    average.update()
    assert average.state["averages"][0].tolist() == [1]


def test_a_state_of_float64_keeps_its_bits_in_an_mlx_array_of_float64():
    third = np.full(2, 1 / 3)
    p = Parameter(mx.array(third, dtype=mx.float64))
    p.grad = mx.zeros((2,), dtype=mx.float64)
    with mx.stream(mx.cpu):
        opt = SGD([p], lr=0.5, momentum=1.0, kernel="mlx")
        opt.state[p]["momentum_buffer"] = third
        opt.step()
        np.testing.assert_array_equal(np.array(p.data), third - 0.5 * third)


@pytest.mark.parametrize("make", [np.array, mx.array], ids=["numpy", "mlx"])
def test_zero_grad_may_fill_zeros_in_new_arrays(make):
    p, q = Parameter(make([1.0, 2.0])), Parameter(make([3.0]))
    p.grad = kept = make([0.5, 0.5])
    opt = SGD([p, q])
    opt.zero_grad(set_to_none=False)
    assert (p.grad.tolist(), q.grad) == ([0, 0], None)
    assert (kept.tolist(), type(p.grad), p.grad.dtype) == ([0.5, 0.5], type(kept), kept.dtype)
    opt.zero_grad(set_to_none=True)
    assert p.grad is None
    with pytest.raises(TypeError, match="SGD: set_to_none must be True or False, got 5"):
        opt.zero_grad(5)
