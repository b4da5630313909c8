"""What pages say of the repository is there, and what they show is what the code gives today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from claims import PAGES, ROOT, missing_commands, missing_modules, missing_paths

IDS = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_paths_that_a_page_names_exist(page: Path) -> None:
    assert missing_paths(page.read_text(encoding="utf-8"), page.parent) == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_modules_that_a_page_names_exist(page: Path) -> None:
    assert missing_modules(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    assert missing_commands(page.read_text(encoding="utf-8")) == []


def test_what_is_not_there_is_found() -> None:
    page = (
        "See `lucidgen/passes/shear.py`, `tests/nowhere/`, `tests/passes/test_*.py`, "
        "`specs/adam/NAME.py` and [that](docs/none.md).\n\n"
        "`lucidgen.passes.share` is, `lucidgen.passes.shear` and `lucidgen.spec.sqrrt` are not.\n\n"
        "Run `make tests`, `make test`, `lucidgen biuld` or `lucidgen build --chek`:\n\n"
        "```sh\nlucidgen show Adam --stagee mlx  # --nothing\npython scripts/none.py\n```\n\n"
        "    python tests/none.py\n"
    )
    assert sorted(missing_paths(page)) == [
        "docs/none.md",
        "lucidgen/passes/shear.py",
        "scripts/none.py",
        "tests/none.py",
        "tests/nowhere/",
    ]
    assert missing_modules(page) == ["lucidgen.passes.shear", "lucidgen.spec.sqrrt"]
    assert sorted(missing_commands(page)) == [
        "lucidgen biuld",
        "lucidgen build --chek",
        "lucidgen show --stagee",
        "make tests",
    ]


def architecture(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/architecture.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_page_on_architecture_shows_what_the_code_gives_today() -> None:
    done = architecture("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_that_shows_something_else_is_found_and_mended(tmp_path: Path) -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(text.replace("ir --> spec", "spec --> ir").replace("np.sqrt", "np.cbrt"))
    done = architecture("--check", str(page))
    assert done.returncode == 1
    assert "rooms, numpy not up to date" in done.stdout
    assert architecture(str(page)).returncode == 0
    assert page.read_text(encoding="utf-8") == text


def test_each_folder_of_tests_is_explained() -> None:
    page = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    folders = {path.parent.relative_to(ROOT / "tests") for path in ROOT.glob("tests/*/test_*.py")}
    assert [str(folder) for folder in folders if f"`{folder}`" not in page] == []
