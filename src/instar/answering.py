"""A network's answers, and the truths beside them, in the terms in which they are examined and used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from instar.answers import type_of
from instar.fields import Field
from instar.prepared import Examples
from instar.seeds import seed_for
from instar.shapes import Mapped, Symbols

if TYPE_CHECKING:
    import torch

    from instar.networks.assemble import Network
    from instar.store import Store

# Pictures and masks that are examined are held together, beside their truths.
ANSWER_BYTES = 2**28


def rows_at_a_time(network: Network, inputs: Sequence[Field]) -> int:
    """How many rows of these inputs are read and answered together."""
    return network.rows_at_a_time([each.shape for each in inputs if each.shape is not None])


def answers(
    network: Network, targets: Sequence[Field], batches: Iterable[dict[str, torch.Tensor]]
) -> dict[str, np.ndarray]:
    """Answers for prepared inputs by target: probabilities (n, classes) or (n, labels) float32; amounts (n, width) in
    its own units, float64; texts, pictures and masks as `instar.shapes` says of truths."""
    import torch

    # What stands for no rows at all, so that there is always something to join.
    collected = {each.name: [_in_own_units(each, _nothing(each))] for each in targets}
    device = next(iter(network.parameters())).device
    training = network.training
    network.eval()
    with torch.inference_mode():
        for inputs in batches:
            given = network.answer({name: tensor.to(device) for name, tensor in inputs.items()})
            for each in targets:
                collected[each.name].append(_in_own_units(each, given[each.name].cpu().numpy()))
    network.train(training)
    return {name: np.concatenate(parts) for name, parts in collected.items()}


def embeddings(network: Network, inputs: Mapping[str, torch.Tensor]) -> np.ndarray:
    """The few numbers (n, width) float32 that stand for each of the rows, of a network whose head has such."""
    import torch

    device = next(iter(network.parameters())).device
    with torch.inference_mode():
        (embedded,) = network.embed({name: tensor.to(device) for name, tensor in inputs.items()}).values()
    return np.array(embedded.cpu().numpy())


def answers_for(network: Network, examples: Examples, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Answers for ``rows`` (int64) of a store, as `answers` gives them."""
    batches = examples.in_order(rows, rows_at_a_time(network, examples.inputs))
    return answers(network, examples.targets, (batch.inputs for batch in batches))


def bytes_of_an_answer(target: Field, store: Store) -> int:
    """How much an answer takes that has more than a few numbers; texts take what the longest one does."""
    if isinstance(target.answer, Mapped):
        return target.answer.size * np.dtype(type_of(target.answer).dtype()).itemsize
    lengths = store.column(target.name).lengths if isinstance(target.answer, Symbols) else None
    return 0 if lengths is None else 4 * int(lengths.max(initial=0))


def examinable(
    targets: Sequence[Field], store: Store, rows: np.ndarray, seed: int, parts: int = 1
) -> tuple[np.ndarray, list[str]]:
    """As many of the rows (int64) as there is room for with their answers, and a sentence where those are not all.

    ``parts``: how many such sets of rows are held at once.
    """
    each = sum(bytes_of_an_answer(target, store) for target in targets)
    most = max(1, ANSWER_BYTES // each // parts) if each else len(rows)
    if len(rows) <= most:
        return rows, []
    some = np.sort(np.random.default_rng(seed_for(seed, "examined rows")).choice(rows, most, replace=False))
    return some, [f"Of {len(rows):,} rows that could be examined {most:,}, drawn at random, were."]


def truths_for(examples: Examples, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The right answers for ``rows`` (int64) of a store by target, as `Field.truth` gives them."""
    return {each.name: each.truth(examples.store.column(each.name).arrays(rows)) for each in examples.targets}


def _in_own_units(target: Field, given: np.ndarray) -> np.ndarray:
    return type_of(target.answer).in_own_units(target, given)


def _nothing(target: Field) -> np.ndarray:
    kind = type_of(target.answer)
    return np.empty((0, *kind.shape(target.answer)), kind.dtype())
