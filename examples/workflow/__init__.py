"""How work with networks goes: data before training, looking while training, choosing after it."""
