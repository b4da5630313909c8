"""The dialects "keras", "optax" and "mlx" do what keras 3.15, optax 0.2.8 and MLX 0.32 do."""

from __future__ import annotations

import pytest
from cases import CASES, PARAMETERS, fingerprint
from compare import FLOAT32, FLOAT64
from recording import Recording
from replay import assert_same, mlx32, numpy64, run
from sampling import a_few
from tables import claimed

import lucidgen.optim

VERSIONS = {"keras": "3.15.1", "optax": "0.2.8", "mlx": "0.32.4"}
RECORDINGS = {library: Recording(library) for library in VERSIONS}
# These libraries know no missing gradients.
PRESENT = [index for index, p in enumerate(PARAMETERS) if not p.missing]
RECORDED = [(library, name) for library, r in RECORDINGS.items() for name in r.cases]
A_FEW = [
    pytest.param(library, *case.values, id=f"{library}-{case.id}", marks=case.marks)
    for library, recording in RECORDINGS.items()
    for case in a_few({n: CASES[n] for n in recording.cases}, lambda _, of=library: of)
]


@pytest.mark.parametrize("library", VERSIONS)
def test_every_dialect_is_recorded(library: str) -> None:
    recording = RECORDINGS[library]
    assert recording.about == {
        "library": library,
        "version": VERSIONS[library],
        "cases": fingerprint({name: CASES[name] for name in recording.cases}),
    }
    recorded = {CASES[name].optimizer for name in recording.cases}
    classes = [getattr(lucidgen.optim, name) for name in lucidgen.optim.__all__]
    with_dialect = {c.__name__ for c in classes if library in getattr(c, "rules", ())}
    assert recorded <= with_dialect


@pytest.mark.parametrize(("library", "name"), RECORDED)
def test_numpy_float64(library: str, name: str) -> None:
    case = CASES[name]
    ours = run(case, numpy64, PRESENT, dialect=library, kernel="numpy")
    assert_same(ours, RECORDINGS[library], case, claimed(case.optimizer, library), PRESENT)


@pytest.mark.complete
@pytest.mark.parametrize(("library", "name"), RECORDED)
def test_loops_in_float64(library: str, name: str) -> None:
    case = CASES[name]
    ours = run(case, numpy64, PRESENT, dialect=library, kernel="cpp")
    assert_same(ours, RECORDINGS[library], case, FLOAT64, PRESENT)


@pytest.mark.parametrize(("library", "name"), A_FEW)
def test_mlx_not_compiled(library: str, name: str, uncompiled: None) -> None:
    case = CASES[name]
    ours = run(case, mlx32, PRESENT, dialect=library)
    assert_same(ours, RECORDINGS[library], case, FLOAT32, PRESENT)


@pytest.mark.parametrize(
    ("library", "name"),
    [("keras", "Adam"), ("optax", "Adam-amsgrad"), ("mlx", "Adam"), ("optax", "Rprop")],
)
def test_the_reading_of_torch_is_found_to_differ(library: str, name: str) -> None:
    case = CASES[name]
    with pytest.raises(AssertionError, match="differs by"):
        assert_same(run(case, numpy64, PRESENT), RECORDINGS[library], case, FLOAT64, PRESENT)
