# Ecomind in a container, as a user without privileges. What is needed to build stays in the first stage.
#
# While there are no API keys Ecomind binds loopback only and refuses any other address, so nothing
# outside the container reaches it unless it shares the host's network:
#
#   docker build --tag ecomind .
#   docker run --network host --volume ecomind-data:/data --volume ecomind-keys:/keys ecomind
#
# Data and keys are two volumes on purpose: a copy of the data alone opens no spooled request.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY . .
RUN python -m venv /opt/ecomind && /opt/ecomind/bin/pip install .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin ecomind \
    && install --directory --owner ecomind --group ecomind --mode 0700 /data /keys
COPY --from=build /opt/ecomind /opt/ecomind
ENV PATH=/opt/ecomind/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ECOMIND_DATA_DIR=/data \
    ECOMIND_KEY_DIR=/keys
USER 10001
VOLUME ["/data", "/keys"]
EXPOSE 4317 4318 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('ECOMIND_API_PORT', '8080') + '/health', timeout=2)"]
ENTRYPOINT ["ecomind"]
CMD ["up"]
