"""What a step needs of whole groups: sums over the parameters that take part, and what is made of
them.

Owns the shares of parameters, which a backend computes as it computes steps, and adding them up, in
double and in an order that depends on the parameters alone. What is computed is said by the rounds
of a rule. The numbers that a group keeps are in its dict, beside hyperparameters, and
``group_step`` beside them: the steps in which a parameter took part. Does not own the order of
things in a step (``engine``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import as_numpy, in_single, is_half
from ..backends.protocol import Call
from ..groups.bucket import Bucket, Members, Part, first_updates, old_scalars
from ..groups.parameters import Parameter
from ..groups.settings import Settings
from ..groups.states import Slot
from ..rules.calling import evaluate
from ..rules.rule import GROUP_SIZE, GROUP_STEP, Round, Rule

#: Prepares the update of parts.
Prepare = Callable[[Sequence[Part]], Sequence[Call]]


class Rounds:
    """The rounds of one optimizer's steps, and the records of its parameters' shares."""

    def __init__(self) -> None:
        self._slots: dict[tuple[Rule, int], tuple[Slot, Slot]] = {}

    def run(
        self,
        settings: Settings,
        group: Mapping[str, Any],
        parts: Sequence[Part],
        prepare: Prepare,
        given: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What functions of the step are given of a group, and what the group keeps after it.

        Parameters
        ----------
        settings : Settings
            The group's.
        group : mapping
            What it has kept.
        parts : sequence of Part
            The parameters that take part, at least one; with scaled gradients if they are.
        prepare : callable
            Prepares parts of shares.
        given : mapping, optional
            The numbers that the step is given.
        """
        rule, (known, choices) = settings.rule, begun(settings, group)
        known |= given or {}
        known[rule.called(GROUP_SIZE)] = float(
            sum(math.prod(slot.param.data.shape) for part in parts for slot in part.slots)
        )
        for found in rule.rounds:
            if found.shares is not None:
                known |= self._sums(found, settings, known, parts, prepare)
            if found.values is not None:
                known |= evaluate(found.values, {**settings.values, **choices, **known})
        kept = {state.key: known[state.name] for state in rule.group_states}
        return known, {**kept, GROUP_STEP: int(known.pop("t"))}

    def _sums(
        self,
        found: Round,
        settings: Settings,
        known: Mapping[str, Any],
        parts: Sequence[Part],
        prepare: Prepare,
    ) -> dict[str, float]:
        """The sums of a round."""
        rule = found.shares
        assert rule is not None
        given = {name: value for name, value in known.items() if name != "t"}
        keys = {state.name: state.key for state in rule.arrays if state.name in found.sums}
        own, names = settings.under(rule), {*keys.values()}
        shares = [s for part in parts for s in self._shares(part, own, names, given)]
        for call in prepare(shares):
            call.run()
        slots = [slot for part in shares for slot in part.slots]
        return {
            name: joined(kind, [slot.entry[keys[name]] for slot in slots])
            for name, kind in found.sums.items()
        }

    def _shares(
        self, part: Part, settings: Settings, shares: set[str], given: Mapping[str, Any]
    ) -> list[Part]:
        """The parts of shares of a part of a step, whose parameters differ in shapes perhaps."""
        alike: dict[Settings, list[int]] = {}
        for index, slot in enumerate(part.slots):
            alike.setdefault(settings.of(tuple(slot.param.data.shape)), []).append(index)
        made = []
        for own, places in alike.items():
            slots = [self._slot(own, shares, part.slots[i]) for i in places]
            entry, w = part.slots[places[0]].entry, part.slots[places[0]].param.data
            firsts, olds = first_updates(own, entry, entry), old_scalars(own, entry, w)
            bucket = Bucket(own, part.bucket.t, firsts, olds, changed=given).scaled_as(part.bucket)
            made.append(Part(part.kind, bucket, Members(slots), [part.grads[i] for i in places]))
        return made

    def _slot(self, settings: Settings, shares: set[str], of: Slot) -> Slot:
        """The record of a parameter's shares: its arrays as they are, and its shares beside them.

        Those of half-precision parameters are computed, and kept, in single precision.
        """
        rule, data = settings.rule, of.param.data
        if is_half(data):
            return Slot(Parameter(in_single(data)), dict(of.entry), shared=True)
        _, slot = self._slots.get((rule, id(of)), (None, None))
        if slot is None or slot.param is not of.param:
            slot = Slot(of.param, {}, shared=True)
            self._slots[rule, id(of)] = of, slot
        own = {key: slot.entry[key] for key in shares if key in slot.entry}
        slot.entry.clear()
        slot.entry.update(of.entry)
        slot.entry.update(own)
        if slot.seen is not None and not slot.seen.holds(data, slot.entry, settings.arrays):
            slot.seen = None
        return slot


def begun(settings: Settings, group: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What is known of a group before its step, and the choices that its equations make."""
    step = int(group.get(GROUP_STEP, 0)) + 1
    known: dict[str, Any] = {"t": float(step)}
    choices = {**settings.choices, "first_w": step == 1}
    for state in settings.rule.group_states:
        old = group.get(state.key)
        known[state.before] = settings.start(state, None) if old is None else float(old)
        if state.first:
            choices[f"first_{state.name}"] = old is None
    return known, choices


def joined(kind: str, shares: Sequence[Any]) -> float:
    """The sum of shares, or the largest of them; nan if one is."""
    values = np.array([as_numpy(share).item() for share in shares], np.float64)
    with np.errstate(all="ignore"):
        return float(np.add.reduce(values) if kind == "total" else np.max(values))
