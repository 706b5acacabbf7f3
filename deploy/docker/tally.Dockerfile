# The server. Built at the root of the repository:
#   docker build -f deploy/docker/tally.Dockerfile -t tallylog/tally .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/tally ./cmd/tally

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tally && install -d -o tally -g tally -m 700 /data
COPY --from=build /out/tally /usr/bin/tally
USER 10001:10001
VOLUME /data
EXPOSE 5080 5044
ENTRYPOINT ["/usr/bin/tally"]
# Within the container only: give a configuration with TLS or networks to listen beyond it (docs/server.md).
CMD ["serve", "--data", "/data"]
