# Worker image of Beam's portable runners (Flink, Spark, Dataflow): the SDK's harness with Lensmith and its models.
FROM apache/beam_python3.11_sdk:2.77.0
RUN pip install --no-cache-dir uv
WORKDIR /opt/lensmith
COPY pyproject.toml setup.py constraints.txt README.md LICENSE ./
COPY lensmith ./lensmith
COPY beam_jobs ./beam_jobs
COPY mining ./mining
COPY synthesis ./synthesis
COPY publishing ./publishing
COPY training ./training
COPY evaluation ./evaluation
COPY schemas ./schemas
ENV UV_TORCH_BACKEND=cpu
RUN uv pip install --system --no-cache --constraints constraints.txt '.[all]' \
 && uv pip install --system --no-cache --no-deps --requirements lensmith/no_deps.txt
# Models are converted once, at build time, and not by every worker.
ENV LENSMITH_CACHE=/opt/lensmith/cache
RUN python -c "from mining.annotation import AnnotateConfig, load_models; load_models(AnnotateConfig())"
