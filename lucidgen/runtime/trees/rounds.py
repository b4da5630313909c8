"""What an update of a tree needs of a whole group: sums over its parameters, in the graph.

Owns the shares of parameters, which are computed as their updates are, their sums, and what a group
makes of them; as in ``step.rounds``, but of arrays, of which none is evaluated. Sums are taken in
double on the CPU, and kept in single precision. Does not own what is done with any of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import mlx.core as mx

from ..arrays import in_single, is_half
from ..groups.settings import Settings
from ..rules.calling import call_in_ieee
from ..rules.rule import GROUP_SIZE, GROUP_STEP, Round
from .layout import ByName
from .update import InGraph, Update, as_array, as_double

Array = Any


def begin(settings: Settings) -> dict[str, Array]:
    """What a group keeps before its first step."""
    return {
        state.key: mx.array(settings.start(state, None), dtype=mx.float32)
        for state in settings.rule.group_states
        if not state.first
    }


def numbers(
    update: Update, arrays: Mapping[str, Array], gradients: Mapping[str, Array]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The numbers of a group that an update is given, and what the group keeps after it.

    Parameters
    ----------
    update : Update
        The update of the group, before any of its parameters.
    arrays, gradients : mapping
        The parameters by their names, and the gradients of those that take part: at least one.
    """
    settings, state, number = update.settings, update.state, InGraph(None, mx.float64).number
    rule, choices = settings.rule, {**settings.choices, "first_w": GROUP_STEP not in state}
    size = float(sum(arrays[name].size for name in gradients))
    known: dict[str, Any] = {**update.known, rule.called(GROUP_SIZE): size}
    with mx.stream(mx.cpu):
        step = state.get(GROUP_STEP, mx.array(0, dtype=mx.int32)) + 1
        known |= update.rates(number)
        for kept in rule.group_states:
            old = state.get(kept.key)
            known[kept.before] = number(settings.start(kept, None) if old is None else old)
            if kept.first:
                choices[f"first_{kept.name}"] = old is None
    for found in rule.rounds:
        if found.shares is not None:
            known |= _sums(found, update, known, arrays, gradients)
        if found.values is not None:
            module = importlib.import_module(rule.targets["mlx"])
            function = getattr(module, found.values.__name__)
            with mx.stream(mx.cpu):
                given = {**settings.values, **choices, **known, "t": number(step)}
                known |= call_in_ieee(function, given, as_double)
    new = {kept.key: as_array(known[kept.name], mx.float32) for kept in rule.group_states}
    return known, {**new, GROUP_STEP: step}


def _sums(
    found: Round,
    update: Update,
    known: Mapping[str, Any],
    arrays: Mapping[str, Array],
    gradients: Mapping[str, Array],
) -> dict[str, Array]:
    """The sums of a round; those of half-precision parameters in single precision."""
    rule = found.shares
    assert rule is not None
    common = replace(update.common, layout=ByName(rule), kernels=None)
    settings, entries = update.settings.under(rule), update.entries
    shares = Update(common, settings, update.state, entries, update.factor, known)
    for name, grad in gradients.items():
        w = arrays[name]
        is_wide = common.has_masters or not is_half(w)
        shares.parameter(name, w if is_wide else in_single(w), grad)
    keys = {state.name: state.key for state in rule.arrays}
    return {
        name: _joined(kind, [new[keys[name]] for new in shares.made])
        for name, kind in found.sums.items()
    }


def _joined(kind: str, shares: Sequence[Array]) -> Array:
    """The sum of shares, or the largest of them, in double."""
    with mx.stream(mx.cpu):
        every = mx.stack([share.astype(mx.float64) for share in shares])
        return mx.sum(every) if kind == "total" else mx.max(every)
