"""Datasets of other shapes than Lensmith's: one module a layout, found by what lies in the folder, read once into rows
as the configuration `ids` has them."""

from __future__ import annotations

from training.data.layouts.convert import Converted, converted
from training.data.layouts.find import LAYOUTS, find_layout, layouts_told
from training.data.layouts.interface import Layout

__all__ = ["LAYOUTS", "Converted", "Layout", "converted", "find_layout", "layouts_told"]
