"""Models that look at images and texts, behind the interfaces of `schemas.protocols`."""
