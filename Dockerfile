# lifeboat with PostgreSQL's own programs: what the dump job runs (modules/dump-job), and whoever has no Python at hand.
# docker build --build-arg GIT_SHA="$(git rev-parse HEAD)" --tag lifeboat:1 .
# Build it again when a file in environments/ changes: it knows from there where state and bucket are.
FROM python:3.11-slim
# A client older than the server refuses to dump it; a newer one writes what the server's own pg_restore may not read.
ARG POSTGRESQL_MAJOR=15

# From PostgreSQL's own packages, which have every major; their set-up comes with Debian's postgresql-common.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/*.sh -y \
    && apt-get install --yes --no-install-recommends postgresql-client-${POSTGRESQL_MAJOR} \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /lifeboat
# The project's lock file without what only development needs (hatchling builds the package), hashes included.
COPY pyproject.toml requirements-dev.lock scripts/runtime_lock.py README.md LICENSE ./
RUN python runtime_lock.py hatchling > requirements.lock \
    && pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
COPY scripts/lifeboat scripts/lifeboat
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && lifeboat --help > /dev/null
COPY environments environments
COPY terraform terraform

# The only place that can be written to; on Fargate a volume takes over its owner because it is declared here.
RUN useradd --system --uid 10001 --home-dir /lifeboat/.lifeboat lifeboat \
    && install --directory --owner lifeboat --mode 0700 /lifeboat/.lifeboat
VOLUME ["/lifeboat/.lifeboat"]

ARG GIT_SHA=
LABEL org.opencontainers.image.title=lifeboat org.opencontainers.image.revision=$GIT_SHA
# A dump's manifest says which code made it; there is no git in here to ask.
ENV LIFEBOAT_GIT_SHA=$GIT_SHA PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER lifeboat
ENTRYPOINT ["lifeboat"]
