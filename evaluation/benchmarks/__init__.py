"""The benchmarks, one module each behind `evaluation.task.Benchmark`."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.benchmarks.circo import Circo
from evaluation.benchmarks.cirr import Cirr
from evaluation.benchmarks.dtin import Dtin
from evaluation.benchmarks.fashioniq import FashionIQ
from evaluation.benchmarks.genecis import GeneCis
from evaluation.benchmarks.gldv2 import Gldv2
from evaluation.benchmarks.gpr1200 import Gpr1200
from evaluation.benchmarks.inquire import Inquire, InquireRerank
from evaluation.benchmarks.lensmith import Lensmith
from evaluation.benchmarks.lensmith_chains import LensmithChains
from evaluation.benchmarks.mtcir import Mtcir
from evaluation.benchmarks.revisited import Revisited
from evaluation.benchmarks.tuberlin import TuBerlin
from evaluation.task import Benchmark
from schemas.errors import ConfigurationError

BENCHMARKS: Mapping[str, Benchmark] = {
    "fashioniq": FashionIQ(),
    "cirr": Cirr(),
    "circo": Circo(),
    "genecis": GeneCis(),
    "dtin": Dtin(),
    "tuberlin": TuBerlin(),
    "inquire": Inquire(),
    "inquire-rerank": InquireRerank(),
    "gpr1200": Gpr1200(),
    "gldv2": Gldv2(),
    "roxford": Revisited("roxford"),
    "rparis": Revisited("rparis"),
    "lensmith": Lensmith(),
    "lensmith-chains": LensmithChains(),
    "mtcir": Mtcir(),
}


def benchmark(name: str, columns: Mapping[str, str] | None = None) -> Benchmark:
    """The benchmark of a name; `columns` is the map of MTCIR's import. Raises ConfigurationError for other names."""
    if columns:
        if name != "mtcir":
            raise ConfigurationError(f"--columns belongs to the benchmark mtcir, not to {name}.")
        return Mtcir(columns)
    if name not in BENCHMARKS:
        raise ConfigurationError(f"there is no benchmark {name!r}: there are {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def choice(option: str, asked: str | None, known: tuple[str, ...], of: str) -> str:
    """The asked value of an option, the first known one if none is asked. Raises ConfigurationError for others."""
    if asked is None:
        return known[0]
    if asked not in known:
        raise ConfigurationError(f"{option} {asked!r} is none of {of}: there are {', '.join(known)}.")
    return asked
