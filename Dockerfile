# SPDX-License-Identifier: Apache-2.0
#
# A static foliotd on an empty file system. It starts as root, opens its sockets,
# and goes on as foliot (101) with what it needs and no more:
#
#   docker build -t foliot .
#   docker run --cap-add SYS_TIME -p 123:123/udp foliot              # steers the clock of the host
#   docker run -p 123:123/udp foliot -n -x -u foliot -f default      # leaves it alone
#   docker run --user 101 -p 123:123/udp foliot -n -x -U -f default  # is never root
#
# What each feature needs beyond Docker's default of capabilities (which has
# NET_BIND_SERVICE for port 123, and SETUID, SETGID and SETPCAP to drop rights):
#
#   steering the clock             --cap-add SYS_TIME, and no -x
#   answers by eBPF and XDP        --cap-add BPF --cap-add NET_ADMIN --cap-add PERFMON --network host
#   hwtimestamp                    --cap-add NET_ADMIN --network host --device /dev/ptp0
#   sched_priority, lock_all       --cap-add SYS_NICE --cap-add IPC_LOCK
#   the addresses of its clients   --network host, as with -p Docker may show its own

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build
RUN mkdir -p /image/etc/foliot /image/run/foliot /image/var/lib/foliot /image/tmp
RUN echo 'root:x:0:0:root:/:/none' >/image/etc/passwd && echo 'foliot:x:101:101:foliot:/var/lib/foliot:/none' >>/image/etc/passwd
RUN echo 'root:x:0:' >/image/etc/group && echo 'foliot:x:101:' >>/image/etc/group
RUN cp configs/default.conf /image/etc/foliot/foliot.conf && chmod 1777 /image/tmp && chmod 750 /image/run/foliot /image/var/lib/foliot

FROM scratch
COPY --from=build /image/etc /etc
COPY --from=build /image/tmp /tmp
COPY --from=build --chown=101:101 /image/run/foliot /run/foliot
COPY --from=build --chown=101:101 /image/var/lib/foliot /var/lib/foliot
COPY --from=build /src/bin/foliotd /usr/sbin/foliotd
COPY --from=build /src/bin/foliotctl /usr/bin/foliotctl
EXPOSE 123/udp
VOLUME /var/lib/foliot
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/usr/bin/foliotctl", "status"]
ENTRYPOINT ["/usr/sbin/foliotd"]
CMD ["-n", "-u", "foliot", "-f", "/etc/foliot/foliot.conf"]
