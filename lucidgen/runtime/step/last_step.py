"""What the last step of an optimizer left behind for the next, so that it need not ask again.

Owns the one rule for when that is out of date: what was made of arrays holds for as long as they
are the very same objects (``groups.states.Seen``). What is made of several parameters is kept with
them (``groups.bucket.Members``), and holds for as long as each has the arrays that were seen.
Nobody has to say that anything has changed.

Owns the quick look at a whole group, too. It asks what ``sorting`` asks of each parameter, but of
all at once, in loops that run inside the interpreter: with thousands of small tensors these
questions are what a step costs. Whatever it does not recognise gets the closer look. Does not own
what the step computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, compress, repeat
from operator import attrgetter, is_, itemgetter
from typing import Any

import numpy as np

from ..backends.numpy_arrays import shares_memory
from ..groups.bucket import Bucket, Members, Part
from ..groups.settings import Settings
from ..groups.states import States
from .sorting import BucketOf, Checked, Key, sort

_data, _seen, _entry = attrgetter("data"), attrgetter("seen"), attrgetter("entry")
_dtype, _shape = attrgetter("dtype"), attrgetter("shape")

_FLOAT = frozenset((float,))


class LastStep:
    """What there is to remember: of each group, and what backends keep for the optimizer."""

    def __init__(self) -> None:
        self.groups: list[GroupSeen] = []
        self.own: dict[str, Any] = {}

    def parts(self, groups: Sequence[Checked], states: States) -> list[list[Part]]:
        """The parts of each group, checked."""
        if len(self.groups) != len(groups):
            more = [GroupSeen() for _ in groups[len(self.groups) :]]
            self.groups = [*self.groups[: len(groups)], *more]
        return list(map(GroupSeen.parts, self.groups, groups, repeat(states)))

    def remember(self, groups: Sequence[Checked], parts: Sequence[list[Part]]) -> None:
        """Note what is there after a step."""
        for seen, group, own in zip(self.groups, groups, parts, strict=True):
            seen.remember(group, own)


class GroupSeen:
    """One group as the last step left it."""

    def __init__(self) -> None:
        self._members: list[Members] = []  # of each part
        self._whole: Whole | None = None
        self._bucket: tuple[Settings, Key, Bucket] | None = None

    def parts(self, group: Checked, states: States) -> list[Part]:
        """The parts of the group; members that are as they were are the same object."""
        if self._whole is not None:
            part = self._whole.again(group, states, self._bucket_of)
            if part is not None:
                return [part]
            self._whole = None
        parts = sort(group, states, self._bucket_of)
        for part, members in zip(parts, self._members, strict=False):
            if members.seen and _are(part.seen, members.seen):
                part.members = members
        return parts

    def _bucket_of(self, settings: Settings, key: Key) -> Bucket:
        """The bucket of these settings and this key: the last one, if it is."""
        if self._bucket is None or self._bucket[0] is not settings or self._bucket[1] != key:
            self._bucket = settings, key, Bucket(settings, *key)
        return self._bucket[2]

    def remember(self, group: Checked, parts: Sequence[Part]) -> None:
        """Note what is there after a step."""
        if self._whole is not None and self._whole.has_stayed():
            return
        self._members = list(map(_as_left, parts))
        is_whole = len(parts) == 1 and self._members[0] is not _NOBODY
        self._whole = Whole(group[1], parts[0]) if is_whole else None


#: What is left of a part of which nothing may be trusted.
_NOBODY = Members([])


def _as_left(part: Part) -> Members:
    """The members of a part after a step; nobody, if not all may be trusted.

    Nobody either where the step has put other arrays in the place of those that were known: the
    next one will do so again, and what is made of them would be made in vain.
    """
    seen = list(map(_seen, part.slots))
    if None in seen or not (None in part.seen or _are(seen, part.seen)):
        return _NOBODY
    part.members.seen = seen
    return part.members


def _are(found: list[Any], known: list[Any]) -> bool:
    """Whether these are the very same objects."""
    return len(found) == len(known) and all(map(is_, found, known))


def _same(found: Iterable[Any], known: Iterable[Any]) -> bool:
    """Whether these are the very same objects; both must be of one length."""
    return all(map(is_, found, known))


class Whole:
    """A group that was one part, whose arrays a step has left where they were, in columns.

    A step that makes new arrays leaves nothing that would be worth it. No column has MLX's weights:
    it uses an array's memory again only where nobody refers to it.
    """

    def __init__(self, of_group: Settings, part: Part) -> None:
        self.of_group = of_group
        self.settings = settings = part.bucket.settings
        self.rule, self.arrays = settings.rule, settings.arrays
        self.kind, self.members = part.kind, part.members
        self.params = [slot.param for slot in part.slots]
        self.ids = list(map(id, self.params))
        self.entries = list(map(_entry, part.slots))
        self.grad_dtypes = list(map(_dtype, part.grads))
        self.keys = [state.key for state in self.arrays]
        names = ["step"] if self.rule.counts_steps else []
        self.clock = list(map(itemgetter, [*names, *(s.key for s in settings.scalars)]))
        self.seen: list[Any] = list(map(_seen, part.slots))
        self.datas = list(map(_data, self.seen)) if self.kind is np.ndarray else None
        self.dtypes, self.shapes = list(map(_dtype, self.seen)), list(map(_shape, self.seen))
        columns = zip(*[seen.sources for seen in self.seen], strict=True)
        self.columns = [[array for _, array in column] for column in columns]

    def has_stayed(self) -> bool:
        """Whether a step has left the arrays where they were, as far as the first one tells."""
        return self.members.slots[0].seen is self.seen[0]

    def again(self, group: Checked, states: States, bucket_of: BucketOf) -> Part | None:
        """The group as a part, if nothing but the gradients is new and they are as they were."""
        _, of_group, params, _, grads = group
        settings = self._settings(of_group)
        kinds = list(map(type, grads))
        if kinds.count(self.kind) != len(kinds):
            has_grad = [grad is not None for grad in grads]
            params, grads = list(compress(params, has_grad)), list(compress(grads, has_grad))
            if kinds.count(self.kind) != len(grads):
                return None
        if not (
            settings is not None
            and settings.rule is self.rule
            and settings.arrays is self.arrays
            and len(params) == len(self.params)
            and self._have_stayed(params, states)
            and list(map(_dtype, grads)) == self.grad_dtypes
            and list(map(_shape, grads)) == self.shapes
            and not (self.kind is np.ndarray and shares_memory(grads))
        ):
            return None
        key = self._key()
        if key is None:
            return None
        part = Part(self.kind, bucket_of(settings, key), self.members, grads)
        part.entries, part.grad_dtypes = self.entries, self.grad_dtypes
        return part

    def _settings(self, of_group: Settings) -> Settings | None:
        """The settings of all parameters, as far as their shapes still have the same."""
        if not of_group.rule.asks_shapes:
            return of_group
        if of_group is not self.of_group:
            found = {of_group.of(shape) for shape in {*self.shapes}}
            if len(found) > 1:
                return None
            self.of_group, (self.settings,) = of_group, found
        return self.settings

    def _have_stayed(self, params: Sequence[Any], states: States) -> bool:
        """Whether these are the parameters, with the arrays that were left there.

        Of NumPy's arrays that is all there is to know. What was seen of MLX's is forgotten when
        somebody asks for it; to look costs a visit to each slot, wherever that is in memory.
        """
        slots, datas = self.members.slots, self.datas
        found = [params, map(states.slots.get, self.ids), map(_data, self.params)]
        found += [map(dict.get, self.entries, repeat(key)) for key in self.keys]
        if datas is not None:
            return _same(chain(*found), chain(self.params, slots, datas, *self.columns))
        datas = list(map(_data, self.seen))
        if not _same(
            chain(*found, map(_seen, slots)),
            chain(self.params, slots, datas, *self.columns, self.seen),
        ):
            return False
        # MLX's arrays change in place by becoming others.
        return list(map(_dtype, datas)) == self.dtypes and list(map(_shape, datas)) == self.shapes

    def _key(self) -> Key | None:
        """What the bucket depends on, if it is the same for all."""
        values = []
        try:
            for value_of in self.clock:
                found = list(map(value_of, self.entries))
                if found.count(found[0]) != len(found):
                    return None
                values.append(found[0])
        except KeyError:
            return None
        t = values.pop(0) + 1 if self.rule.counts_steps else 0
        if type(t) is not int or not _FLOAT.issuperset(map(type, values)):
            return None
        return t, (), tuple(values)
