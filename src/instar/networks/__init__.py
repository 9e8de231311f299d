"""Bodies by family, heads, and their assembly. Networks know shapes and never kinds."""

from instar.networks.assemble import Network, Plan, assemble, choose, plan, setting_groups
from instar.networks.base import Body, Head, NetworkSpecification, networks

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
