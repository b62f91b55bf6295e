import pytest
from made_jobs import PlainEngine
from made_pairs import pair_row

from beam_jobs.index_step import tell
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import Session, asker
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.thing_counts import ThingCountsStep, ThingsTask, read_thing_counts
from beam_jobs.workspace import Workspace
from mining.scores.things import ThingCounts, count_things, needed_pairs, pmi, things

#: Shards, their pages, the texts of each page's images.
CRAWL = (
    (("a red dog", "a dog on a mat", None), ("a boat", "a sail")),
    (("a dog", "the mat"), ("a boat", "a dog"), ("a boat", "two sails")),
    ((None, None),),
)
#: Of each shard the texts of its pairs.
PAIRS = ((("a dog", "a mat"), ("a boat", "a unicorn")), (("a sail", "a dog"),), ())


def mined(path):
    """Shards of `mine_pairs` with the pages of `CRAWL` and the pairs of `PAIRS`."""
    workspace, keys = Workspace(str(path)), []
    for shard, pages in enumerate(CRAWL):
        writer = ShardWriter(workspace, "mine_pairs", f"{shard:032x}")
        for page, texts in enumerate(pages):
            for number, text in enumerate(texts):
                writer.row("eligible", eligible_row(f"{shard}{page}" + "0" * 30, number, text))
        for number, (query_text, target_text) in enumerate(PAIRS[shard]):
            row = pair_row("0" * 32, f"q{number}", f"t{number}", {f"q{number}": 0, f"t{number}": 0})
            writer.row("pairs", row | {"query_text": query_text, "target_text": target_text})
        keys.append(writer.commit().key)
    return workspace, [LocateTask("mine_pairs", key, number) for number, key in enumerate(keys)]


def eligible_row(page, number, text):
    return {
        "page_id": page,
        "page_url": "http://site.example/page",
        "site": "site.example",
        "image_id": f"{number}" + "a" * 63,
        "position": number,
        "url": "http://site.example/image",
        "text": text,
        "embedding": None,
        "sketch": b"\1",
        "phash": "0" * 16,
        "width": 200,
        "height": 100,
    }


def counted(workspace, tasks, backwards=False):
    session = Session(workspace, PlainEngine(backwards))
    return session.index(ThingCountsStep(workspace), tasks, f"key{backwards}")


@pytest.mark.parametrize("backwards", [False, True])
def test_each_shard_learns_what_the_whole_crawl_says_of_its_pairs(tmp_path, backwards):
    workspace, sources = mined(tmp_path)
    whole = count_things(page for shard in CRAWL for page in shard)
    answers = counted(workspace, [ThingsTask(one, asks="pairs") for one in sources], backwards)
    for number, pairs in enumerate(PAIRS):
        counts = read_thing_counts(workspace, answers[asker(number)])
        assert counts.pages == 6
        for query, target in pairs:
            assert pmi(things(query), things(target), counts) == pmi(things(query), things(target), whole)
    assert read_thing_counts(workspace, answers[asker(0)]) == ThingCounts(
        6, {"dog": 3, "mat": 2, "boat": 3}, {("dog", "mat"): 2}
    )


def test_pages_may_ask_for_any_two_of_their_images(tmp_path):
    workspace, sources = mined(tmp_path)
    answers = counted(workspace, [ThingsTask(one, asks="pages") for one in sources])
    counts = read_thing_counts(workspace, answers[asker(1)])
    assert counts.things == {"boat": 3, "dog": 3, "mat": 2, "sail": 2}
    assert counts.pairs == {("boat", "dog"): 1, ("boat", "sail"): 2, ("dog", "mat"): 2}


def test_a_shard_may_tell_or_ask_alone(tmp_path):
    workspace, sources = mined(tmp_path)
    tasks = [ThingsTask(one) for one in sources] + [ThingsTask(sources[1], tells=False, asks="pairs")]
    answers = counted(workspace, tasks)
    assert list(answers) == [asker(1)]
    assert read_thing_counts(workspace, answers[asker(1)]).pairs == {}
    assert read_thing_counts(workspace, answers[asker(1)]).things == {"dog": 3, "sail": 2}


def test_messages_are_small_and_one_a_key(tmp_path):
    workspace = Workspace(str(tmp_path))
    writer = ShardWriter(workspace, "mine_pairs", "0" * 32)
    long = [letter * 640 for letter in "\U0001e900\U0001e901\U0001e902"]
    for page in range(3):
        for number, text in enumerate([*long, "a dog, " * 90, ", ".join(f"thing{chr(97 + one)}" for one in range(26))]):
            writer.row("eligible", eligible_row(f"{page}" + "0" * 31, number, text))
    writer.commit()
    told = list(tell(ThingCountsStep(workspace), ThingsTask(LocateTask("mine_pairs", "0" * 32, 0), asks="pages")))
    keys = [key for key, _ in told]
    assert len(keys) == len(set(keys))
    assert max(len(key.encode()) for key in keys) <= 266
    assert max(len(key.encode()) + len(value) for key, (_, value) in told) <= 512


def test_a_shard_that_asks_has_a_number(tmp_path):
    workspace, sources = mined(tmp_path)
    nameless = LocateTask(sources[0].job, sources[0].key)
    with pytest.raises(ValueError, match="has a number"):
        list(tell(ThingCountsStep(workspace), ThingsTask(nameless, asks="pairs")))


def test_no_answers_are_no_counts(tmp_path):
    assert read_thing_counts(Workspace(str(tmp_path)), None) == ThingCounts()
    assert needed_pairs((), ("dog",)) == []
