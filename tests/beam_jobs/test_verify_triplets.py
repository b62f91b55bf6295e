"""The job of verification on tables made by hand: child processes, pipelines, a real text model."""

import pyarrow.parquet as pq
from made_pairs import mined

from beam_jobs.chain_rows import ChainSpec
from beam_jobs.session import Session
from beam_jobs.tables import rows
from beam_jobs.verify_triplets import VerifyJob, run_verify, verify_in_child
from beam_jobs.write_instructions import run_write
from lensmith.engine import BeamEngine
from mining.annotation import AnnotateConfig
from synthesis.config import VerifyConfig, WriteConfig


def written(workspace, manifests):
    session = Session(workspace, BeamEngine(()))
    return session, run_write(session, manifests, WriteConfig(chain=("templates",), texts=1))[0]


def test_triplets_are_verified_page_by_page(tmp_path):
    workspace, manifests = mined(tmp_path, shards=2, pages=2)
    session, triplets = written(workspace, manifests)
    verified = run_verify(session, manifests, triplets, VerifyConfig(), AnnotateConfig())
    found = [row for one in verified for row in rows(workspace, one, "verified")]
    assert len(found) == 48
    assert {row["candidates"] for row in found} == {3}
    assert {(row["verdict"], row["rank_text"]) for row in found} == {("pass", 1)}
    assert all(1 <= row["rank_query"] <= 3 and 1 <= row["rank_both"] <= 3 for row in found)
    again = Session(workspace, BeamEngine(()))
    assert run_verify(again, manifests, triplets, VerifyConfig(), AnnotateConfig()) == verified
    assert set(again.worked.values()) <= {0}
    # A page that killed the text model is failed, the others are verified.
    page = next(row["page_id"] for row in found)
    source = {"triplets": triplets[0].key, "mined": manifests[0].key}
    spec = ChainSpec("verify_triplets", "beam_jobs.verify_triplets:texts_of", VerifyConfig())
    job = VerifyJob(workspace, spec, (), VerifyConfig(), AnnotateConfig())
    marked = []
    arguments = (job, "k" * 32, "attempt", {"source": source, "number": 0, "owners": []})
    shard = verify_in_child(*arguments, mark=marked.append, quarantine={page: "crashed_sigsegv"})
    units = shard.counts["units"]
    assert units["triplet"]["failed"] == {"crashed_sigsegv": 12}
    assert units["triplet"]["kept"] == 12
    assert len(marked) == 1
    assert page not in marked
    assert pq.read_table(tmp_path / shard.files["verified"][0].path).num_rows == 12
