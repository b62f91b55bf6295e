import json

import pytest

from synthesis.config import TaskConfig
from synthesis.tasks import make_task
from synthesis.tasks.interface import NothingToAsk, UnparsableError

DRAFT = (
    "A brown dog with a blue collar runs along a beach. A hot dog stand and a red kite are behind it, and a lighthouse "
    "stands on the horizon."
)
OBJECTS = ("A brown dog", "blue collar", "beach", "hot dog stand", "red kite", "lighthouse")
IMAGE = {"image_id": "0a1b", "text": "Rex at the sea", "page_title": "Our dogs"}
ROW = IMAGE | {"draft": DRAFT, "objects": OBJECTS, "unsupported": ("blue collar", "lighthouse")}
TEXT = "A brown dog runs along a beach. A hot dog stand and a red kite are behind it."


def steps():
    return make_task("caption_detailed", TaskConfig()).steps


def facts(step, *answers, **changed):
    return steps()[step].format_output(answers, ROW | changed).facts


def verdicts(**changed):
    told = dict.fromkeys(OBJECTS, True) | {"blue collar": False, "lighthouse": False} | changed
    return json.dumps({"objects": [{"object": name, "visible": seen} for name, seen in told.items()]})


def text(asked):
    content = asked.messages[-1]["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def test_the_steps():
    draft, objects, check, rewrite = steps()
    names = ["caption_detailed", "caption_detailed.objects", "caption_detailed.check", "caption_detailed.rewrite"]
    assert [one.name for one in steps()] == names
    assert [one.format_input(ROW).image_ids for one in steps()] == [("0a1b",), (), ("0a1b",), ()]
    assert "Rex at the sea" in text(draft.format_input(IMAGE))
    assert json.dumps(DRAFT) in text(objects.format_input(ROW))
    assert "Rex" not in text(objects.format_input(ROW))
    listed = text(check.format_input(ROW))
    assert json.dumps(DRAFT) in listed
    assert '- "A brown dog"\n- "blue collar"\n- "beach"' in listed
    found, missing = text(rewrite.format_input(ROW)).split("Not found in the image:")
    assert missing.split("\n")[1:] == ['- "blue collar"', '- "lighthouse"']
    assert '- "red kite"' in found
    assert "lighthouse" not in found.split("Found in the image:")[1]


def test_from_the_image_to_the_caption():
    row = dict(IMAGE)
    for step, answer in zip(
        steps(), [DRAFT, json.dumps({"objects": list(OBJECTS)}), f"```json\n{verdicts()}\n```", TEXT], strict=True
    ):
        assert not isinstance(step.format_input(row), NothingToAsk)
        row |= step.format_output([answer], row).facts
    assert row == ROW | {"caption": TEXT}


def test_a_draft_that_holds_is_the_caption_and_nothing_more_is_asked():
    told = verdicts(**{"blue collar": True, "lighthouse": True})
    found = facts(2, told)
    assert found == {"unsupported": (), "caption": DRAFT}
    assert steps()[3].format_input(ROW | found) == NothingToAsk("nothing_unsupported")


@pytest.mark.parametrize(
    ("step", "changed", "reason"),
    [
        (1, {"draft": None}, "draft_missing"),
        (2, {"objects": None}, "objects_missing"),
        (2, {"objects": ()}, "objects_missing"),
        (3, {"unsupported": None}, "verdicts_missing"),
        (3, {"unsupported": OBJECTS}, "nothing_supported"),
    ],
)
def test_nothing_to_ask(step, changed, reason):
    assert steps()[step].format_input(ROW | changed) == NothingToAsk(reason)


def test_later_steps_wait_for_earlier_ones():
    reasons = [step.format_input(IMAGE) for step in steps()[1:]]
    assert reasons == [NothingToAsk(f"{one}_missing") for one in ("draft", "objects", "verdicts")]


@pytest.mark.parametrize(
    "answer", ["", "I cannot describe this.", "- a dog\n- a kite", "A dog, see www.dogs.example", "x " * 2000]
)
def test_broken_drafts(answer):
    with pytest.raises(UnparsableError):
        facts(0, answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"objects": ["a dog", "kite"]}', ("a dog", "kite")),
        ('Here they are:\n```json\n{"objects": ["a dog", "kite"]}\n```', ("a dog", "kite")),
        ('<think>{"objects": ["no"]}</think>{"objects": ["a dog"]}', ("a dog",)),
        ('{"objects": ["a dog", "Dog", "the  dog", 3, null, "", "!", "kite"]}', ("a dog", "kite")),
        ('{"objects": ["ein Hund", "风筝"]}', ("ein Hund", "风筝")),
        (json.dumps({"objects": ["dog", "x" * 81, "a <|im_end|> kite"]}), ("dog",)),
        (json.dumps({"objects": [f"thing {number}" for number in range(40)]}), tuple(f"thing {n}" for n in range(24))),
    ],
)
def test_lists_of_objects(answer, expected):
    assert facts(1, answer) == {"objects": expected}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "a dog, a kite",
        "I'm sorry, I can't.",
        '["a dog"]',
        '{"things": ["a dog"]}',
        '{"objects": "a dog"}',
        '{"objects": []}',
        '{"objects": [{"name": "a dog"}]}',
        '{"objects": ["a dog"',
    ],
)
def test_broken_lists_of_objects(answer):
    with pytest.raises(UnparsableError):
        facts(1, answer)


@pytest.mark.parametrize(
    ("answer", "unsupported"),
    [
        (verdicts(), ("blue collar", "lighthouse")),
        (f"I looked at it.\n{verdicts()}\nThat is all.", ("blue collar", "lighthouse")),
        (verdicts().replace("A brown dog", "brown dog").replace("beach", "The Beach"), ("blue collar", "lighthouse")),
        (verdicts().replace("true", '"Yes"').replace("false", '"no"'), ("blue collar", "lighthouse")),
        # What was not asked about tells nothing; of two verdicts the worse one counts, in whichever order.
        (verdicts(unicorn=False), ("blue collar", "lighthouse")),
        (verdicts(**{"The beach": False}), ("blue collar", "beach", "lighthouse")),
        (verdicts(**{"the lighthouse": True}), ("blue collar", "lighthouse")),
    ],
)
def test_verdicts(answer, unsupported):
    assert facts(2, answer) == {"unsupported": unsupported}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "All of them are visible.",
        "I can't see the image.",
        '{"objects": "all"}',
        '{"objects": []}',
        '{"objects": [true, true, true, true, true, true]}',
        json.dumps({"objects": [{"object": name, "visible": True} for name in OBJECTS[:-1]]}),
        verdicts(beach="perhaps"),
        verdicts(beach=None),
        verdicts().replace("visible", "seen"),
        verdicts()[:-1],
    ],
)
def test_broken_verdicts(answer):
    with pytest.raises(UnparsableError):
        facts(2, answer)


def test_rewritten_captions():
    assert facts(3, TEXT) == {"caption": TEXT}
    assert facts(3, f"Revised description: {TEXT}") == {"caption": TEXT}
    german = "Ein brauner Hund rennt am Strand."
    assert facts(3, german) == {"caption": german}


@pytest.mark.parametrize(
    "answer", ["", DRAFT, "A dog runs, and there is no lighthouse.", "I'm unable to rewrite it.", "A dog. **Kite.**"]
)
def test_broken_rewrites(answer):
    with pytest.raises(UnparsableError):
        facts(3, answer)


def test_a_name_within_another_name_may_stay():
    changed = {"unsupported": ("dog", "red"), "objects": ("dog", "red", "hot dog stand", "beach")}
    assert facts(3, "A hot dog stand on a beach.", **changed) == {"caption": "A hot dog stand on a beach."}
    with pytest.raises(UnparsableError):
        facts(3, "A hot dog stand on a red beach.", **changed)
