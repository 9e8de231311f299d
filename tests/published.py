"""The networks of published sizes: too large for tests that every other network passes in seconds."""

from instar.networks import networks

PUBLISHED = (
    *("alexnet", "googlenet", "bn-inception", "inception-v3", "resnet-18", "resnet-50"),
    *("transformer-tiny", "transformer-small", "transformer-base"),
)
UNPUBLISHED = tuple(name for name in networks if name not in PUBLISHED)
