"""Instar learns from examples: it builds, trains and honestly examines the neural network that fits them."""
