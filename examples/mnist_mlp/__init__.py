"""Multi-layer perceptrons that read digits: one example at a time, in batches, and with a library of layers."""
