"""Plans the search of a corpus: which index, which parts for which groups, and how good the approximation is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beam_jobs.corpus.groups import Group, Part
from beam_jobs.corpus.search import VERSION, FillJob, JoinJob, SearchJob, ViewPlan, lists_of, take_ids
from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Manifest, Workspace
from mining.mine_config import SearchConfig
from mining.miners.interface import Neighbours
from mining.search.index import IndexPlan, PartSearch, choose_probes, merge, plan_index, recall, train
from mining.search.vectors import ViewVectors, view_vectors
from mining.windows import ScoreCounts
from schemas.errors import ConfigurationError
from schemas.ids import digest


@dataclass(frozen=True)
class TrainJob:
    """Trains the index of a view on a sample of the corpus that is chosen by hash, and chooses its probes."""

    workspace: Workspace
    stage: str = "mine_pairs.train"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """File and probes go into the notes; no file where the sample has no vector. The file's name is the digest of
        its content: the same shard may be trained on a larger corpus after a kill."""
        work = shard.work
        sample = sampled_vectors(self.workspace, work["groups"], work["view"], work["share"])
        plan: IndexPlan = work["plan"]
        if not len(sample.ids):
            writer.notes["file"] = None
            return
        trained = train(sample.search, plan)
        name = f"_work/search/{work['view']}/trained-{digest(trained)[:32]}.faiss"
        self.workspace.folder.create(name, trained)
        writer.notes["file"] = name
        writer.notes["probes"] = choose_probes(trained, sample, min(work["k"], len(sample.ids) - 1), plan.aim)


@dataclass(frozen=True)
class RecallJob:
    """Compares the lists of a few images, chosen by hash, with an exact search of all parts."""

    workspace: Workspace
    stage: str = "mine_pairs.recall"

    def run(self, shard: Shard, writer: ShardWriter) -> None:
        """The recall of each view and the number of images go into the notes."""
        groups: Sequence[Group] = shard.work["groups"]
        joined = self.workspace.manifests(JoinJob.stage, shard.work["joined"])
        for plan in shard.work["plans"]:
            queries = sampled_vectors(self.workspace, groups, plan.view, shard.work["share"])
            wanted = frozenset(queries.ids)
            found: dict[str, Neighbours] = {}
            for manifest in joined:
                lists = lists_of(self.workspace, manifest)
                found |= {name: views[plan.view] for name, views in lists if name in wanted and plan.view in views}
            exact: dict[str, list[Neighbours]] = {name: [] for name in queries.ids}
            for group in groups:
                part = view_vectors(plan.view, group.columns(self.workspace, [plan.view]))
                for name, near in zip(queries.ids, PartSearch(part).search(queries, plan.k), strict=True):
                    exact[name].append(near)
            ids = list(queries.ids)
            share = recall([found[one] for one in ids], [merge(exact[one], plan.k) for one in ids])
            writer.notes[plan.view] = {"recall": round(share, 4), "images": len(ids)}


def sampled_vectors(workspace: Workspace, groups: Sequence[Part], view: str, share: float) -> ViewVectors:
    """Vectors of a share of the corpus, chosen by id, sorted by it."""
    found = []
    for group in groups:
        vectors = view_vectors(view, group.columns(workspace, [view]))
        found.append(take_ids(vectors, [one for one in vectors.ids if int(one[:13], 16) < share * 16**13]))
    return ViewVectors.joined(found)


@dataclass(frozen=True)
class Lists:
    """The neighbours of a corpus: a manifest for each group; for each view and length of lists the counts of the scores
    that stand in them. And how they were found, for others who search: the plan of each view, and of an approximate one
    the number of each part → the file of its index."""

    joined: Sequence[Manifest]
    scores: Mapping[str, Mapping[int, ScoreCounts]]
    recall: Mapping[str, float]
    groups: Sequence[Group]
    plans: Mapping[str, ViewPlan]
    filled: Mapping[str, Mapping[int, str]]


def search_corpus(
    session: Session, groups: Sequence[Group], lengths: Mapping[str, Sequence[int]], config: SearchConfig, models: str
) -> Lists:
    """Search all groups in all views. `lengths`: view → how long the lists are that miners want; `models`: digest of
    what made the vectors.

    Raises ConfigurationError where a list is to be longer than the corpus."""
    images = sum(one.first.weight for group in groups for one in group.shards)
    views = {view: max(wanted) for view, wanted in lengths.items()}
    for view, k in views.items():
        if k >= images:
            raise ConfigurationError(
                f"{k} nearest neighbours are asked for in the view {view}, and the corpus has {images} images: lower k "
                "of the miners (last_rank of mid_rank, neighbours of instances; the score hubness takes 10), or mine a "
                "larger corpus."
            )
    plans = plan_views(session, groups, views, config, models, images)
    searches: dict[int, list[Shard]] = {group.number: [] for group in groups}
    filled = {plan.view: fill_parts(session, groups, plan, models) if plan.trained else {} for plan in plans}
    for plan in plans:
        files = filled[plan.view]
        for group in groups:
            for part in groups:
                parts = (group.digest(plan.view), part.digest(plan.view), *plan.parts, models)
                key = session.shard_key(SearchJob.stage, VERSION, *parts)
                work = {"plan": plan, "group": group, "part": part, "index": files.get(part.number)}
                searches[group.number].append(Shard(key, work))
    session.shards(SearchJob(session.workspace), [one for group in groups for one in searches[group.number]])
    joins = []
    for group in groups:
        keys = [one.key for one in searches[group.number]]
        key = session.shard_key(JoinJob.stage, VERSION, *keys, str(sorted(lengths.items())))
        joins.append(Shard(key, {"searches": keys, "lengths": dict(lengths)}))
    joined = session.shards(JoinJob(session.workspace), joins)
    scores = {view: {k: ScoreCounts() for k in wanted} for view, wanted in lengths.items()}
    for manifest in joined:
        for view, counts in manifest.notes["scores"].items():
            for k, counted in counts.items():
                scores[view][int(k)].merge(ScoreCounts(counted))
    measured = _recall(session, groups, plans, joined, config, images)
    return Lists(joined, scores, measured, groups, {plan.view: plan for plan in plans}, filled)


def plan_views(
    session: Session,
    groups: Sequence[Part],
    views: Mapping[str, int],
    config: SearchConfig,
    models: str,
    images: int,
    stage: str = TrainJob.stage,
) -> list[ViewPlan]:
    """How each view is searched in a corpus of so many images, its index trained where it is not searched exactly.
    `views`: view → k of the neighbours by which probes are chosen; `stage`: name of the job that trains."""
    plan = plan_index(images, config.exact_up_to, config.recall)
    if plan.exact:
        return [ViewPlan(view, k) for view, k in views.items()]
    share = min(1.0, config.sample / images)
    shards = []
    for view, k in views.items():
        # Of the corpus no more than its order of size counts: additions use the index that is there.
        key = session.shard_key(stage, VERSION, view, str(k), str(plan), str(config.sample), models)
        shards.append(Shard(key, {"view": view, "k": k, "plan": plan, "groups": tuple(groups), "share": share}))
    trained = session.shards(TrainJob(session.workspace, stage), shards)
    return [
        ViewPlan(view, k, one.notes["file"], one.notes["probes"]) if one.notes["file"] else ViewPlan(view, k)
        for (view, k), one in zip(views.items(), trained, strict=True)
    ]


def fill_parts(
    session: Session, groups: Sequence[Part], plan: ViewPlan, models: str, stage: str = FillJob.stage
) -> dict[int, str]:
    """Number of a part → the file of its index, filled under the trained plan of a view."""
    shards = [
        Shard(
            session.shard_key(stage, VERSION, group.digest(plan.view), *plan.parts, models),
            {"plan": plan, "group": group},
        )
        for group in groups
    ]
    manifests = session.shards(FillJob(session.workspace, f"{stage}.{plan.view}"), shards)
    return {group.number: one.notes["file"] for group, one in zip(groups, manifests, strict=True)}


def _recall(
    session: Session,
    groups: Sequence[Group],
    plans: Sequence[ViewPlan],
    joined: Sequence[Manifest],
    config: SearchConfig,
    images: int,
) -> dict[str, float]:
    """View → recall against an exact search; 1 where the search was exact."""
    measured = {plan.view: 1.0 for plan in plans}
    approximate = [plan for plan in plans if plan.trained]
    if not approximate:
        return measured
    share = min(1.0, config.measured / images)
    key = session.shard_key(RecallJob.stage, VERSION, *(one.key for one in joined), str(share))
    work = {"groups": tuple(groups), "plans": approximate, "joined": [one.key for one in joined], "share": share}
    notes = session.shards(RecallJob(session.workspace), [Shard(key, work)])[0].notes
    return measured | {plan.view: float(notes[plan.view]["recall"]) for plan in approximate}
