# Ecomind in a container, as a user without privileges. What is needed to build stays in the first stage.
#
# A container is reached from outside, so it asks for API keys; the first comes from `ecomind seed`:
#
#   docker build --tag ecomind .
#   docker run --rm --volume ecomind-data:/data --volume ecomind-keys:/keys ecomind seed
#   docker run --publish 4317:4317 --publish 4318:4318 --publish 8080:8080 \
#       --volume ecomind-data:/data --volume ecomind-keys:/keys ecomind
#
# Data and keys are two volumes on purpose: a copy of the data alone opens no spooled request.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY . .
RUN python -m venv /opt/ecomind && /opt/ecomind/bin/pip install '.[kafka,scaled]'

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin ecomind \
    && install --directory --owner ecomind --group ecomind --mode 0700 /data /keys
COPY --from=build /opt/ecomind /opt/ecomind
ENV PATH=/opt/ecomind/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ECOMIND_DATA_DIR=/data \
    ECOMIND_KEY_DIR=/keys \
    ECOMIND_HOST=0.0.0.0
USER 10001
VOLUME ["/data", "/keys"]
EXPOSE 4317 4318 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('ECOMIND_API_PORT', '8080') + '/health', timeout=2)"]
ENTRYPOINT ["ecomind"]
CMD ["up"]
