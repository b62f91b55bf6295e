"""Published datasets in the forms that other trainers read: one module a format.

Images are copied as they are, never re-encoded. Memory is a few row groups, whatever the size of the dataset.
"""

from __future__ import annotations

from publishing.exporters.export import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]
