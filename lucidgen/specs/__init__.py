"""The built-in equations, importable from any directory: ``from lucidgen.specs.adam import Adam``.

This package owns no equations. Its path is the folder of the spec files, packed in a wheel or at
the root of a checkout.
"""

from ..paths import specs_folder

__path__ = [str(specs_folder())]
