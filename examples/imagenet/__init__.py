"""The networks that won ImageNet, their tables of layers, and the residual block.

Ekman, "Learning Deep Learning", chapters 7 and 8; the lecture slides "PART II: DEEP LEARNING". Run::

    python -m examples run imagenet-architectures

ImageNet itself is not to be had, so nothing here is trained on it: sizes, parameters and operations are computed from
the networks as they stand, by `trace(...).cost()`.
"""
