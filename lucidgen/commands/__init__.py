"""The command line: `lucidgen build | list | show | diff | new | verify`.

Owns what a person types and reads: options, tables, pictures of schedules, errors and exit codes.
Does not own the work: each command imports what does it when it runs. `app` is the program, and
`console` what all commands share.
"""
