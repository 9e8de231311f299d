"""Every random draw has a seed of its own, from the run's seed, the draw's purpose and its step."""

from __future__ import annotations

from hashlib import blake2b


def seed_for(seed: int, purpose: str, *steps: int) -> int:
    """A seed in ``range(2**63)``, the same on every machine and in every version.

    ``purpose`` says what is drawn (``"order"``, ``"dropout"``), ``steps`` when (the epoch, the step), so that work
    which is taken up in the middle draws what it would have drawn, and no two purposes share their draws.
    """
    text = "/".join([str(int(seed)), purpose, *(str(int(step)) for step in steps)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
