"""Schedulers of learning rates and other hyperparameters, over any optimizer with `param_groups`.

Owns closed forms (the base of generated ones), recursions, compositions and their state dicts. Does
not own optimizers: they are known by `param_groups` alone.
"""
