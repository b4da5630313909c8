"""The language of spec files: what equations mean."""

import numpy as np

from lucidgen.ir.lower import lower
from lucidgen.package.cost import cost
from lucidgen.package.documentation import class_doc, unsupported, value_text
from lucidgen.passes import optimize, stages
from lucidgen.passes.capture import capture
from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    Rational,
    column_max,
    column_total,
    exp,
    grad,
    group,
    hyper,
    largest,
    mean,
    row_max,
    row_mean,
    row_norm,
    schedule,
    series,
    t,
    w,
    when,
)
from lucidgen.spec.check import check
from lucidgen.spec.domains import Domain, infer_domains
from lucidgen.spec.quantities import values_in
from lucidgen.specs.adam import Adam, AdamW, m, v, v_max
from lucidgen.specs.lars import LARS
from lucidgen.specs.nadam import NAdam
from lucidgen.specs.sgd import SGD
from lucidgen.targets.common.host import host_function
from lucidgen.verify.oracle import Trajectory
from lucidgen.verify.setting import Setting

lr = hyper("lr", 0.5, at_least=0)
momentum = hyper("momentum", 0.0, special=0)
b, u, c, d = (series(name) for name in "bucd")


def spec(*equations: Eq, arguments: tuple[object, ...] = (lr,)) -> OptimizerSpec:
    return OptimizerSpec("Made", arguments, equations)


def after(made: OptimizerSpec, grads: list[float], **hypers: float) -> Trajectory:
    path = Trajectory(Setting(made, hypers), np.array([1.0]))
    for grad_ in grads:
        path.step(np.array([grad_]))
    return path


def test_a_shifted_equation_is_the_same_equation() -> None:
    plain = Eq(w[t], w[t - 1] - lr * grad[t] / t)
    shifted = Eq(w[t + 1], w[t] - lr * grad[t + 1] / (t + 1))
    assert shifted.normalised() == plain.normalised()
    assert str(lower(spec(shifted))) == str(lower(spec(plain)))


def test_arguments_of_one_name_differ_if_but_one_of_them_has_a_special_value() -> None:
    special, plain = hyper("share", 0.5, special=0), hyper("share", 0.5)
    assert special != plain
    assert [(2 * each).args[1].special for each in (special, plain)] == [0, None]


def test_the_order_of_equations_changes_nothing_but_their_numbers() -> None:
    def text(equations: tuple[Eq, ...]) -> str:
        program = optimize(lower(OptimizerSpec("Adam", Adam.variant("A").arguments, equations)))
        return "\n".join(sorted(str(let).split("  #")[0] for let in program.lets))

    equations = Adam.equations
    texts = {text(equations[i:] + equations[:i]) for i in range(len(equations))}
    assert texts == {text(equations), text(equations[::-1])}
    assert len(texts) == 1


def test_a_variant_changes_only_what_it_names() -> None:
    changed = {e.key for e in AdamW.equations} ^ {e.key for e in Adam.equations}
    assert not changed
    differing = [e.key for e, old in zip(AdamW.equations, Adam.equations, strict=True) if e != old]
    assert differing == [("g", "t"), ("w", "t")]
    assert AdamW.default(next(a for a in AdamW.parameters if a.name == "weight_decay")) == 1e-2


def test_a_variant_has_no_arguments_of_its_bases_dialects() -> None:
    assert "eps_root" in {a.name for a in Adam.parameters}
    assert "eps_root" not in {a.name for a in Adam.variant("A").parameters}
    assert "amsgrad" in {a.name for a in Adam.variant("A").parameters}


def test_a_variant_adds_and_drops_by_left_sides() -> None:
    variant = Adam.variant("A", drop=(v_max[t],), add=(Eq(c[t], grad[t]),))
    assert {s.name for s in variant.by_moment("t")} == {"g", "m", "v", "m_hat", "v_hat", "w", "c"}


def test_a_variant_does_not_inherit_dialects_and_a_dialect_keeps_the_name() -> None:
    assert list(Adam.readings)[:4] == ["torch", "paper", "devlog", "lucid2"]
    assert list(Adam.variant("A").readings) == ["own"]
    assert {reading.name for reading in Adam.readings.values()} == {"Adam"}


def test_a_dialect_saves_states_under_other_keys() -> None:
    main = Adam.variant("A")
    other = main.dialect("other", saved_as={v: "nu"})
    assert [(s.name, s.saved_as) for s in other.states][:2] == [("m", "exp_avg"), ("v", "nu")]
    assert [s.saved_as for s in main.states][1] == "exp_avg_sq"
    assert [e.key for e in other.equations] == [e.key for e in main.equations]
    (output,) = (o for o in lower(other).outputs if o.after.name == "v")
    assert output.live.is_always


def test_an_argument_that_a_dialect_alone_uses_is_an_argument_of_the_class() -> None:
    scale = hyper("scale", 1.0)
    equation = Eq(w[t], w[t - 1] - lr * grad[t])
    main = OptimizerSpec("A", (lr, scale), (equation,))
    main.dialect("scaled", replace=(Eq(w[t], w[t - 1] - scale * lr * grad[t]),))
    check(main)
    assert unsupported(main, main) == ("scale",)
    assert unsupported(main, main.dialects["scaled"]) == ()
    assert (
        class_doc(main, optimize(lower(main)))
        .arguments[1]
        .doc.endswith('Only in dialect "scaled".')
    )


def test_state_is_what_is_read_at_the_step_before() -> None:
    assert Adam.states == (m, v, v_max)
    assert [s.name for s in NAdam.states] == ["m", "v", "mu_product"]
    assert not spec(Eq(w[t], w[t - 1] - lr * grad[t])).states


def test_a_state_that_no_live_equation_reads_is_not_kept() -> None:
    assert [s.name for s in Setting(Adam).states()] == ["m", "v"]
    assert [s.name for s in Setting(Adam, {}, {"amsgrad": True}).states()] == ["m", "v", "v_max"]
    (output,) = (o for o in lower(Adam).outputs if o.after.name == "v_max")
    assert str(output.live) == "amsgrad"


def test_a_kept_series_is_state_although_nobody_reads_it() -> None:
    average = series("average", keep=True)
    made = spec(
        Eq(w[t], w[t - 1] - lr * grad[t]),
        Eq(average[t], average[t - 1] / 2 + w[t] / 2),
        Eq(average[0], w[0]),
    )
    assert made.states == (average,)
    assert after(made, [1.0]).states["average"][0] == 0.75
    assert "average" in {o.after.name for o in optimize(lower(made)).outputs}


def test_a_start_uses_the_hyperparameters_of_the_moment_it_is_created() -> None:
    made = spec(
        Eq(b[0], lr),
        Eq(b[t], b[t - 1]),
        Eq(w[t], w[t - 1] - when(momentum, b[t], 0) * grad[t]),
        arguments=(lr, momentum),
    )
    path = after(made, [1.0])
    assert not path.states
    path.setting = Setting(made, {"lr": 2.0, "momentum": 0.5})
    path.step(np.array([1.0]))
    path.setting = Setting(made, {"lr": 9.0, "momentum": 0.5})
    path.step(np.array([1.0]))
    assert path.states["b"] == 2.0


def test_a_first_update_holds_in_the_step_in_which_the_state_is_created() -> None:
    path = after(SGD, [1.0, 1.0])
    assert not path.states
    path.setting = Setting(SGD, {"momentum": 0.5, "dampening": 0.5})
    path.step(np.array([3.0]))
    assert path.t == 3
    assert path.states["b"][0] == 3.0
    path.step(np.array([3.0]))
    assert path.states["b"][0] == 3.0


def test_the_first_update_of_w_is_the_first_step() -> None:
    made = spec(Eq(w[1], w[0]), Eq(w[t], w[t - 1] - lr * grad[t]))
    assert after(made, [1.0]).w[0] == 1.0
    assert after(made, [1.0, 1.0]).w[0] == 0.5


def test_no_pass_opens_a_group() -> None:
    made = spec(Eq(b[t], group(grad[t] + c[t]) - c[t]), Eq(c[t], c[t - 1] + grad[t]),
                Eq(w[t], w[t - 1] - lr * b[t]))  # fmt: skip
    for name, program in stages(lower(made)):
        assert any("roup(" in str(let.value) for let in program.lets), name


def test_the_branch_of_a_host_condition_that_is_not_taken_is_not_evaluated() -> None:
    made = spec(Eq(c[t], when(t > 1, 1 / (t - 1), 0)), Eq(w[t], w[t - 1] - c[t] * grad[t]),
                arguments=())  # fmt: skip
    assert after(made, [1.0]).w[0] == 1.0
    program = optimize(lower(made))
    (condition,) = program.conditions
    guarded = [let for let in program.lets if "1/" in str(let.value)]
    assert guarded
    assert all(condition in let.guard.support for let in guarded)


def test_domains_are_inferred() -> None:
    found = {name: domain.value for name, domain in infer_domains(LARS).items()}
    assert found["trust_ratio"] == found["w_norm"] == "tensor"
    assert found["velocity"] == "element"
    assert infer_domains(NAdam)["mu_product"].value == "scalar"
    made = spec(Eq(c[t], mean(grad[t])), Eq(d[t], d[t - 1] + lr), Eq(w[t], w[t - 1] - c[t] * d[t]))
    assert [infer_domains(made)[n].value for n in "cd"] == ["tensor", "scalar"]


def test_a_reduction_leaves_the_axes_that_it_does_not_reduce() -> None:
    made = spec(
        Eq(c[t], column_total(row_norm(grad[t])) + row_max(column_max(grad[t]))),
        Eq(d[t], largest(c[t]) + mean(row_mean(grad[t]))),
        Eq(w[t], w[t - 1] - lr * c[t] * d[t] * grad[t]),
    )
    assert [infer_domains(made)[name].value for name in "cd"] == ["matrix", "tensor"]


def test_what_is_joined_has_the_axes_of_either() -> None:
    for one in Domain:
        for other in Domain:
            joined = one.join(other)
            assert joined is other.join(one)
            assert joined.axes == one.axes | other.axes
            assert (joined is Domain.HOST) == (one is other is Domain.HOST)
            assert one.reduced(other.value).axes == one.axes & other.axes


def test_the_default_adam_costs_one_root_one_division_and_ten_operations() -> None:
    counted = cost(lower(Adam))
    assert set(counted.reads) <= {"w", "grad", "m", "v"}
    assert set(counted.writes) <= {"w", "m", "v"}
    assert counted.operations["sqrt"] == 1
    assert counted.operations["div"] == 1
    assert sum(counted.operations.values()) - 2 <= 10


def test_every_stage_of_a_program_can_be_printed() -> None:
    program = lower(Adam)
    texts = [str(program), *(str(after_) for _, after_ in stages(program))]
    assert len(texts) > 5
    for text in texts:
        assert text.startswith("Adam (torch)(")
        assert "body:" in text
        assert "sqrt(" in text
    assert any("host:" in text for text in texts)
    assert len(set(texts)) > 4


def test_numbers_are_written_shortly_and_exactly() -> None:
    values = [
        mantissa * 10.0**exponent for mantissa in (1, 3, 9.999) for exponent in range(-30, 30)
    ]
    for value in [*values, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -1e-6]:
        assert float(value_text(value)) == value
    assert [value_text(x) for x in (1e-6, 1e-12, 1e-3, 0.9, (1e-6, 0.5))] == [
        *("1e-6", "1e-12", "1e-3", "0.9", "(1e-6, 0.5)")
    ]


def test_a_fraction_of_a_scalar_is_a_division_where_no_double_holds_it() -> None:
    made = spec(Eq(c[t], lr / 3 + lr / 4), Eq(w[t], w[t - 1] - c[t] * grad[t]))
    (line,) = (x for x in host_function(optimize(lower(made))).lines if x.startswith("c ="))
    assert line.split("  #")[0] == "c = 7 * lr / 12"
    made = spec(Eq(c[t], 3 * lr / 4), Eq(w[t], w[t - 1] - c[t] * grad[t]))
    (line,) = (x for x in host_function(optimize(lower(made))).lines if x.startswith("c ="))
    assert line.split("  #")[0] == "c = 0.75 * lr"


def test_a_cube_root_of_an_array_is_one_operation() -> None:
    made = spec(
        Eq(c[t], c[t - 1] + grad[t] ** 2),
        Eq(w[t], w[t - 1] - lr * grad[t] / c[t] ** Rational(1, 3)),
    )
    assert cost(lower(made)).operations["cbrt"] == 1


def test_captured_steps_take_complements_of_cases_without_cancellation() -> None:
    """1 - b is exact in the case of a constant b, and an expm1 in that of an exponential."""
    beta = hyper("beta", 0.9999, at_least=0, below=1)
    made = spec(
        Eq(d[t], when(t < 10, exp(-1 / t), beta)),
        Eq(c[t], d[t] * c[t - 1] + (1 - d[t]) * grad[t]),
        Eq(w[t], w[t - 1] - lr * c[t]),
        arguments=(lr, beta),
    )
    host = {let.target.name: str(let.value) for let in capture(optimize(lower(made))).host}
    assert host["one_minus_d"] == "when(t_below_10, -Expm1(-1/t), 1 - beta)"


def test_what_scales_a_sum_is_named_after_the_hyper_or_the_result() -> None:
    made = spec(Eq(w[t], (w[t - 1] - grad[t]) / (1 + lr)))
    assert {let.target.name for let in optimize(lower(made)).host} == {"w_scale"}
    made = spec(
        Eq(c[t], c[t - 1] / 2 + grad[t]),
        Eq(w[t], w[t - 1] - lr / 3 * (c[t] + grad[t])),
    )
    assert {let.target.name for let in optimize(lower(made)).host} == {"scaled_lr"}


def test_values_at_times_that_look_the_same_are_told_apart() -> None:
    """Schedules have a t of their own: SymPy and we remember what was made of either."""
    x = series("x")
    here, there = x[t] * lr, x[schedule.t] * lr
    assert str(here) == str(there)
    assert here != there
    assert [at.shift for at in values_in(here)] == [0]
    assert [at.shift for at in values_in(there)] == [None]
