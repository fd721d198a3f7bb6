"""The parts of the training loop `nn.fit`."""
