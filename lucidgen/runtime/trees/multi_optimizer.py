"""Several optimizers for one tree of MLX arrays: MultiOptimizer of mlx.optimizers.

Owns the division of the tree. Groups of one optimizer differ in values; here the equations differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..checking import shown
from ..groups.selection import Selection, as_selection, routed
from ..step.loss import as_graph_loss
from .engine import TreeEngine
from .leaves import check_model, gradients, leaves, replaced, selected, tree_of, weights


class MultiOptimizer:
    """Optimizers that each update a part of a tree of MLX arrays.

    Parameters
    ----------
    optimizers : sequence of optimizers, each made without parameters
        What to use; a parameter goes to the first optimizer whose filter selects it.
    filters : sequence of str, of sequences of str, or of functions of name and array
        One for each optimizer but the last, which takes what is left: patterns for names, such as
        ``"*.bias"``, or functions that say whether to take a parameter.

    Raises
    ------
    TypeError, ValueError
        If an optimizer has parameters of its own, or there are too few or too many filters.

    Notes
    -----
    ``state`` is ``{"states": [<state of each optimizer>]}``, which ``mx.compile`` can capture; each
    has the states of its own parameters alone, and is saved and loaded by itself. Where all
    optimizers are of the dialect "mlx", some may be left without parameters, as there.
    ``max_grad_norm`` is about the gradients that its optimizer gets: to clip all to one norm, give
    ``optim.clip_grad_norm`` of MLX all of them.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from lucidgen.optim import SGD, Lion
    >>> params = {"weight": mx.ones((2, 2)), "bias": mx.ones(2)}
    >>> optimizer = MultiOptimizer([Lion(lr=0.5), SGD(lr=1.0)], [lambda path, w: w.ndim == 2])
    >>> grads = {"weight": mx.full((2, 2), 3.0), "bias": mx.full(2, 0.25)}
    >>> optimizer.apply_gradients(grads, params)["bias"].tolist()
    [0.75, 0.75]
    """

    def __init__(self, optimizers: Sequence[Any], filters: Sequence[Any] = ()) -> None:
        label = type(self).__name__
        for name, given in (("optimizers", optimizers), ("filters", filters)):
            if not isinstance(given, list | tuple):
                raise TypeError(f"{label}: {name} must be a list, got {shown(given)}")
        for index, optimizer in enumerate(optimizers):
            if not isinstance(getattr(optimizer, "_engine", None), TreeEngine):
                raise TypeError(
                    f"{label}: optimizer {index} must be an optimizer without parameters, "
                    f"got {type(optimizer).__name__}"
                )
        if len(filters) != len(optimizers) - 1:
            raise ValueError(
                f"{label}: {len(optimizers)} optimizers need {len(optimizers) - 1} filters, one "
                f"for each but the last; got {len(filters)}"
            )
        self.optimizers: list[Any] = list(optimizers)
        self.filters: list[Selection] = [
            as_selection(value, f"{label}: filter {index}") for index, value in enumerate(filters)
        ]

    def _parts(self, tree: Any, late: bool) -> list[Any]:
        """The part of the tree that each optimizer has."""
        arrays = weights(tree, type(self).__name__)
        labels = [
            f"{type(self).__name__}: optimizer {index} ({type(optimizer).__name__})"
            for index, optimizer in enumerate(self.optimizers)
        ]
        late |= not arrays or all(optimizer._engine.is_mlx for optimizer in self.optimizers)
        homes = routed([*self.filters, ("*",)], arrays, labels, type(self).__name__, late)
        names: list[set[str]] = [set() for _ in self.optimizers]
        for name, index in homes.items():
            names[index].add(name)
        return [selected(tree, own) or {} if own else {} for own in names]

    def init(self, params: Any) -> None:
        """Make the states for a tree of MLX arrays, or for an mlx.nn.Module.

        Raises
        ------
        TypeError, ValueError
            If there are no floating arrays, or an optimizer gets none.
        """
        tree = tree_of(params, f"{type(self).__name__}: params")
        parts = self._parts(tree, late=False)
        for optimizer, part in zip(self.optimizers, parts, strict=True):
            optimizer.init(part)

    def apply_gradients(self, grads: Any, params: Any, *, loss: Any = None) -> Any:
        """The updated tree of parameters, unevaluated; parameters without gradient stay.

        Optimizers whose equations read the ``loss`` need it.
        """
        label = type(self).__name__
        params, grads = tree_of(params, f"{label}: params"), tree_of(grads, f"{label}: grads")
        gradients(grads, label)
        for optimizer in self.optimizers:  # before any of them moves
            if optimizer._rule.reads_loss:
                as_graph_loss(loss, f"{label}: {type(optimizer).__name__}")
        late = all(optimizer._engine.shapes for optimizer in self.optimizers)
        new: dict[str, Any] = {}
        for optimizer, part in zip(self.optimizers, self._parts(params, late), strict=True):
            own = selected(grads, dict(leaves(part)))
            given = {} if own is None else own
            new |= leaves(optimizer.apply_gradients(given, part, loss=loss))
        return replaced(params, new)

    def update(self, model: Any, grads: Any, *, loss: Any = None) -> None:
        """Update an mlx.nn.Module from a tree of gradients, unevaluated."""
        check_model(model, type(self).__name__)
        model.update(self.apply_gradients(grads, model, loss=loss))

    @property
    def state(self) -> dict[str, Any]:
        """The states of the optimizers; one that is assigned is checked, and put into them."""
        return {"states": [optimizer.state for optimizer in self.optimizers]}

    @state.setter
    def state(self, value: Mapping[str, Any]) -> None:
        states = value.get("states") if isinstance(value, Mapping) else None
        if not isinstance(states, list) or len(states) != len(self.optimizers):
            raise ValueError(
                f"{type(self).__name__}: the state must be a dict with a list 'states' of "
                f"{len(self.optimizers)}"
            )
        checked = [
            optimizer._engine.checked(optimizer, own)
            for optimizer, own in zip(self.optimizers, states, strict=True)
        ]
        for put in checked:
            put()

    @property
    def param_groups(self) -> list[Any]:
        """The groups of all optimizers, as schedulers want them."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the first optimizer; setting it sets that of every one."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Callable[[Any], Any]) -> None:
        for optimizer in self.optimizers:
            optimizer.learning_rate = value
