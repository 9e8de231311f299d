"""The verdict in words: how good, how sure, and whether something simpler would do."""

from __future__ import annotations

import math
from collections.abc import Mapping

from instar.answers import type_of
from instar.evaluation.results import TargetResult
from instar.evaluation.rivals.run import RivalResult
from instar.metrics import LEAST_ROWS, METRICS, Score, better
from instar.words import counted, written_amount


def written(name: str, value: float) -> str:
    """A metric's value as a person reads it: a percentage, or three or four significant digits."""
    if METRICS[name].rate:
        return f"{100 * value:.1f} %"
    if METRICS[name].maximum < math.inf or abs(value) < 1:
        return f"{value:.3f}"
    return written_amount(value)


def written_interval(name: str, score: Score) -> str:
    low, high = written(name, score.low), written(name, score.high)
    return f"{low.removesuffix(' %')} to {high}"


def verdict(result: TargetResult, *, folds: bool = False, unseen: bool = True) -> list[str]:
    """Sentences, the most important first. Where a rival wins, that is the first.

    folds: whether the score is the procedure's, of networks that each saw a part of the rows.
    unseen: whether it is known that the rows were not learned from.
    """
    return [*_standings(result, folds, unseen), *_unknown(result)]


def _standings(result: TargetResult, folds: bool, unseen: bool) -> list[str]:
    score, name = result.score, result.main
    if score is None:
        return [_no_score(result)]
    ranked = result.ranked()
    simple = next((each for each in ranked if each.baseline), None)
    serious = next((each for each in ranked if not each.baseline), None)
    sentences = [_standing(name, score, result.metrics, folds, unseen)]
    if simple is not None and not better(name, _worst(name, score), simple.metrics[name].value):
        sentences.insert(0, _useless(name, score, simple))
    elif simple is not None:
        sentences.append(f"{capital(simple.title)} reaches {written(name, simple.metrics[name].value)}.")
    if serious is None:
        return sentences
    if better(name, score.value, serious.metrics[name].value):
        sentences.append(_ahead(name, score, serious, sum(not each.baseline for each in ranked)))
    else:
        sentences.insert(0, _behind(name, score, serious))
    return sentences


def _unknown(result: TargetResult) -> list[str]:
    details = result.details
    if not details.unknown:
        return []
    rows = "row has" if details.unknown == 1 else "rows have"
    return [f"{details.unknown:,} examined {rows} {type_of(result.answer).unlearned(result.name, details)}."]


def _worst(name: str, score: Score) -> float:
    return score.low if METRICS[name].higher_is_better else score.high


def _best(name: str, score: Score) -> float:
    return score.high if METRICS[name].higher_is_better else score.low


def _no_score(result: TargetResult) -> str:
    if result.examined < LEAST_ROWS:
        rows = f"only {counted(result.examined)}" if result.examined else "no row"
        return f"No score is given: {rows} could be examined, and fewer than {LEAST_ROWS} prove nothing."
    return "No score is given: the network's answers are not numbers."


def _standing(name: str, score: Score, metrics: Mapping[str, Score], folds: bool, unseen: bool) -> str:
    who = "Networks trained in this way" if folds else "The network"
    rows = counted(score.rows, METRICS[name].of) + (f" that {'they' if folds else 'it'} had not seen" if unseen else "")
    interval = f"(95 % interval {written_interval(name, score)})"
    if name == "accuracy":
        return f"{who} {'are' if folds else 'is'} right on {written(name, score.value)} of {rows} {interval}."
    if name == "r2" and score.value > 0:
        sentence = f"{who} explain{'' if folds else 's'} {100 * score.value:.1f} % of the variance of {rows}"
        sentence += f" (R² {written(name, score.value)}, 95 % interval {written_interval(name, score)})"
        off = f"; {'they are' if folds else 'it is'} off by {written('mae', metrics['mae'].value)} on average"
        return sentence + off + "."
    if name == "explained":
        share = f"{100 * score.value:.1f} % of what makes {rows} differ from the mean"
        between = f"(95 % interval {100 * score.low:.1f} to {100 * score.high:.1f} %)"
        return f"{who} explain{'' if folds else 's'} {share} {between}."
    if "label_recall" in metrics:
        told = ("label_recall", "label_precision")
        shares = {each: written(each, metrics[each].value) for each in told if each in metrics}
        sentence = f"{who} find{'' if folds else 's'} {shares['label_recall']} of the labels of {rows}"
        if "label_precision" in shares:
            sentence += f", and {shares['label_precision']} of what {'they answer' if folds else 'it answers'} is right"
        return f"{sentence} ({METRICS[name].title} {written(name, score.value)}, {interval[1:]}."
    return (
        f"{who} reach{'' if folds else 'es'} {METRICS[name].title} {written(name, score.value)} on {rows} {interval}."
    )


def _useless(name: str, score: Score, simple: RivalResult) -> str:
    reached = f"{written(name, score.value)} against {written(name, simple.metrics[name].value)}"
    if better(name, simple.metrics[name].value, score.value):
        return f"The network is worse than {simple.title} ({reached}): it has learned nothing that helps."
    return f"It is not certain that the network is better than {simple.title} ({reached})."


def _behind(name: str, score: Score, rival: RivalResult) -> str:
    other, title = rival.metrics[name], capital(_with_article(rival.title))
    do, are, them = ("do", "are", "them") if _is_plural(rival.title) else ("does", "is", "it")
    measured = "" if METRICS[name].rate else f"{METRICS[name].title} "
    reached = f"{measured}{written(name, other.value)} against the network's {written(name, score.value)}"
    if better(name, other.value, _best(name, score)):
        return f"{title} {do} better on this data: {reached}. Use {them}, unless you need a network."
    if other.value == score.value:
        return f"{title} {do} exactly as well ({written(name, score.value)}), and {are} simpler."
    return f"{title} {do} as well: {reached}, a difference within the interval, and {are} simpler."


def _ahead(name: str, score: Score, rival: RivalResult, count: int) -> str:
    other = rival.metrics[name].value
    measured = "" if METRICS[name].rate else f"{METRICS[name].title} "
    which = f"The best of {count} rivals" if count > 1 else "The rival"
    sentence = f"{which}, {_with_article(rival.title)}, reaches {measured}{written(name, other)}"
    if better(name, _worst(name, score), other):
        return sentence + "."
    return sentence + ", within the interval: the network's lead is not certain."


def _is_plural(title: str) -> bool:
    return title.endswith("s")


def _with_article(title: str) -> str:
    if _is_plural(title):
        return title
    return f"{'an' if title[0] in 'aeiou' else 'a'} {title}"


def capital(text: str) -> str:
    return text if text[1:2] == "-" else text[:1].upper() + text[1:]


def rows_note(result: TargetResult, rival: RivalResult) -> str:
    """From how many rows the rival learned and in which time, and on how many it was examined where not on all."""
    if rival.note is not None:
        return rival.note
    learned = f"learned from {rival.rows:,} rows in {rival.seconds:.1f} s"
    return learned if rival.examined >= result.examined else f"{learned}, examined on {rival.examined:,}"
