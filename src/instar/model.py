"""The trained thing: how its columns are read, its fitted fields, its network, and what it may claim."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from instar.answering import answers, answers_for, rows_at_a_time, truths_for
from instar.batches import Examples, prepare_inputs
from instar.columns import shapes_of
from instar.errors import ColumnError, ContentError, FolderError, InstarError, ModelError, UsageError
from instar.evaluation.conformal import COVERAGE, half_width, shortfall
from instar.evaluation.measuring import input_columns, measure_targets
from instar.evaluation.report import Report
from instar.fields import Arrays, Field, kinds
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
from instar.frames import frame_like
from instar.shapes import Amounts, Choice
from instar.sources import Source, bounded
from instar.sources.locate import locate
from instar.sources.matching import match
from instar.store import KEPT_PROBLEMS, ColumnPlan, Store, StorePlan, describe_problem
from instar.store import rows_at_a_time as rows_read_at_a_time
from instar.version import VERSION

if TYPE_CHECKING:
    import torch

    from instar.networks.assemble import Network

logger = logging.getLogger("instar")

# How many of the values that could not be read are said where somebody predicts.
SAID_PROBLEMS = 20


@dataclass(frozen=True)
class Predictions:
    """Answers for n rows, by target: probabilities (n, classes), or amounts (n, width) in the target's own units.

    A row that could not be read has NaN everywhere. ``problems`` say why, with the place, of the first values that
    could not be read, and ``problem_count`` is how many there were.
    """

    answers: Mapping[str, np.ndarray]
    problems: Sequence[str] = ()
    problem_count: int = 0


class Model:
    """A network together with everything that is needed to use it on content as people have it.

    Made by `instar.train` and `instar.load`. ``network`` is an ordinary ``torch.nn.Module``.
    """

    def __init__(
        self,
        plans: Mapping[str, ColumnPlan],
        inputs: Sequence[Field],
        targets: Sequence[Field],
        network: Network,
        residuals: Mapping[str, np.ndarray],
        claims: Mapping[str, Any],
        folder: Path | None = None,
    ) -> None:
        self.plans, self.inputs, self.targets = dict(plans), tuple(inputs), tuple(targets)
        self.network = network
        self.residuals, self.claims, self.folder = dict(residuals), dict(claims), folder

    @property
    def classes(self) -> Any:
        """The classes in the order of `predict_proba`'s columns; a dictionary by target where there are several.

        None for a target that is an amount.
        """
        return self._by_target({each.name: each.classes for each in self.targets})

    def predict(self, source: Any, *, coverage: float = COVERAGE, allow_outside: bool = False) -> Any:
        """A frame with a row per example.

        Columns ``prediction`` and ``confidence`` (probability of the predicted class) for a category, ``prediction``,
        ``low`` and ``high`` for a number; prefixed by ``TARGET_`` where there are several targets. ``low`` and
        ``high`` hold the truth with probability ``coverage`` (split-conformal, Lei et al. 2018).

        Parameters
        ----------
        source: whatever `instar.train` takes, and lists of files. A pandas, polars or Arrow frame gets its own type
            back, everything else a polars frame.
        coverage: between 0 and 1.

        Raises ColumnError where a column is missing or of another kind than in training.
        """
        predictions = self.answer(self.open(source, allow_outside=allow_outside))
        for problem in predictions.problems[:SAID_PROBLEMS]:
            logger.warning("%s", problem)
        if predictions.problem_count > SAID_PROBLEMS:
            more = predictions.problem_count - SAID_PROBLEMS
            logger.warning("... and %s more values that could not be read", f"{more:,}")
        return frame_like(source, self.columns(predictions, coverage=coverage))

    def predict_proba(self, source: Any, *, allow_outside: bool = False) -> Any:
        """Probabilities (n, classes) in the order of `classes`; a dictionary by target where there are several."""
        chosen = [each for each in self.targets if isinstance(each.answer, Choice)]
        if not chosen:
            raise UsageError("The model answers numbers, which have no probabilities", remedy="Use predict")
        answers = self.answer(self.open(source, allow_outside=allow_outside)).answers
        if len(self.targets) == 1:
            return answers[chosen[0].name]
        return {each.name: answers[each.name] for each in chosen}

    def evaluate(self, source: Any, *, target: Sequence[str] = (), allow_outside: bool = False) -> Report:
        """How good the model is on other examples with answers.

        ``target`` is needed only where the source takes the answers from a file of their own (IDX).
        Returns a report whose ``metrics`` is a dictionary by name, each with ``value``, ``low``, ``high``, ``rows``.
        Raises ColumnError where a target's column is missing.
        """
        opened = self.open(source, allow_outside=allow_outside, target=target)
        fields = {each.name: each for each in (*self.inputs, *self.targets)}
        check_columns(opened, fields, "Evaluation needs")
        plan = StorePlan({name: self.plans[name] for name in fields})
        store = Store.find(opened, plan) or Store.build(opened, plan)
        examples = Examples(store, self.inputs, self.targets)
        rows = np.arange(len(store))
        truth, given = truths_for(examples, rows), answers_for(self.network, examples, rows)
        network = self.network.plan.principal
        return Report(
            title=f"{opened.name}: {', '.join(each.name for each in self.targets)}",
            source=opened.place,
            rows=len(store),
            targets=measure_targets(examples, rows, truth, given, source=opened),
            protocol="elsewhere",
            inputs=input_columns(self.inputs),
            network=network.name,
            about=f"{network.idea} ({network.paper})",
            parameters=sum(each.numel() for each in self.network.parameters()),
            versions={"instar": VERSION},
            folder=None if self.folder is None else str(self.folder),
        )

    def open(self, source: Any, *, target: Sequence[str] = (), allow_outside: bool = False) -> Source:
        """The source behind what a person gave, with a lone nameless column under the name that the model knows."""
        files = [name for name, plan in self.plans.items() if kinds[plan.kind].reads_files]
        opened = locate(source, target=target, allow_outside=allow_outside, files=files)
        return match(opened, [each.name for each in self.inputs])

    def answer(self, source: Source) -> Predictions:
        """The network's answers for every record of ``source``, in its order."""
        names = [each.name for each in self.inputs]
        check_columns(source, names, "The model needs")
        collected: dict[str, list[np.ndarray]] = {each.name: [] for each in self.targets}
        problems: list[str] = []
        firsts: dict[str, str] = {}
        unreadable, rows = dict.fromkeys(names, 0), 0
        for chunk in bounded(source.chunks(names), rows_read_at_a_time(self.plans[name] for name in names)):
            arrays = {name: self.plans[name].read(name, chunk, source, chunk.start) for name in names}
            rows += len(chunk)
            for name, column in arrays.items():
                unreadable[name] += len(column.problems)
                first = column.problems[: KEPT_PROBLEMS - len(problems)]
                problems += [describe_problem(source, name, each, chunk.start) for each in first]
                if column.problems and name not in firsts:
                    firsts[name] = describe_problem(source, name, column.problems[0], chunk.start)
            for name, values in self.answer_arrays(arrays).items():
                collected[name].append(values)
        for name, count in unreadable.items():
            if rows and count == rows:
                raise ContentError(
                    f"No value of the column {name!r} can be read as {self.plans[name].kind}, as it was in training "
                    f"(the first: {firsts[name]})",
                    where=source.place,
                    remedy="Give content of the kind that the model was trained on",
                )
        if not rows:
            raise ContentError("There are no rows", where=source.place, remedy="Give at least one example")
        joined = {name: np.concatenate(parts) for name, parts in collected.items()}
        return Predictions(joined, problems, sum(unreadable.values()))

    def answer_arrays(self, arrays: Mapping[str, Arrays]) -> dict[str, np.ndarray]:
        """Answers for rows that have been read; NaN for rows of which nothing was present."""
        rows = len(next(iter(arrays.values())))
        parts = []
        few = rows_at_a_time(self.network, self.inputs)
        for start in range(0, rows, few):
            stretch = {name: column.rows(slice(start, start + few)) for name, column in arrays.items()}
            parts.append(answers(self.network, self.targets, [prepare_inputs(self.inputs, stretch)]))
        joined = {each.name: np.concatenate([part[each.name] for part in parts]) for each in self.targets}
        unread = np.zeros(rows, bool)
        for column in arrays.values():
            for problem in column.problems:
                unread[problem.row] = True
        present = np.any([column.present for column in arrays.values()], axis=0)
        for values in joined.values():
            values[unread & ~present] = np.nan
        return joined

    def columns(
        self, predictions: Predictions, *, coverage: float = COVERAGE, probabilities: bool = False
    ) -> dict[str, Any]:
        """Predictions as named columns, a value per row; see `predict`. ``probabilities`` adds a column per class.

        Raises UsageError for a ``coverage`` that does not lie between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise UsageError(f"The coverage must lie between 0 and 1, and is {coverage}", remedy="Try 0.9")
        columns: dict[str, Any] = {}
        for target in self.targets:
            prefix = f"{target.name}_" if len(self.targets) > 1 else ""
            answer = predictions.answers[target.name]
            known = ~np.isnan(answer).any(axis=1)
            values = target.decode(np.where(known[:, None], answer, 0))
            if isinstance(target.answer, Choice):
                columns[f"{prefix}prediction"] = [v if k else None for v, k in zip(values, known, strict=True)]
                columns[f"{prefix}confidence"] = answer.max(axis=1)
                if probabilities:
                    columns |= {
                        f"{prefix}probability_{label}": answer[:, code]
                        for code, label in enumerate(target.classes or ())
                    }
                continue
            short = shortfall(self.residuals[target.name], coverage)
            if short is not None:
                logger.warning("%s: %s", target.name, short)
            width = np.broadcast_to(half_width(self.residuals[target.name], coverage), answer.shape[1:])
            for index in range(answer.shape[1]):
                suffix = f"_{index}" if answer.shape[1] > 1 else ""
                columns[f"{prefix}prediction{suffix}"] = answer[:, index]
                columns[f"{prefix}low{suffix}"] = answer[:, index] - width[index]
                columns[f"{prefix}high{suffix}"] = answer[:, index] + width[index]
        return columns

    def save(self, folder: str | Path) -> Path:
        """Write the model folder: data only, every file whole or not at all. Raises FolderError.

        Saves over a model of the same folder, and refuses any other folder that is not empty.
        """
        path = Path(folder)
        if path.exists() and path != self.folder and (not path.is_dir() or any(path.iterdir())):
            raise FolderError("The folder is not empty", where=str(path), remedy="Give a new folder")
        self.write(path)
        return path

    def write(self, folder: Path) -> None:
        """Write what loading needs into a folder, whatever else lies there."""
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
            "claims": self.claims,
        }
        write_model(folder, declaration, tensors)

    def _by_target(self, values: dict[str, Any]) -> Any:
        return values if len(values) > 1 else next(iter(values.values()))

    def __repr__(self) -> str:
        asked = ", ".join(each.name for each in self.targets)
        return f"<instar.Model of {asked} from {len(self.inputs)} inputs{f' in {self.folder}' if self.folder else ''}>"

    def _repr_html_(self) -> str:
        from html import escape

        row = "<tr><td>{}</td><td>{value:.4f}</td><td>{low:.4f} – {high:.4f}</td></tr>"
        rows = "".join(
            row.format(escape(name), **score)
            for metrics in self.claims.get("metrics", {}).values()
            for name, score in metrics.items()
        )
        head = "<tr><th>metric</th><th>value</th><th>95 % interval</th></tr>"
        return f"<p>{escape(repr(self))}</p><table>{head}{rows}</table>"


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


def load(folder: str | Path) -> Model:
    """The model in a folder. Runs no code from it, and allocates nothing that its network does not need.

    Raises ModelError for a folder that is damaged, newer or no model, or where a plug-in that it needs is missing.
    """
    import torch

    from instar.networks.assemble import Network, Plan

    path = Path(folder)
    declaration = read_declaration(path)
    file = TensorFile(path, declaration)
    with _well_formed(path / DECLARATION):
        columns = [*declaration["inputs"], *declaration["targets"]]
        plans = {each["name"]: ColumnPlan(each["kind"], each["plan"]) for each in columns}
        inputs, targets = (tuple(_restore(file, each) for each in declaration[role]) for role in ("inputs", "targets"))
        _expect(len(plans) == len(columns) and all(isinstance(name, str) for name in plans), "names of columns")
        _expect(bool(inputs) and all(each.shape is not None for each in inputs), "inputs")
        _expect(bool(targets) and all(each.answer is not None for each in targets), "targets")
        residuals = {
            each.name: _residuals(file, each.name, each.answer.width, declaration["residuals"])
            for each in targets
            if isinstance(each.answer, Amounts)
        }
        claims = _claims(declaration["claims"])
        with torch.device("meta"):
            network = Network(*shapes_of(inputs, targets), Plan.from_json(declaration["network"]))
    expected = {name: _header(tensor) for name, tensor in network.state_dict().items()}
    weights = {name: torch.from_numpy(array) for name, array in file.read("network/", expected).items()}
    file.check_read()
    network.load_state_dict(weights, assign=True)
    network.eval()
    return Model(plans, inputs, targets, network, residuals, claims, path)


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


def check_columns(source: Source, names: Iterable[str], who: str) -> None:
    """Raises ColumnError where the source lacks one of the columns."""
    columns = source.schema().columns
    known = frozenset(columns)
    missing = [name for name in names if name not in known]
    if missing:
        raise ColumnError(
            f"{who} the column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}, not found here",
            where=source.place,
            remedy=f"The columns are: {', '.join(columns)}",
        )
