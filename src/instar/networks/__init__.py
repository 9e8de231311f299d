"""Bodies by family, heads, and their assembly. Networks know shapes and never kinds."""

from instar.networks.assemble import Network, assemble
from instar.networks.base import Body, Head, NetworkSpecification, networks
from instar.networks.planning import choose, plan, setting_groups
from instar.networks.plans import Plan

__all__ = [
    "Body",
    "Head",
    "Network",
    "NetworkSpecification",
    "Plan",
    "assemble",
    "choose",
    "networks",
    "plan",
    "setting_groups",
]
