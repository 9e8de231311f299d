"""Bodies by family, heads, and their assembly. Networks know shapes and never kinds."""

from instar.networks.base import Body, NetworkSpecification, networks

__all__ = ["Body", "NetworkSpecification", "networks"]
