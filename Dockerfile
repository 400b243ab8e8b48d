# Everleaf's processes: api, workers, migrations.  PostgreSQL and Temporal are images of their own.
FROM ghcr.io/astral-sh/uv:0.13.9 AS uv

FROM python:3.11-slim-bookworm AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /opt/everleaf
# The packages first: they change more seldom than we do.  The extra `embedded` is for one machine, not for here.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --no-install-project
COPY . .
RUN uv sync --locked --no-dev && python -m compileall -q .

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 everleaf && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp everleaf \
    && install -d -o everleaf -g everleaf -m 0700 /var/lib/everleaf
COPY --from=build /opt/everleaf /opt/everleaf
ENV PATH=/opt/everleaf/.venv/bin:$PATH PYTHONPATH=/opt/everleaf PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/everleaf
USER everleaf
CMD ["python", "-m", "cli.main", "--help"]
