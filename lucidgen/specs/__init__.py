"""The built-in equations, importable from any directory: ``from lucidgen.specs.adam import Adam``.

This package owns no equations. Its path is the folder of the spec files with its families, packed
in a wheel or at the root of a checkout: in which family a file lies makes no difference to imports.
"""

from ..paths import spec_folders, specs_folder

__path__ = [str(folder) for folder in spec_folders(specs_folder())]
