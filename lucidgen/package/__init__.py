"""What a built package is made of, and how it gets to disk.

`module.compile_file` compiles a spec file for all targets, `render.package` makes its files as
text, `build.build` decides what has to be made and writes it, `cost.cost` counts what a step does.
`spec_files` reads specs, in processes of `workers`; `catalog` finds them for commands. Does not own
any target's text.
"""
