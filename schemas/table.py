"""What a table is: where its rows lie, its columns, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Table:
    """One table: where its rows lie under the output folder, its columns and the version of both."""

    name: str
    folder: str
    version: int
    schema: pa.Schema
    doc: str

    def with_metadata(self) -> pa.Schema:
        """The schema with the table's name and version in its metadata, as files carry it."""
        return self.schema.with_metadata({"lensmith.table": self.name, "lensmith.version": str(self.version)})


def field(name: str, kind: pa.DataType, doc: str, nullable: bool = True) -> pa.Field:
    """A column with what it means."""
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


TIMESTAMP = pa.timestamp("us", tz="UTC")
