"""What people do with a model and its optimizer in Lucid, beyond calling ``step``."""

import copy
import pickle

import mlx.core as mx
import numpy as np
import pytest

from lucidgen.optim import SGD, Adam, AdamW, NAdam, RAdam

DEVICES = ("cpu", "gpu")
CLASSES = {
    "SGD": lambda params: SGD(params, lr=0.05, momentum=0.9),
    "Adam": lambda params: Adam(params, lr=0.05, amsgrad=True),
    "AdamW": lambda params: AdamW(params, lr=0.05),
    "NAdam": lambda params: NAdam(params, lr=0.05),
    "RAdam": lambda params: RAdam(params, lr=0.05, weight_decay=0.1),
}
each_device = pytest.mark.parametrize("device", DEVICES)
each_class = pytest.mark.parametrize("make", CLASSES.values(), ids=CLASSES)


@each_device
def test_two_optimizers_over_one_model(device, network, train, weights, same):
    shared, alone = network(device), network(device)
    pair = [SGD(shared.parameters(), lr=0.1), SGD(shared.parameters(), lr=0.1)]
    train(shared, *pair)
    train(alone, SGD(alone.parameters(), lr=0.1))
    same(weights(shared), weights(alone))


@each_device
def test_two_optimizers_share_a_model_by_parts(device, network, train, weights, same):
    model, whole = network(device), network(device)
    first = Adam(model.first.parameters(), lr=0.05)
    second = Adam(model.second.parameters(), lr=0.05)
    together = Adam(whole.parameters(), lr=0.05)

    class Both:
        def step(self):
            first.step()
            second.step()

    train(model, Both())
    train(whole, together)
    same(weights(model), weights(whole))


@each_class
def test_a_late_move_to_the_gpu(make, network, train, weights, same):
    moved, stayed = network(), network()
    optimizer = make(moved.parameters())
    train(moved, optimizer, stop=3)
    moved.to("gpu")
    train(moved, optimizer, start=3, stop=6)
    train(stayed, make(stayed.parameters()), stop=6)
    for parameter in moved.parameters():
        assert isinstance(parameter.data, mx.array)
        arrays = [v for v in optimizer.state[parameter].values() if hasattr(v, "shape") and v.ndim]
        assert all(isinstance(array, mx.array) for array in arrays)
    same(weights(moved), weights(stayed), tolerance=1e-5)


@each_device
@each_class
def test_a_deep_copy_goes_its_own_way(make, device, network, train, weights, same):
    model = network(device)
    optimizer = make(model.parameters())
    train(model, optimizer, stop=3)
    other, other_optimizer = copy.deepcopy((model, optimizer))
    before = weights(model)
    train(other, other_optimizer, start=3)
    same(weights(model), before)
    train(model, optimizer, start=3)
    same(weights(other), weights(model))
    assert not np.array_equal(before["first.weight"], weights(model)["first.weight"])


@each_device
@each_class
def test_a_pickled_run_continues(make, device, network, train, weights, same):
    model = network(device)
    optimizer = make(model.parameters())
    train(model, optimizer, stop=3)
    other, other_optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    assert type(other_optimizer) is type(optimizer)
    train(other, other_optimizer, start=3)
    train(model, optimizer, start=3)
    same(weights(other), weights(model))


@each_device
@each_class
def test_a_resumed_run_equals_an_uninterrupted_one(make, device, network, train, weights, same):
    straight, stopped, resumed = network(device), network(device), network(device)
    train(straight, make(straight))
    optimizer = make(stopped)
    train(stopped, optimizer, stop=3)
    checkpoint = copy.deepcopy((stopped.state_dict(), optimizer.state_dict()))
    resumed.load_state_dict(checkpoint[0])
    optimizer = make(resumed)
    optimizer.load_state_dict(checkpoint[1])
    train(resumed, optimizer, start=3)
    same(weights(resumed), weights(straight))


@each_device
@each_class
def test_tied_weights_move_once(make, device, network, train, weights, same):
    tied, reference = network(device, tied=True), network(device, tied=True)
    with pytest.warns(UserWarning, match=r"first\.weight|parameter 2|more than once|repeated"):
        optimizer = make(tied)
    train(tied, optimizer)
    unique = [reference.first.weight, reference.first.bias, reference.second.bias]
    train(reference, make(unique))
    assert tied.second.weight is tied.first.weight
    same(weights(tied), weights(reference))


@each_device
@each_class
def test_a_module_gives_its_parameters_and_their_names(make, device, network, train, weights, same):
    by_module, by_list = network(device), network(device)
    optimizer = make(by_module)
    assert optimizer.param_groups[0]["param_names"] == [
        "first.weight",
        "first.bias",
        "second.weight",
        "second.bias",
    ]
    train(by_module, optimizer)
    train(by_list, make(by_list.parameters()))
    same(weights(by_module), weights(by_list))
