"""Autoencoders: what remains of an image after a narrow place, and what that is good for."""
