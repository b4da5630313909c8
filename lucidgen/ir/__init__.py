"""The intermediate form: a program of guarded, named lets, and how equations become one.

`program.Program` is all that passes and targets hand to each other, `guard.Guard` its conditions
over the static choices that `choices` names. `lower.lower` makes a program of a spec, and
`phases.phases` cuts one where elements wait for a reduction; `loops.loops` makes of that loops over
memory, each with all that it needs. Knows the language of specs; no pass and no target.
"""
