# SPDX-License-Identifier: Apache-2.0
#
# A static foliotd on an empty file system. Serving needs port 123/udp; steering
# the clock needs --cap-add SYS_TIME, and -x does without:
#
#   docker build -t foliot .
#   docker run --cap-add SYS_TIME -p 123:123/udp foliot
#   docker run -p 123:123/udp foliot -d -x -f default

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build && mkdir -p /root-fs/etc/foliot /root-fs/run/foliot /root-fs/var/lib/foliot /root-fs/tmp

FROM scratch
COPY --from=build /root-fs/ /
COPY --from=build /src/bin/foliotd /src/bin/foliotctl /usr/sbin/
EXPOSE 123/udp
ENTRYPOINT ["/usr/sbin/foliotd"]
CMD ["-d", "-f", "default"]
