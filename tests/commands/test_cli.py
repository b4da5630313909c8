"""`lucidgen list | show | diff | new`, exit codes, and that no user ever sees a traceback."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from building import PLAIN, ROOT
from building import run as run_build
from readings import sampled
from typer.testing import CliRunner

from lucidgen import Parameter
from lucidgen.commands import listing
from lucidgen.commands.app import app
from lucidgen.commands.summary import Need
from lucidgen.package import spec_files
from lucidgen.package.catalog import catalog

BUILT_IN = (
    "A2GradUni",
    "A2GradInc",
    "A2GradExp",
    "AccSGD",
    "AdaBelief",
    "AdaBound",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adai",
    "Adalite",
    "Adam",
    "AdamW",
    "AdamMini",
    "Adamax",
    "AdamG",
    "AdaMod",
    "AdamP",
    "SGDP",
    "AdamS",
    "Adan",
    "AdaNorm",
    "AdaShift",
    "AdEMAMix",
    "ADOPT",
    "AggMo",
    "Aida",
    "Amos",
    "ApolloDQN",
    "ASGD",
    "AvaGrad",
    "CAME",
    "DAdaptAdam",
    "DAdaptLion",
    "DAdaptSGD",
    "DAdaptAdaGrad",
    "DiffGrad",
    "DoG",
    "DoWG",
    "EXAdam",
    "FAdam",
    "Fromage",
    "FTRL",
    "Grams",
    "Gravity",
    "Kate",
    "LAMB",
    "LaProp",
    "LARS",
    "Lion",
    "MADGRAD",
    "MARS",
    "NAdam",
    "NovoGrad",
    "Padam",
    "PID",
    "PNM",
    "AdaPNM",
    "AliG",
    "PolyakSGD",
    "Prodigy",
    "QHAdam",
    "QHM",
    "RAdam",
    "RMSprop",
    "Rose",
    "Rprop",
    "SGD",
    "SGDSaI",
    "SGDW",
    "SGLD",
    "SignSGD",
    "Signum",
    "SimplifiedAdEMAMix",
    "SM3",
    "SparseAdam",
    "SRMM",
    "StableAdamW",
    "SWATS",
    "Tiger",
    "CautiousAdamW",
    "CautiousLion",
    "NoisySGD",
    "VSGD",
    "Yogi",
)

#: Factored, by shape, with delays, with averages of weights, with first steps of their own, of
#: random numbers, of groups, and with a transform.
A_FEW = (*("Adafactor", "AdamMini", "AdaShift", "ASGD", "CAME", "FTRL", "Rprop", "SGLD", "SGDP"),)
A_FEW += ("CautiousAdamW", "DAdaptAdam")


def run(*arguments):
    """Run a command; return its exit code and all that it prints."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def start(*arguments, **options):
    """Start a command in a process of its own, interruptible also where the tests are not."""
    return subprocess.Popen(
        [sys.executable, "-m", "lucidgen", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


# list


def test_list_names_every_optimizer_with_its_cost():
    code, output = run("list")
    assert code == 0
    lines = {line.split()[0]: line for line in output.split("\n\n")[0].splitlines()[1:]}
    assert sorted(lines) == sorted(BUILT_IN)
    needs = [re.split("  +", line)[1] for line in output.split("\n\n")[0].splitlines()[1:]]
    assert list(dict.fromkeys(needs)) == [need.value for need in Need]
    assert "adam.py" in lines["Adam"]
    assert "torch, paper, devlog, lucid2" in lines["Adam"]
    assert "m, v, v_max  8 (12)" in lines["Adam"]
    assert "4 reads, 3 writes, 1 sqrt + 1 div + 10 other operations" in lines["Adam"]
    assert "arXiv:1412.6980" in lines["Adam"]
    assert "2 reads, 4 operations; then 3 reads, 2 writes, 6 operations" in lines["LARS"]


@pytest.fixture
def two_specs(tmp_path, monkeypatch):
    """A folder with one of our optimizers and one schedule, and nothing else to read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some").mkdir()
    for name in ("sign/lion.py", "schedules/cycles.py"):
        shutil.copy(ROOT / "specs" / name, tmp_path / "some")
    return "some"


@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_list_fits_the_terminal(width, two_specs, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes anything for a terminal
    monkeypatch.setenv("COLUMNS", str(width))
    code, output = run("list", "--specs", two_specs)
    lines = re.sub("\x1b\\[[0-9;]*m", "", output).splitlines()
    assert code == 0
    assert max(map(len, lines)) <= width
    assert {"Lion", "CyclicLR", "OneCycleLR"} <= {line.split()[0] for line in lines if line}
    assert ("arXiv:2302.06675" in output) == (width == 200)
    assert ("A wider" in output) == (width < 200)


@pytest.fixture
def kept(two_specs, tmp_path, monkeypatch):
    """As if the two specs were built in, with a cache of their own: what was read, the records."""
    found, read = catalog(Path(two_specs), built_in=False), []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(listing, "catalog", lambda *_, **__: read.append(1) or found)
    return lambda: (read, list((tmp_path / "cache").rglob("lists/*.json")))


def test_what_is_listed_of_the_built_in_specs_is_kept(kept, monkeypatch):
    first = run("list")
    assert "Lion" in first[1]
    assert run("list") == first
    read, records = kept()
    assert (len(read), len(records)) == (1, 1)
    monkeypatch.setattr(listing, "inputs_digests", lambda *_: {"lion": "changed"})
    assert run("list") == first
    assert len(kept()[0]) == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"optimizers": [["Lion"]], "schedules": []}',
        '{"optimizers": {}}',
        "\x00\xff",
    ],
)
def test_a_damaged_record_of_the_list_is_made_anew(kept, content):
    first = run("list")
    (record,) = kept()[1]
    record.write_text(content, encoding="latin-1")
    assert run("list") == first
    assert len(kept()[0]) == 2
    assert json.loads(record.read_text())["optimizers"][0][0] == "Lion"


def test_a_piped_list_has_a_line_for_each_without_filling(two_specs):
    code, output = run("list", "--specs", two_specs)
    line = next(line for line in output.splitlines() if line.startswith("Lion"))
    assert code == 0
    assert re.fullmatch(
        "Lion +elements  paper, mlx  m  4  3 reads, .* operations  lion.py  Chen .*", line
    )
    assert not [line for line in output.splitlines() if line != line.rstrip()]


def test_list_shows_what_can_be_read_and_what_is_wrong_with_the_rest(place):
    (place / "specs/broken.py").write_text("1 +\n")
    code, output = run("list", "--specs", "specs")
    assert code == 1
    assert "plain.py" in output
    assert "Adam" not in output
    assert "specs/broken.py:1: not valid Python" in output


# show


def test_show_prints_numbered_equations():
    code, output = run("show", "sgd")
    assert code == 0
    assert "  (1)  g[t] = grad[t] + weight_decay * w[t - 1]\n" in output
    assert "  (4)  u[t] = g[t] + momentum * b[t]  if momentum != 0 and nesterov\n" in output
    assert "            = g[t]                    otherwise\n" in output
    assert "b: like the parameter, saved as momentum_buffer" in output


@pytest.mark.parametrize("name", sampled(BUILT_IN, ("Adam", "LARS", "SGD"), str))
@pytest.mark.parametrize("stage", ["equations", "program", "numpy", "mlx", "metal", "cuda"])
def test_every_stage_of_every_optimizer_can_be_shown(name, stage):
    code, output = run("show", name, "--stage", stage)
    assert code == 0
    if stage == "program":
        assert output.startswith("--- lowered\n")
        assert "--- order" in output
    else:
        assert re.search(r"reads .*\bgrad\b", "".join(output.splitlines()[-2:]))
    if stage in ("numpy", "mlx"):
        compile(output, name, "exec")


def test_show_says_in_one_line_what_an_element_costs():
    last = run("show", "Adam")[1].splitlines()[-1]
    counts = "reads w, grad, m, v; writes w, m, v; 3 add, 1 div, 6 mul, 1 sqrt, 1 sub"
    assert last == f"cost       per element, with every option off: {counts}"


def test_show_says_phase_by_phase_what_a_rule_with_rows_and_columns_costs(tmp_path):
    shutil.copy(Path(__file__).parents[1] / "specs" / "papers.py", tmp_path)
    code, output = run("show", "Factored", "--specs", tmp_path)
    assert code == 0
    assert output.split("\ncost ")[1].splitlines() == [
        "      per element, with every option off: 3 reads, 1 write, 8 operations in 2 passes "
        "(8 with one operation a pass)",
        "           1. per element: reads grad; 2 add, 1 mul; giving row_mean(grad**2), "
        "column_mean(grad**2)",
        "           2. per tensor: 1 div, 1 mul, 1 sqrt",
        "              per row: reads rows; writes rows; 2 add, 2 div, 2 mul, 1 sqrt",
        "              per column: reads columns; writes columns; 1 add, 2 div, 3 mul, 1 sqrt",
        "              per element: reads w, grad; writes w; 3 mul, 2 sub",
        "           as loops in C++:",
        "           1. reads grad; finds rowmean_square_grad, columnmean_square_grad",
        "           2. reads w, grad; stores w",
        "              4 arrays are read or written, 16 bytes in float32; "
        "nothing is kept for a later loop",
    ]


def test_code_is_followed_by_the_cost_of_each_phase():
    code, output = run("show", "LARS", "--stage", "metal")
    assert code == 0
    assert output.splitlines()[-8:] == [
        "// Cost per element, with every option off: 5 reads, 2 writes, 10 operations in 2 passes "
        "(8 with one operation a pass)",
        "//      1. per element: reads w, grad; 2 add, 2 mul; giving norm(w), norm(grad)",
        "//      2. per tensor: 1 add, 1 and, 1 div, 2 gt, 3 mul, 2 sqrt, 1 where",
        "//         per element: reads w, grad, velocity; writes w, velocity; 2 add, 3 mul, 1 sub",
        "//      as loops in C++:",
        "//      1. reads w, grad; finds w_norm, grad_norm",
        "//      2. reads w, grad, velocity; stores w, velocity",
        "//         7 arrays are read or written, 28 bytes in float32; nothing is kept for a later "
        "loop",
    ]


def test_show_says_what_a_later_loop_computes_again():
    code, output = run("show", "LAMB")
    assert code == 0
    assert "2. reads w, m, v; computes u again; stores w" in output


def test_show_prints_latex_and_dialects():
    code, output = run("show", "Adam", "--dialect", "lucid2", "--latex")
    assert (code, output) == run("show", "adam:lucid2", "--latex")
    assert output.startswith("\\begin{aligned}\ng_{t} &= \\nabla f(w_{t-1})")
    assert "lucid2_step" in run("show", "Adam:lucid2", "--stage", "numpy")[1]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("show", "RAdma"), "did you mean 'RAdam'?"),
        (("show", "xyz"), "there are A2GradExp, A2GradInc, A2GradUni, AccSGD"),
        (("show", "Adam", "--dialect", "lucid"), "did you mean 'lucid2'?"),
        (("show", "Adam:torch", "--dialect", "lucid2"), "contradict"),
        (("show", "Adam", "--latex", "--stage", "mlx"), "leave out --stage"),
        (("show", "Adam", "--stage", "vulkan"), "vulkan"),
        (("show",), "Missing argument"),
        (("diff", "Adam", "StepLR"), "StepLR is a schedule, and this is for optimizers"),
        (("diff", "Adam"), "Missing argument"),
        (("diff", "Adam", "RAdma"), "did you mean 'RAdam'?"),
        (("list", "--specs", "nowhere"), "there is no folder"),
        (("lsit",), "No such command"),
        (("new", "adam"), "write it as in MyAdam"),
        (("new", "Optimizer"), "base class"),
        (("new", "My", "--from", "Adamm"), "did you mean 'Adam'?"),
    ],
)
def test_wrong_usage_is_answered_and_exits_with_2(arguments, answer):
    code, output = run(*arguments)
    assert code == 2
    assert answer in output


# diff


def test_diff_shows_what_differs_and_nothing_else():
    assert run("diff", "Adam", "AdamW") == (
        0,
        "--- Adam\n"
        "+++ AdamW\n"
        "equations:\n"
        "- g[t] = grad[t] + weight_decay * w[t - 1]\n"
        "+ g[t] = grad[t]\n"
        "- w[t] = w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)\n"
        "+ w[t] = (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)\n"
        "defaults:\n"
        "- weight_decay = 0.0\n"
        "+ weight_decay = 1e-2\n",
    )


def test_diff_of_dialects_shows_state_and_ignored_arguments():
    code, output = run("diff", "Adam", "Adam:lucid2")
    assert code == 0
    assert "- v_max: like the parameter, saved as max_exp_avg_sq\n" in output
    assert "+ amsgrad = False (no effect)\n" in output
    assert "m[t] = beta1" not in output


def test_diff_of_the_same_says_so_with_the_names_that_were_asked_for():
    for pair, named in (
        (("Adam", "adam:torch"), "Adam and Adam:torch are the same"),
        (("Lion", "Lion:paper"), "Lion and Lion:paper are the same"),
        (("Adam:torch", "Adam:devlog"), "Adam:torch and Adam:devlog are the same"),
        (("SGD", "SGD"), "SGD and SGD are the same"),
    ):
        code, output = run("diff", *pair)
        assert code == 0
        assert named in output


def test_diff_sees_through_a_shift_of_time(place):
    text = PLAIN.replace("Plain", "Shifted").replace(
        "Eq(w[t], w[t - 1] - lr * m[t])", "Eq(w[t + 1], w[t] - lr * m[t + 1])"
    )
    (place / "specs/shifted.py").write_text(text)
    code, output = run("diff", "Plain", "Shifted", "--specs", "specs")
    assert (code, output.count("same")) == (0, 1), output


# new


@pytest.mark.parametrize("base", [None, *sampled(BUILT_IN, A_FEW, str)])
def test_a_new_spec_builds_at_once_and_computes_what_its_base_does(tmp_path, monkeypatch, base):
    monkeypatch.chdir(tmp_path)
    name = f"My{base or 'Own'}"
    code, output = run("new", name, *(["--from", base] if base else []))
    assert code == 0
    written = output.splitlines()[0].split(";")[0].removeprefix("wrote ")
    assert written.startswith("specs/my_")
    assert len(Path(written).read_text().splitlines()) < 40
    for line in output.splitlines():
        if line.startswith("  lucidgen "):
            assert run(*line.split()[1:])[0] == 0
    if base:
        assert "are the same" in run("diff", name, base, "--specs", "specs")[1]
    monkeypatch.syspath_prepend(tmp_path)
    import my_optim

    p = Parameter(np.ones(3))
    p.grad = np.ones(3)
    optimizer = getattr(my_optim, name)([p])
    for _ in range(11):  # the first steps of some only measure
        optimizer.step()
    assert (p.data != 1).all()
    assert (p.data < 1).all() or base == "SGLD"  # whose noise goes anywhere


def test_new_refuses_to_overwrite(place):
    (place / "specs/my_adam.py").write_text("mine")
    code, output = run("new", "MyAdam", "--from", "Adam")
    assert code == 1
    assert "exists already" in output
    assert (place / "specs/my_adam.py").read_text() == "mine"
    assert run("new", "My", "--specs", "specs/plain.py")[0] == 2


def test_the_way_from_nothing_to_an_own_optimizer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("new", "Signed", "--from", "AdamW", "--specs", "eq")[0] == 0
    spec = Path("eq/signed.py")
    spec.write_text(
        spec.read_text()
        .replace("lr * m_hat[t] / (sqrt(v_hat[t]) + eps)", "lr * sign(m_hat[t])")
        .replace("import Eq, sqrt,", "import Eq, sign, sqrt,")
    )
    code, output = run("build", "--specs", "eq", "--out", "mine_optim")
    assert code == 0, output
    assert "lr * sign(m_hat[t])" in run("diff", "AdamW", "Signed", "--specs", "eq")[1]
    monkeypatch.syspath_prepend(tmp_path)
    from mine_optim.signed import Signed

    p = Parameter(np.array([1.0, 1.0]))
    p.grad = np.array([3.0, -2.0])
    Signed([p], lr=0.5, weight_decay=0.0).step()
    assert p.data.tolist() == [0.5, 1.5]


# What can go wrong around a command


def test_an_authors_prints_do_not_mix_with_the_output(place):
    (place / "specs/plain.py").write_text(PLAIN + "print('loaded')\n")
    process = start("show", "Plain", "--specs", "specs", "--stage", "numpy")
    out, err = process.communicate()
    assert process.returncode == 0
    assert "loaded" not in out
    assert "loaded" in err


def test_ctrl_c_ends_with_130_and_one_line(place):
    (place / "specs/plain.py").write_text(
        "import pathlib, time\npathlib.Path('started').touch()\ntime.sleep(60)\n"
    )
    process = start("build", "--specs", "specs", "--out", "my_optim")
    for _ in range(600):
        if Path("started").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err) == ("", "error: interrupted\n")
    assert not Path("my_optim").exists()


def test_a_closed_pipe_is_no_error_to_talk_about():
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "lucidgen", "show", "Adam", "--stage", "program"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert process.returncode == 1
    assert process.stderr == ""


def test_an_unknown_failure_is_one_message_too(place, monkeypatch):

    def broken(file, targets):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(spec_files, "compile_file", broken)
    code, output = run_build()
    assert code == 1
    assert "specs/plain.py:7: plain.py cannot be compiled: RuntimeError: out of luck" in output


def test_an_unreadable_folder_is_named(place, monkeypatch):
    def iterdir(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    code, output = run_build()
    assert code == 1
    assert output.endswith("specs: Permission denied\n")


def test_help_and_version():
    assert run("--version")[1].startswith("lucidgen ")
    for command in ("build", "list", "show", "diff", "new"):
        code, output = run(command, "--help")
        assert code == 0
        assert "Usage" in output
