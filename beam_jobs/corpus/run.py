"""Mining over a whole corpus: from admitted pages to the pairs of all miners, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from beam_jobs.corpus.choose import QUOTA, Cap, QuotaBoundary, QuotaCounts, Winners, quota_limits, quota_ranges
from beam_jobs.corpus.clusters import clusters_step
from beam_jobs.corpus.compose import VERSION as COMPOSE_VERSION
from beam_jobs.corpus.compose import ComposeJob, Source
from beam_jobs.corpus.crop_instances import find_crop_instances
from beam_jobs.corpus.find import VERSION as FIND_VERSION
from beam_jobs.corpus.find import FindJob
from beam_jobs.corpus.groups import Group, plan_groups
from beam_jobs.corpus.guided import GuideModel
from beam_jobs.corpus.images import PAGES_JOB, Asking, CorpusPlaces, PagesShard, corpus_images
from beam_jobs.corpus.instances import find_instances
from beam_jobs.corpus.meet import run_meetings
from beam_jobs.corpus.mistakes import MistakeNegatives, find_mistakes
from beam_jobs.corpus.publish_pairs import VERSION as PAIRS_VERSION
from beam_jobs.corpus.publish_pairs import ChosenPairs
from beam_jobs.corpus.rounds import counting_rounds, run_rounds
from beam_jobs.corpus.score import score_candidates
from beam_jobs.corpus.search_plan import Lists, search_corpus
from beam_jobs.index_step import NO_ANSWERS, Answers, IndexStep, answer_map
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.workspace import Manifest, basis_of
from mining.annotation import AnnotateConfig
from mining.mine_config import MineConfig
from mining.miners.hard_rounds import HardRounds
from mining.miners.instances import Instances
from mining.miners.make import final_window, meeting_miners, neighbour_miners, wanted_views
from schemas.errors import ConfigurationError
from schemas.ids import digest
from schemas.settings import settings_digest


def run_corpus(
    session: Session,
    extracted: Sequence[Manifest],
    pages: Sequence[Manifest],
    config: MineConfig,
    models: AnnotateConfig,
    guide: GuideModel | None = None,
) -> list[Manifest]:
    """The pairs of all miners; a manifest for each source of candidates. `models`: what made the vectors; `guide`: the
    model of a round of `hard_rounds`."""
    basis = basis_of(pages)
    shards = corpus_images(session, pages, basis)
    lists = _lists(session, shards, config, models)
    found = _find(session, lists, config) if lists else []
    if lists and Instances.name in config.miners:
        instances = find_instances(session, lists, config)
        found += instances
        if config.instances.crops.detector is not None:
            found += find_crop_instances(session, shards, lists, instances, config, models)
    if meeting_miners(config):
        found += run_meetings(session, extracted, shards, config, models)
    rounds = run_rounds(session, guide, config.hard_rounds) if HardRounds.name in config.miners else []
    mistakes = find_mistakes(session, shards, rounds, config, basis) if rounds else []
    found += mistakes
    sources = [Source(one.number, PAGES_JOB, one.key, one.digest, one.key) for one in shards]
    sources += _compose(session, shards, found, config, basis, len(sources))
    if config.scores or config.filter:
        sources = score_candidates(session, shards, sources, lists.joined if lists else (), config, models)
    return _choose(session, shards, sources, config, models, mistakes)


def _lists(session: Session, shards: Sequence[PagesShard], config: MineConfig, models: AnnotateConfig) -> Lists | None:
    views = wanted_views(config)
    if not views:
        return None
    groups = plan_groups(shards, config.search.images_per_part)
    return search_corpus(session, groups, views, config.search, settings_digest(models))


def _find(session: Session, lists: Lists, config: MineConfig) -> list[Manifest]:
    miners = tuple(neighbour_miners(config, lists.scores))
    settings = digest(*(f"{one.name} {config.model_dump(mode='json')[one.name]}" for one in miners))
    counted = [counts for _, by_length in sorted(lists.scores.items()) for _, counts in sorted(by_length.items())]
    windows = digest(*(str(sorted(counts.to_json().items())) for counts in counted))
    if not miners:
        return []
    job = FindJob(session.workspace, miners)
    planned = [
        Shard(
            session.shard_key(job.stage, FIND_VERSION, joined.key, joined.digest, settings, windows),
            {"joined": joined.key},
        )
        for joined in lists.joined
    ]
    return session.shards(job, planned)


def _compose(
    session: Session,
    shards: Sequence[PagesShard],
    found: Sequence[Manifest],
    config: MineConfig,
    basis: str,
    first: int,
) -> list[Source]:
    if not found:
        return []
    asking = [Asking(first + place, one.stage, one.key) for place, one in enumerate(found)]
    told = basis_of(found, basis, *(one.standing.digest for one in shards))
    places = session.index(CorpusPlaces(session.workspace), [*shards, *asking], told)
    job = ComposeJob(session.workspace, config, tuple(shards))
    planned = []
    for one, manifest in zip(asking, found, strict=True):
        located = places.get(asker(one.number), NO_ANSWERS)
        parts = (manifest.digest, located.digest, basis, settings_digest(config.hard_negatives))
        windows = tuple(f"{name} {final_window(name, config)}" for name in config.miners)
        bounds = (str(config.near_duplicate_bits), str(config.near_duplicate_similarity))
        key = session.shard_key(job.stage, COMPOSE_VERSION, manifest.key, *parts, *bounds, *windows)
        planned.append(Shard(key, {"job": one.job, "key": one.key, "places": located}))
    composed = session.shards(job, planned)
    return [
        Source(one.number, manifest.stage, manifest.key, manifest.digest, None, shard.work["places"])
        for one, manifest, shard in zip(asking, composed, planned, strict=True)
    ]


def _choose(
    session: Session,
    shards: Sequence[PagesShard],
    sources: Sequence[Source],
    config: MineConfig,
    models: AnnotateConfig,
    mistakes: Sequence[Manifest],
) -> list[Manifest]:
    workspace = session.workspace
    settings = digest(settings_digest(config.caps), str(config.miners), str(sorted(config.quotas.items())))
    basis = digest("choice", PAIRS_VERSION, *(one.digest for one in sources), settings)
    chosen = _known(session, Winners(workspace, config), sources, basis)
    if config.caps.cluster is not None:
        groups = plan_groups(shards, config.search.images_per_part)
        clusters, told = clusters_step(session, groups, config.search, settings_digest(models))
        chosen = _known(session, clusters, chosen, digest(basis, told), groups)
    steps: tuple[str, ...] = ()
    for cap, count in config.caps.given.items():
        chosen = _known(session, Cap(workspace, config, cap, count, steps), chosen, basis)
        steps = (*steps, cap)
    quotas = _quotas(session, config, chosen, steps, basis)
    if mistakes:
        step = MistakeNegatives(workspace, config.hard_negatives.count)
        answers = session.index(step, [*mistakes, *chosen], digest(basis_of(mistakes), basis, str(step.count)))
        chosen = [_told(one, step.name, answers) for one in chosen]
    job = ChosenPairs(workspace, config, tuple(shards), quotas)
    planned = []
    for one in chosen:
        known = [answers.digest for _, answers in one.known]
        limits = str(sorted(quotas.items()))
        places = one.places.digest if one.places else "none"
        key = session.shard_key(
            job.stage, PAIRS_VERSION, one.job, one.key, one.digest, *known, places, settings, limits
        )
        planned.append(Shard(key, {"source": one}))
    return session.shards(job, planned)


def _known(
    session: Session, step: IndexStep, sources: Sequence[Source], basis: str, tellers: Sequence[Group] = ()
) -> list[Source]:
    """The sources with the answers of one more step; `tellers` are what tells beside them."""
    answers = session.index(step, [*tellers, *sources], basis)
    return [_told(one, step.name, answers) for one in sources]


def _told(source: Source, step: str, answers: Mapping[str, Answers]) -> Source:
    """A source with its answers of one more step."""
    return replace(source, known=(*source.known, (step, answers.get(asker(source.number), NO_ANSWERS))))


def _quotas(
    session: Session, config: MineConfig, sources: Sequence[Source], steps: tuple[str, ...], basis: str
) -> dict[str, int]:
    """Miner → the last priority that its quota takes, of those whose quota is passed."""
    if not config.quotas:
        return {}
    workspace = session.workspace
    counted = session.index(QuotaCounts(workspace, config, steps), sources, basis).get(QUOTA, NO_ANSWERS)
    counts = answer_map(workspace, counted.path)
    _say_unfilled(session, config, counts)
    ranges = quota_ranges(counts, config.quotas)
    if not ranges:
        return {}
    step = QuotaBoundary(workspace, config, ranges, steps)
    limits = session.index(step, sources, digest(basis, counted.digest)).get(QUOTA, NO_ANSWERS)
    return quota_limits(answer_map(workspace, limits.path))


def _say_unfilled(session: Session, config: MineConfig, counts: Mapping[str, bytes]) -> None:
    """A quota that a miner cannot fill is said; one of which it gives nothing at all is a fault."""
    for name, quota in config.quotas.items():
        have = sum(int.from_bytes(value, "little") for key, value in counts.items() if key.split(" ")[0] == name)
        if not have and (name != HardRounds.name or counting_rounds(session.workspace, config.hard_rounds)):
            raise ConfigurationError(
                f"the quota of {name} is {quota} pairs, and it finds none in this corpus: widen its windows or caps, "
                "or take it out of mine_pairs.miners."
            )
        if have < quota:
            session.progress.say(f"{name} finds {have} pairs, fewer than its quota of {quota}.")
