"""The arithmetic of convolution: what each text shows on toy images, computed and differentiated by the engine.

Buduma, "Fundamentals of Deep Learning" (chapter 5); Ekman, "Learning Deep Learning" (chapters 7 and 8, appendices B
and G); Ketkar, "Deep Learning with Python" (chapter 5); the lecture slides "PART II: DEEP LEARNING". Run::

    python -m examples run conv-arithmetic
"""
