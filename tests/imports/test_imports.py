"""One class object by every import route, in every order, from a checkout and from a wheel.

Each check runs in an interpreter of its own, whose path holds lucidgen (as an editable install or
as an installed wheel) and either all installed packages, the real Lucid among them, or NumPy alone.
"""

import itertools
import os
import subprocess
import sys
import sysconfig
import textwrap
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORLDS = ("checkout", "checkout+lucid", "wheel", "wheel+lucid")
ROUTES = {
    "ours": "import lucidgen.optim",
    "submodule": "import lucidgen.optim.adam",
    "activate": "import lucidgen; lucidgen.activate(); import lucid.optim",
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--target", str(folder), str(wheel)], check=True, capture_output=True)
    return folder


@pytest.fixture
def run(installed, numpy_alone, tmp_path):
    """Return a function that runs Python code in one of the worlds and returns what it prints."""

    def run(world, code):
        home, _, lucid = world.partition("+")
        ours = [installed] if home == "wheel" else [ROOT, ROOT / "generated"]
        packages = sysconfig.get_path("purelib") if lucid else numpy_alone
        path = os.pathsep.join(str(folder) for folder in [*ours, packages])
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-S", "-W", "error", "-c", textwrap.dedent(code)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


IDENTITY = """
import importlib, pickle, sys
import lucidgen, lucidgen.optim, lucidgen.optim.adam
import lucid.optim, lucid.optim.adam
from lucidgen.optim import Adam
from lucid.optim.adam import Adam as second
import lucidgen.runtime

for name in lucidgen.optim.__all__:
    assert getattr(lucid.optim, name) is getattr(lucidgen.optim, name), name
assert Adam is second is lucidgen.optim.adam.Adam is lucid.optim.adam.Adam
assert sys.modules["lucid.optim.adam"] is sys.modules["lucidgen.optim.adam"]
assert lucid.optim.Optimizer is lucidgen.runtime.Optimizer
assert issubclass(Adam, lucid.optim.Optimizer)
assert pickle.loads(pickle.dumps(Adam)) is Adam
assert getattr(sys.modules[Adam.__module__], "Adam") is Adam
"""


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("order", list(itertools.permutations(ROUTES)), ids="-".join)
def test_one_class_object_in_every_order(run, world, order):
    run(world, "\n".join(ROUTES[name] for name in order) + IDENTITY)


@pytest.mark.parametrize("first", ["lucid.optim", "lucid.optim.adam", "lucidgen.optim"])
def test_a_checkout_serves_lucid_optim_where_there_is_no_lucid(run, first):
    code = f"import {first}" + IDENTITY + "assert getattr(lucid, '__file__', None) is None"
    run("checkout", code)


@pytest.mark.parametrize("world", ["checkout+lucid", "wheel+lucid"])
def test_a_real_lucid_stays_real(run, world):
    run(
        world,
        """
        import lucidgen.optim
        import lucid, lucid.optim, lucid.nn
        assert lucid.__file__ is not None
        assert lucid.optim.Adam is not lucidgen.optim.Adam
        assert not issubclass(lucid.optim.Adam, lucidgen.optim.Optimizer)
        """,
    )


def test_a_wheel_alone_has_no_lucid(run):
    run(
        "wheel",
        """
        import importlib.util, lucidgen.optim
        assert importlib.util.find_spec("lucid") is None
        lucidgen.activate()
        import lucid.optim
        lucidgen.deactivate()
        assert importlib.util.find_spec("lucid") is None
        """,
    )


@pytest.mark.parametrize("world", ["checkout+lucid", "wheel+lucid"])
@pytest.mark.parametrize("first", ["", "import lucid", "import lucid.optim.lr_scheduler"])
def test_deactivate_restores_exactly(run, world, first):
    run(
        world,
        f"""
        import sys
        {first}
        import lucidgen
        def held():
            return {{k: v for k, v in sys.modules.items() if k.startswith("lucid.optim")}}
        before = held()
        attribute = getattr(sys.modules.get("lucid"), "optim", None)
        for _ in range(2):
            lucidgen.activate()
            inside = held()
            lucidgen.activate()
            assert held() == inside
            lucidgen.deactivate()
            assert held() == before
            assert getattr(sys.modules["lucid"], "optim", None) is attribute
            lucidgen.deactivate()
        import lucid.optim
        import lucidgen.optim
        assert lucid.optim.Adam is not lucidgen.optim.Adam
        assert lucid.optim.lr_scheduler.StepLR
        """,
    )


@pytest.mark.parametrize("world", ["checkout+lucid", "wheel+lucid"])
@pytest.mark.parametrize("first", ["", "import lucid.optim"])
def test_what_is_not_generated_falls_through(run, world, first):
    run(
        world,
        f"""
        import pickle
        {first}
        import lucidgen
        lucidgen.activate()
        import lucid.nn, lucid.optim
        from lucid.optim import Adam, Optimizer, ada, lr_scheduler
        from lucid.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR
        import lucidgen.optim
        assert issubclass(Adam, Optimizer) and ada.Adamax is not lucidgen.optim.Adamax
        assert lucid.optim.lr_scheduler is lr_scheduler is lucidgen.optim.lr_scheduler
        assert pickle.loads(pickle.dumps(StepLR)) is StepLR
        assert pickle.loads(pickle.dumps(ada.Adamax)) is ada.Adamax
        weight = lucid.nn.Parameter([1.0, 2.0])
        for optimizer in (Adam([weight], lr=0.1), ada.Adamax([weight], lr=0.1)):
            scheduler = StepLR(optimizer, step_size=1, gamma=0.5)
            optimizer.step()
            scheduler.step()
            assert optimizer.param_groups[0]["lr"] == 0.05
        """,
    )


@pytest.mark.parametrize("world", ["checkout+lucid", "wheel+lucid"])
def test_a_failed_activation_changes_nothing(run, world):
    run(
        world,
        """
        import sys
        import lucid.optim
        import lucidgen.imports.activation
        held = {k: v for k, v in sys.modules.items() if k.startswith("lucid")}
        def fail():
            raise RuntimeError("refused")
        lucidgen.imports.activation._ALIAS.install = fail
        real = lucid.optim
        import lucidgen.optim
        try:
            lucidgen.activate()
        except RuntimeError as error:
            assert str(error) == "refused"
        else:
            raise AssertionError("no error")
        now = {k: v for k, v in sys.modules.items() if k.startswith("lucid.")}
        assert now == {k: v for k, v in held.items() if k.startswith("lucid.")}
        assert lucid.optim is real
        del lucidgen.imports.activation._ALIAS.install
        lucidgen.activate()
        assert lucid.optim.Adam is lucidgen.optim.Adam
        """,
    )


@pytest.mark.parametrize("world", ["checkout", "wheel"])
def test_a_lucid_that_cannot_be_imported_is_reported_and_forgotten(run, world, tmp_path):
    broken = tmp_path / "broken" / "lucid"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import lucid.part\nraise ImportError('too old')\n")
    (broken / "part.py").touch()
    run(
        world,
        f"""
        import sys
        sys.path.insert(0, {str(broken.parent)!r})
        import lucidgen.optim
        try:
            lucidgen.activate()
        except ImportError as error:
            assert "too old" in str(error)
        else:
            raise AssertionError("no error")
        assert not [name for name in sys.modules if name.split(".")[0] == "lucid"]
        """,
    )


@pytest.mark.parametrize("first", ["", "import lucid.optim"])
def test_a_lucid_3_is_refused_and_left_as_it_is(run, first, tmp_path):
    optim = tmp_path / "three" / "lucid" / "optim"
    optim.mkdir(parents=True)
    (optim.parent / "__init__.py").write_text("__version__ = '3.16.0'\n")
    (optim / "__init__.py").write_text("class Adam: pass\n")
    run(
        "wheel",
        f"""
        import sys
        sys.path.insert(0, {str(optim.parents[1])!r})
        {first}
        import lucidgen
        before = {{name for name in sys.modules if name.startswith("lucid.")}}
        for _ in range(2):
            try:
                lucidgen.activate()
            except RuntimeError as error:
                assert "this is Lucid 3.16.0, whose parameters are tensors of its own" in str(error)
            else:
                raise AssertionError("no error")
            assert before == {{name for name in sys.modules if name.startswith("lucid.")}}
        from lucid.optim import Adam
        from lucidgen.optim import Adam as ours
        assert Adam.__module__ == "lucid.optim" and Adam is not ours
        """,
    )


@pytest.mark.parametrize("world", ["checkout", "wheel+lucid"])
def test_a_reading_can_be_chosen_for_all(run, world):
    run(
        world,
        """
        import lucidgen
        lucidgen.activate(dialect="lucid2")
        from lucid.optim import ASGD, Adam, Lion
        from lucidgen import Parameter
        def reading(kind, **arguments):
            return kind([Parameter([1.0])], **arguments).dialect
        assert ASGD([Parameter([1.0])], momentum=0.9).param_groups[0]["momentum"] == 0.9
        assert reading(Adam) == "lucid2" and reading(Lion) == "paper"
        assert reading(Adam, dialect="torch") == "torch"
        lucidgen.activate()
        assert reading(Adam) == "lucid2"
        lucidgen.activate(dialect="torch")
        assert reading(Adam) == "torch"
        for wrong, answer in (("lucid", "did you mean 'lucid2'?"), ("x", "there are devlog, ")):
            try:
                lucidgen.activate(dialect=wrong)
            except ValueError as error:
                assert f"no optimizer has the dialect {wrong!r}" in str(error)
                assert answer in str(error)
            else:
                raise AssertionError("no error")
        lucidgen.activate(dialect="lucid2")
        lucidgen.deactivate()
        assert reading(Adam) == "torch"
        """,
    )


@pytest.mark.parametrize("world", ["checkout+lucid", "wheel+lucid"])
@pytest.mark.parametrize("first", ["", "lucidgen.activate()"])
def test_mlx_parameters_step_by_every_route(run, world, first):
    run(
        world,
        f"""
        import lucidgen
        {first}
        import mlx.core as mx
        from lucidgen.optim import Adam
        weight = lucidgen.Parameter(mx.array([1.0, 2.0]))
        weight.grad = mx.array([1.0, -1.0])
        Adam([weight], lr=0.5).step()
        assert mx.allclose(weight.data, mx.array([0.5, 2.5]))
        """,
    )


PICKLED = {}


@pytest.mark.parametrize("reader", WORLDS)
@pytest.mark.parametrize("writer", WORLDS)
def test_a_pickle_is_read_in_every_world(run, writer, reader):
    if writer not in PICKLED:
        PICKLED[writer] = run(
            writer,
            """
            import lucidgen, pickle
            lucidgen.activate()
            from lucid.optim import Adam
            print(pickle.dumps(Adam([lucidgen.Parameter([1.0])], lr=0.5)).hex())
            """,
        )
    run(
        reader,
        f"""
        import pickle
        optimizer = pickle.loads(bytes.fromhex({PICKLED[writer].strip()!r}))
        import lucidgen.optim
        assert type(optimizer) is lucidgen.optim.Adam
        assert optimizer.param_groups[0]["lr"] == 0.5
        """,
    )


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("module", ["lucidgen", "lucidgen.optim", "lucidgen.runtime"])
def test_the_compiler_is_not_loaded(run, world, module):
    code = f"""
        import sys, {module}
        import lucidgen
        assert lucidgen.Parameter and lucidgen.activate and lucidgen.deactivate
        assert isinstance(lucidgen.__version__, str)
        heavy = {{"sympy", "jinja2", "mpmath", "typer", "rich", "mlx"}} & set(sys.modules)
        assert not heavy, heavy
        """
    run(world, code)


LAZY = """
import sys, numpy
before = set(sys.modules)
{import_it}
print(*sorted(name for name in set(sys.modules) - before if name.startswith("lucid")))
"""


@pytest.mark.parametrize(("world", "package"), [("checkout", "lucid"), ("wheel", "lucidgen")])
def test_importing_the_package_imports_no_optimizer_and_no_runtime(run, world, package):
    found = run(world, LAZY.format(import_it=f"import {package}.optim")).split()
    helpers = (
        {"lucidgen.imports", "lucidgen.imports.aliases", "lucidgen.paths"}
        if package == "lucidgen"
        else set()
    )
    assert {*found} == {package, f"{package}.optim"} | helpers


@pytest.mark.parametrize(("world", "package"), [("checkout", "lucid"), ("wheel", "lucidgen")])
def test_importing_one_optimizer_imports_no_other(run, world, package):
    found = run(world, LAZY.format(import_it=f"from {package}.optim import SGD")).split()
    inside = {n.removeprefix(f"{package}.optim.") for n in found if f"{package}.optim." in n}
    assert inside == {"sgd", "_rules", "_rules.sgd", "_numpy", "_numpy.sgd"}
    assert not {
        "lucidgen.imports.activation",
        "lucidgen.runtime.backends.loops.compiler",
        "lucidgen.runtime.trees.group_state",
    } & {*found}


def test_a_first_step_imports_nothing_that_only_a_mistake_needs(run):
    code = """
        import sys, numpy
        before = set(sys.modules)
        from lucidgen.optim import AdamW
        import lucidgen.runtime.backends.loops.numpy_memory
        slow = {"shutil", "difflib", "pkgutil", "tempfile"} & (set(sys.modules) - before)
        assert not slow, slow
        """
    run("wheel", code)


@pytest.mark.parametrize("world", WORLDS)
def test_all_names_are_seen_before_any_is_used(run, world):
    run(
        world,
        """
        import lucidgen, pydoc
        lucidgen.activate()
        import lucid.optim, lucidgen.optim
        for package in (lucid.optim, lucidgen.optim):
            assert {"Adam", "SGD", "Optimizer"} <= {*dir(package)} & {*package.__all__}
            assert {*package.__all__} <= {*dir(package)}
            assert package.adam.Adam is package.Adam is lucidgen.optim.Adam
            assert "AdamW" in pydoc.render_doc(package)
            try:
                package.Adm
            except AttributeError as error:
                assert "has no attribute 'Adm'" in str(error)
            else:
                raise AssertionError("no error")
        names = {}
        exec("from lucid.optim import *", names)
        assert {*lucid.optim.__all__} <= {*names}
        """,
    )


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("first", ["lucid.optim", "lucidgen.optim"])
def test_a_module_imported_after_the_switch_is_one_under_both_names(run, world, first):
    second = {"lucid.optim": "lucidgen.optim", "lucidgen.optim": "lucid.optim"}[first]
    run(
        world,
        f"""
        import sys
        import lucidgen
        lucidgen.activate()
        import {first}.sgd
        spec = {first}.sgd.__spec__
        import {second}.sgd, {second}._rules.sgd, {first}._rules.sgd
        assert sys.modules["lucid.optim.sgd"] is sys.modules["lucidgen.optim.sgd"]
        assert sys.modules["lucid.optim._rules.sgd"] is sys.modules["lucidgen.optim._rules.sgd"]
        assert {first}.sgd.__spec__ is spec and spec.origin.endswith("sgd.py")
        lucidgen.deactivate()
        assert "lucidgen.imports.aliases" not in {{type(f).__module__ for f in sys.meta_path}} or (
            lucidgen.optim.__name__ == "lucid.optim"
        )
        """,
    )


@pytest.mark.parametrize("world", WORLDS)
def test_importing_lucidgen_alone_does_not_load_numpy(run, world):
    run(world, "import lucidgen, sys; assert 'numpy' not in sys.modules")


@pytest.mark.parametrize("world", ["checkout+lucid", "wheel+lucid"])
def test_built_in_specs_are_importable_from_any_directory(run, world):
    run(
        world,
        """
        from pathlib import Path
        from lucidgen.paths import specs_folder, templates_folder
        from lucidgen.specs.adam import Adam
        import lucidgen.specs.adam as module
        assert Path(module.__file__).parents[1] == specs_folder()
        assert templates_folder().is_dir() and any(templates_folder().rglob("*.j2"))
        assert callable(Adam.variant)
        """,
    )


@pytest.mark.parametrize("world", WORLDS)
def test_the_headers_of_kernels_are_found(run, world):
    run(
        world,
        """
        from lucidgen.optim import Adam
        from lucidgen.runtime.backends.gpu.kernel import kernel_of
        for language in ("metal", "cuda"):
            kernel = kernel_of(Adam.rules["torch"], language)
            assert kernel.states == ("m", "v", "v_max")
            assert "adam_step(" in kernel.header
        """,
    )


def test_a_wheel_holds_all_and_nothing_under_lucid(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"lucidgen"}
    assert {"lucidgen/py.typed", "lucidgen/_optim/__init__.py", "lucidgen/_specs/adam/adam.py"} <= {
        *names
    }
    assert any(name.startswith("lucidgen/_templates/") for name in names)
    assert not [name for name in names if "__pycache__" in name]
    folder = ROOT / "generated" / "lucid" / "optim"
    generated = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    packed = {f"lucidgen/_optim/{path.relative_to(folder).as_posix()}" for path in generated}
    assert packed <= {*names}
