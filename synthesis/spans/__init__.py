"""Spans of page texts that may stand in an instruction, and what they can be introduced by.

No tagger is needed: closed lists of function words tell where a span may begin and end, and what two texts share tells
whether the target is another thing, or another state of the same one.
"""
