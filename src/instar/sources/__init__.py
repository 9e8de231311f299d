"""Where examples come from. Only sources open paths and reshape tables; everyone else gets chunks of columns."""

from instar.sources.base import Chunk, Column, FileColumn, FileReference, Schema, Source, bounded, sources

__all__ = ["Chunk", "Column", "FileColumn", "FileReference", "Schema", "Source", "bounded", "sources"]
