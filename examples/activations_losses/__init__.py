"""Activation functions (`curves`) and losses (`losses`, `stability`) of all five texts.

Run::

    python -m examples run activations-losses
"""
