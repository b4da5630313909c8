"""State from and for outside: state dicts, files, and the states of other libraries.

`checkpoint.save` and `checkpoint.load` are the doors. Everything is checked before anything
changes. Does not own the state itself (`groups.states`).
"""
