"""Lucid's own schedulers drive the learning rate of generated optimizers."""

import math

import pytest
from lucid.optim.lr_scheduler import CosineAnnealingLR, StepLR

from lucidgen.optim import SGD, Adam, AdamW, NAdam, RAdam

RATES = {
    "step": lambda epoch: 0.1 * 0.5 ** (epoch // 2),
    "cosine": lambda epoch: 0.001 + 0.099 * (1 + math.cos(math.pi * epoch / 6)) / 2,
}
SCHEDULERS = {
    "step": lambda optimizer: StepLR(optimizer, step_size=2, gamma=0.5),
    "cosine": lambda optimizer: CosineAnnealingLR(optimizer, T_max=6, eta_min=0.001),
}


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("schedule", RATES)
@pytest.mark.parametrize("optimizer_class", [SGD, Adam, AdamW, NAdam, RAdam])
def test_a_scheduler_drives_the_learning_rate(
    optimizer_class, schedule, device, network, train, weights, same
):
    driven, by_hand = network(device), network(device)
    optimizer = optimizer_class(driven.parameters(), lr=0.1)
    scheduler = SCHEDULERS[schedule](optimizer)
    seen = []

    def advance():
        scheduler.step()
        seen.append(optimizer.param_groups[0]["lr"])

    advance()
    train(driven, optimizer, each=advance)
    assert seen == pytest.approx([RATES[schedule](epoch) for epoch in range(7)], rel=1e-12)

    optimizer = optimizer_class(by_hand.parameters(), lr=0.1)
    for step in range(6):
        optimizer.param_groups[0]["lr"] = seen[step]
        train(by_hand, optimizer, start=step, stop=step + 1)
    same(weights(driven), weights(by_hand))
