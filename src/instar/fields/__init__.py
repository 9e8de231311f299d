"""Kinds of content, one file each: how it is recognized, read, fitted, prepared, decoded and shown."""

from instar.fields.base import Arrays, Field, Frame, Kind, Prepared, Problem, kinds

__all__ = ["Arrays", "Field", "Frame", "Kind", "Prepared", "Problem", "kinds"]
