# One image for every process of ours: migrate, api, controller, Ray head, Ray worker. torch of the lock is PyPI's build for CUDA.
# By digest: docker build --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:... (docs/operating.md says how to find it)
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/nas
ENV PATH=/opt/nas/bin:$PATH
COPY requirements.lock ./
# Nothing but what the lock names, byte for byte, and no code of a package runs while it is installed.
RUN pip install --require-hashes --only-binary :all: --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY search_spaces search_spaces
COPY nas_service nas_service
COPY workers workers
COPY api api
COPY migrations migrations
RUN pip install --no-deps --no-index --no-build-isolation . && pip check

FROM ${PYTHON_IMAGE}
# A C compiler, so that the C of a bundle is run before anybody downloads it, and for kernels that torch makes for a GPU.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/nas /opt/nas
ENV PATH=/opt/nas/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RAY_USAGE_STATS_ENABLED=0
RUN groupadd --gid 10001 nas && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin nas \
    && mkdir -p /var/lib/nas /data && chown 10001:10001 /var/lib/nas
WORKDIR /var/lib/nas
USER 10001:10001
CMD ["nas", "serve"]
