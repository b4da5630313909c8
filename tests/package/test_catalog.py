"""Which spec files are read for a name."""

from __future__ import annotations

import pytest

from lucidgen.errors import WrongUsage
from lucidgen.package import catalog as module
from lucidgen.package.build import spec_paths
from lucidgen.package.catalog import catalog
from lucidgen.paths import specs_folder

EVERYTHING = catalog(None)
PATHS = spec_paths(specs_folder())


def test_the_file_of_every_name_is_among_those_that_are_read_for_it() -> None:
    owners = {
        n: file.path for file in EVERYTHING.files for spec in file.classes for n in spec.names
    }
    assert len(owners) > 100
    for name, owner in owners.items():
        for asked in (name, name.lower(), f"{name}:lucid2"):
            assert owner in module._naming(PATHS, [asked]), asked
    both = module._naming(PATHS, ["Lion", "SM3"])
    assert {owners["Lion"], owners["SM3"]} <= set(both)


def test_few_files_are_read_for_a_name_and_all_of_them_for_one_that_none_has() -> None:
    assert len(module._naming(PATHS, ["AdamW"])) < 4
    assert module._naming(PATHS, ["AdamW", "Adamm"]) == PATHS
    with pytest.raises(WrongUsage, match="did you mean 'AdamW'"):
        catalog(None, named=["AdamWW"]).find("AdamWW")


@pytest.mark.parametrize("name", ["adamw:lucid2", "SGD", "CautiousLion"])
def test_what_is_found_is_the_same(name: str) -> None:
    few, every = catalog(None, named=[name]).find(name), EVERYTHING.find(name)
    assert (few.name, few.file.path) == (every.name, every.file.path)
    assert list(map(str, few.spec.equations)) == list(map(str, every.spec.equations))
