"""What several targets share: the order of arithmetic, names, printers of Python and of C.

A target takes its language from here and adds its table and its statements. Knows no target by
name, and no optimizer.
"""
