"""Short programs of scientific computing with exact derivatives; each file is one recipe, and its examples run."""
