"""A model as its folder holds it: what it declares, and the tensors that its fields and its network are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from instar.answers import type_of
from instar.columns import shapes_of
from instar.errors import InstarError, ModelError
from instar.fields import Field, kinds
from instar.folder import (
    DECLARATION,
    TYPE_NAMES,
    TensorFile,
    TensorHeader,
    check_columns_fit,
    damaged,
    field_prefix,
    read_declaration,
    residuals_prefix,
    write_model,
)
from instar.sources.steps import Layout, layout_from_json
from instar.store import ColumnPlan
from instar.version import VERSION

if TYPE_CHECKING:
    import torch

    from instar.networks.assemble import Network


@dataclass(frozen=True)
class Content:
    """Everything that a model folder holds.

    plans: how each column is read, by name; residuals: sorted, by target whose answers keep any; claims: what the model
    may say of itself; layout: how steps in rows or columns of their own become series, if they do.
    """

    plans: Mapping[str, ColumnPlan]
    inputs: tuple[Field, ...]
    targets: tuple[Field, ...]
    network: Network
    residuals: Mapping[str, np.ndarray]
    claims: Mapping[str, Any]
    layout: Layout | None = None

    def write(self, folder: Path) -> None:
        """Write what reading needs into a folder, whatever else lies there. Raises FolderError."""
        import torch

        tensors = {f"network/{name}": value.cpu().numpy() for name, value in self.network.state_dict().items()}
        tensors |= {residuals_prefix(name) + "sorted": value for name, value in self.residuals.items()}
        declared = {}
        for role, fitted in (("inputs", self.inputs), ("targets", self.targets)):
            declared[role], arrays = _declare(fitted, self.plans)
            tensors |= arrays
        declaration = {
            "instar": VERSION,
            "torch": torch.__version__,
            **declared,
            "network": self.network.plan.as_json(),
            "residuals": {name: value.shape for name, value in self.residuals.items()},
            "claims": dict(self.claims),
            "layout": None if self.layout is None else {**self.layout.as_json(), "described": self.layout.described},
        }
        write_model(folder, declaration, tensors)


def _declare(
    fitted: Iterable[Field], plans: Mapping[str, ColumnPlan]
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Fields as the declaration has them, and their arrays by the names of tensors."""
    declared, tensors = [], {}
    for each in fitted:
        state, arrays = each.state()
        tensors.update({field_prefix(each.name) + key: value for key, value in arrays.items()})
        headers = {key: TensorHeader.of(value) for key, value in arrays.items()}
        shapes = {key: {"type": header.type, "shape": header.shape} for key, header in headers.items()}
        plan = plans[each.name]
        declared.append(
            {"name": each.name, "kind": plan.kind, "plan": dict(plan.plan), "state": state, "arrays": shapes}
        )
    return declared, tensors


def check_loadable(fitted: Iterable[Field], plans: Mapping[str, ColumnPlan]) -> None:
    """Raises ColumnError where a model of these fields would be too large to be loaded again."""
    check_columns_fit(*_declare(fitted, plans))


def read_content(path: Path) -> Content:
    """What lies in a model folder. Runs no code from it, and allocates nothing that its network does not need.

    Raises ModelError for a folder that is damaged, newer or no model, or where a plug-in that it needs is missing.
    """
    import torch

    from instar.networks.assemble import Network
    from instar.networks.initialization import Undrawn
    from instar.networks.plans import Plan

    declaration = read_declaration(path)
    file = TensorFile(path, declaration)
    with _well_formed(path / DECLARATION):
        columns = [*declaration["inputs"], *declaration["targets"]]
        plans = {each["name"]: ColumnPlan(each["kind"], each["plan"]) for each in columns}
        inputs, targets = (tuple(_restore(file, each) for each in declaration[role]) for role in ("inputs", "targets"))
        for role in (inputs, targets):
            _expect(len({each.name for each in role}) == len(role), "names of columns")
        _expect(all(isinstance(name, str) for name in plans), "names of columns")
        _expect(all(plans[each["name"]] == ColumnPlan(each["kind"], each["plan"]) for each in columns), "plans")
        _expect(bool(inputs) and all(each.shape is not None for each in inputs), "inputs")
        _expect(bool(targets) and all(each.answer is not None for each in targets), "targets")
        residuals = {
            each.name: _residuals(file, each.name, width, declaration["residuals"])
            for each in targets
            if (width := type_of(each.answer).residual_width(each.answer))
        }
        claims = _claims(declaration["claims"])
        layout = layout_from_json(declaration.get("layout"))
        with torch.device("meta"), Undrawn():
            network = Network(*shapes_of(inputs, targets), Plan.from_json(declaration["network"]))
    expected = {name: _header(tensor) for name, tensor in network.state_dict().items()}
    weights = {name: torch.from_numpy(array) for name, array in file.read("network/", expected).items()}
    file.check_read()
    network.load_state_dict(weights, assign=True)
    network.eval()
    return Content(plans, inputs, targets, network, residuals, claims, layout)


def _restore(file: TensorFile, declared: Mapping[str, Any]) -> Field:
    name = declared["kind"]
    if name not in kinds:
        raise ModelError(
            f"The model has a column of kind {name!r}, which is not known here",
            where=str(file.path.parent),
            remedy="Install the plug-in or the version of Instar that it was made with",
        )
    expected = {name: TensorHeader(each["type"], tuple(each["shape"])) for name, each in declared["arrays"].items()}
    arrays = file.read(field_prefix(declared["name"]), expected)
    field = kinds[name].restore(declared["name"], declared["state"], arrays)
    kinds[name].check(declared["plan"], field)
    return field


def _residuals(file: TensorFile, name: str, width: int, declared: Mapping[str, Any]) -> np.ndarray:
    rows, columns = declared[name]
    residuals = file.read(residuals_prefix(name), {"sorted": TensorHeader("F64", (rows, columns))})["sorted"]
    _expect(columns == width and bool(np.isfinite(residuals).all()), "residuals")
    return residuals


def _claims(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the model claims, as `_repr_html_` shows it."""
    for metrics in content["metrics"].values():
        for score in metrics.values():
            _expect(set(map(type, score.values())) <= {int, float} and len(score) == 4, "claims")
            float(score["value"]), float(score["low"]), float(score["high"]), float(score["rows"])
    return dict(content)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


@contextmanager
def _well_formed(path: Path) -> Iterator[None]:
    """Whatever goes wrong in taking a stranger's declaration apart means that it is damaged."""
    try:
        yield
    except ModelError as failure:
        if failure.where is not None:
            raise
        raise ModelError(failure.what, where=str(path), remedy=failure.remedy) from failure
    except InstarError as failure:
        raise damaged(path, failure.what) from failure
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as failure:
        raise damaged(path, f"a part is missing or malformed ({type(failure).__name__}: {failure})") from failure


def _header(tensor: torch.Tensor) -> TensorHeader:
    return TensorHeader(TYPE_NAMES[str(tensor.dtype).removeprefix("torch.")], tuple(tensor.shape))
