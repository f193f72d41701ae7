# One image for every process: migrate, api, Ray head, Ray worker. The torch pin gives the CUDA build from PyPI.
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0
WORKDIR /srv/nas

# A C compiler, so that the C of a bundle is run before anybody downloads it.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY search_spaces search_spaces
COPY nas_service nas_service
COPY workers workers
COPY api api
COPY migrations migrations
RUN pip install --constraint constraints.txt '.[cluster]' \
    && useradd --create-home nas \
    && mkdir -p /var/lib/nas/cache /artifacts /data \
    && chown nas /var/lib/nas /var/lib/nas/cache /artifacts

USER nas
CMD ["nas", "serve"]
