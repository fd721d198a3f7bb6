"""Finding objects and their outlines: Ekman, "Learning Deep Learning", appendix B, which has no program and no data.

Generated scenes of 32x32 pixels with a square or a disc (`scenes`) stand in. Run::

    python -m examples run detection-segmentation
"""
