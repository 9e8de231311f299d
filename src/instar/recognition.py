"""Which column is of which kind, which are left out, and why: decided once, on a sample of the whole source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from instar.errors import ColumnError, UsageError, no_column
from instar.fields import Kind, kinds
from instar.findings import unfit_columns
from instar.settings import Settings
from instar.sources import Chunk, Column, FileColumn, Schema
from instar.store import ColumnPlan

# A column of which no kind is surer than this is left out of the inputs.
LEAST_CONFIDENCE = 0.3


@dataclass(frozen=True)
class Roles:
    """What a person, or the source itself, says that columns are for.

    ``until``: the column that says when what a row asks for ends, where ``time_order`` says when it begins; then none
    of the two is learned from. ``keys``: the columns by whose content rows are told apart, where an earlier split says
    so; else the inputs.
    ``unanswered``: whether the targets are asked without right answers to learn from.
    """

    targets: tuple[str, ...]
    group: str | None = None
    time_order: str | None = None
    given_split: str | None = None
    exclude: tuple[str, ...] = ()
    until: str | None = None
    keys: tuple[str, ...] = ()
    unanswered: bool = False

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns that are read whether they are learned from or not."""
        return tuple(name for name in (*self.targets, *self.others, self.time_order, *self.keys) if name is not None)

    @property
    def others(self) -> tuple[str, ...]:
        """Columns that are read but are neither inputs nor targets."""
        span = (self.time_order, self.until) if self.until is not None else ()
        return tuple(name for name in (self.group, self.given_split, *span) if name is not None)

    def check(self, columns: Sequence[str], place: str) -> None:
        """Raises ColumnError, which lists the columns, for a name that the source does not have."""
        for name in (*self.needed, *self.exclude):
            if name not in columns:
                raise no_column(name, columns, place)
        if len(set(self.targets)) != len(self.targets):
            raise UsageError("A target is named twice", remedy="Name each --target once")
        for name in {*self.targets} & {*self.exclude}:
            raise UsageError(f"The column {name!r} is both target and excluded", remedy="Take it out of one of the two")
        roles = ((self.given_split, "split"), (self.group, "group"), (self.time_order, "order in time"))
        for column, role in roles:
            if column in self.targets:
                raise UsageError(f"The column {column!r} is both target and {role}", remedy="Name another --target")
        if self.given_split is not None and self.time_order is not None:
            raise UsageError(
                f"Rows are divided as {self.given_split!r} says, or by time, and not by both",
                remedy="Leave out --time-order or --split",
            )


@dataclass(frozen=True)
class Recognition:
    """The plan of every column that is read, by name; and the columns left out, each with the reason."""

    roles: Roles
    plans: Mapping[str, ColumnPlan]
    inputs: tuple[str, ...]
    dropped: Mapping[str, str]


def recognize(
    sample: Chunk,
    schema: Schema,
    roles: Roles,
    *,
    place: str,
    overrides: Mapping[str, str],
    settings: Mapping[type[Settings], Settings],
) -> Recognition:
    """Decide every column's kind from ``sample``; ``overrides`` (column to kind) win over what is sniffed.

    Raises ColumnError where a target is of no kind that can be one, or nothing is left to learn from.
    """
    roles.check(schema.columns, place)
    for name in overrides:
        if name not in schema.columns:
            raise no_column(name, schema.columns, place)
    overrides = {**schema.kinds, **overrides}
    dropped = {**schema.left_out, **dict.fromkeys(roles.exclude, "you excluded it")}
    if schema.given_split not in (None, roles.given_split):
        dropped[schema.given_split] = f"it says a split, and {roles.given_split!r} is to say it"
    aside = {*roles.targets, *roles.others}
    candidates = [name for name in schema.columns if name not in aside and name not in dropped]
    chosen = {*overrides, roles.time_order}
    _check_split(sample, roles.given_split, place)
    unfit = unfit_columns(sample, [name for name in candidates if name not in chosen])
    plans: dict[str, ColumnPlan] = {}
    for name in schema.columns:
        if name in dropped and name not in roles.needed:
            continue
        is_target = name in roles.targets
        # A split is said in words, as the answers of a choice are.
        answers = is_target or name == roles.given_split
        unanswered = is_target and roles.unanswered
        kind_name, confidence = _most_likely(sample.columns[name], overrides.get(name), answers, unanswered)
        if name in candidates and name not in chosen and (name in unfit or confidence < LEAST_CONFIDENCE):
            dropped[name] = unfit.get(name, "no kind of content was recognized in it")
            if name not in roles.needed:
                continue
        kind = kinds[kind_name]
        if is_target and not kind.can_be_target:
            raise ColumnError(
                f"The column {name!r} is of kind {kind_name}, which cannot be a target yet",
                where=place,
                remedy="Choose another --target, or say its kind with --kind " + f"{name}=KIND",
            )
        plans[name] = ColumnPlan.survey(name, kind_name, sample.columns[name], settings[kind.settings], place)
    inputs = tuple(name for name in candidates if name in plans and name not in dropped)
    plans |= _read_alike(plans, inputs, roles.targets)
    itself = _answers_itself(roles, plans, place)
    if itself is not None:
        dropped |= dict.fromkeys(inputs, f"{itself!r} is answered from itself alone")
        plans = {name: plan for name, plan in plans.items() if name in roles.needed}
        inputs = (itself,)
    if not inputs:
        raise _nothing_left(dropped, place)
    return Recognition(roles, plans, inputs, dropped)


def _check_split(sample: Chunk, given_split: str | None, place: str) -> None:
    """Raises ColumnError where what is to say the split holds files."""
    if given_split is not None and isinstance(sample.columns[given_split], FileColumn):
        raise ColumnError(
            f"The column {given_split!r}, which is to say the split, holds files",
            where=place,
            remedy="Name a column that says train, validation or test",
        )


def _nothing_left(dropped: Mapping[str, str], place: str) -> ColumnError:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in dropped.items())
    return ColumnError(
        "No column is left to learn from" + (f" ({reasons})" if reasons else ""),
        where=place,
        remedy="Say a column's kind with --kind COLUMN=KIND to have it used",
    )


def _answers_itself(roles: Roles, plans: Mapping[str, ColumnPlan], place: str) -> str | None:
    """The target that is its own input, if there is one. Raises UsageError where it is not the only target."""
    itself = next((name for name in roles.targets if kinds[plans[name].kind].answers_itself), None)
    if itself is not None and len(roles.targets) > 1:
        raise UsageError(
            f"The column {itself!r} is of kind {plans[itself].kind}, which is answered from itself alone",
            where=place,
            remedy="Learn the other targets in a model of their own",
        )
    return itself


def _read_alike(
    plans: Mapping[str, ColumnPlan], inputs: Sequence[str], targets: Sequence[str]
) -> dict[str, ColumnPlan]:
    """The targets' plans, where their content belongs to that of an input as that one is read."""
    known = {name: (plans[name].kind, plans[name].plan) for name in inputs}
    own = {name: plans[name] for name in targets}
    return {name: replace(plan, plan=kinds[plan.kind].within(plan.plan, known)) for name, plan in own.items()}


def _most_likely(column: Column, named: str | None, target: bool, unanswered: bool) -> tuple[str, float]:
    """The kind that is surest of a column, and how sure; a named kind is certain.

    Raises UsageError for one that is unknown, or that is not what is asked of the column.
    """
    if named is not None:
        if kinds[named].unanswered != unanswered:  # refuses a wrong name
            if unanswered:
                raise UsageError("What says which rows are odd has no other kind", remedy="Leave out --kind for it")
            raise UsageError(
                f"Only a column that says which rows are odd is of kind {named}", remedy="Name it with --odd instead"
            )
        return named, 1.0
    able: Iterable[tuple[str, Kind]] = ((name, kind) for name, kind in kinds.items() if kind.unanswered == unanswered)
    sure = {name: kind.sniff(column, target=target) for name, kind in able if kind.can_be_target or not target}
    best = max(sure, key=lambda name: (sure[name], name))
    return best, sure[best]
