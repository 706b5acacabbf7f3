# The agent, under its three names. Built at the root of the repository:
#   docker build -f deploy/docker/tallybeat.Dockerfile -t tallylog/tallybeat .
FROM golang:1.26-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libsystemd-dev pkg-config && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X github.com/elastic/beats/v7/libbeat/version.commit=${VERSION}" -o /out/tallybeat ./cmd/tallybeat

# libsystemd reads the journals; it is loaded when the agent runs, so it must be in the image.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libsystemd0 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/tallybeat /usr/bin/tallybeat
RUN ln -s tallybeat /usr/bin/journalbeat && ln -s tallybeat /usr/bin/filebeat
COPY _meta/tallybeat.yml /etc/tallybeat/tallybeat.yml
# Root: only it may read all logs of a node. See deploy/README.md for the capabilities that it needs.
VOLUME /data
ENTRYPOINT ["/usr/bin/tallybeat"]
CMD ["-e", "-c", "/etc/tallybeat/tallybeat.yml", "--path.home", "/data"]
