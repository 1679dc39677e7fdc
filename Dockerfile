# syntax=docker/dockerfile:1

# The build. It needs cargo and a C compiler, which also links: `ring`, the cryptography of TLS, has parts in C, and the allocator is in C. tools/protoc.sh brings the
# protoc that etcd-client asks for.
FROM rust:1.95-slim-bookworm AS build

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libcap2-bin \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /elb

# The dependencies, in a layer of their own: it is built anew when a manifest changes, not when the source does.
# (The manifest may name benches, which must then exist; the pattern also matches none.)
COPY .cargo .cargo
COPY tools tools
COPY Cargo.toml Cargo.lock ./
COPY benche[s] benches/
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --bin elb \
    && rm -r src

# ELB itself. Cargo compares times, and the source may be older than the empty files that stood in for it.
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin elb

# All that the image will have: the program without what debuggers read, the libraries that it asks for and their loader, whom an etcd
# with TLS may be certified by, and that names are looked up in /etc/hosts before DNS is asked. (A program that has the C library in it could
# do without the libraries, which are 3 MB; but it would look names up in another way than the one that the tests run.)
#
# setcap is for port 80 without root. In a network namespace of its own Docker opens low ports to everyone, but with
# `--net host` the host's rule holds, so the file carries the one capability that is needed. That is an extended
# attribute: COPY keeps it (with BuildKit, which the mounts here ask for anyway), a later chown or chmod would drop it.
WORKDIR /image
RUN mkdir -p usr/local/bin etc/ssl/certs \
    && objcopy --strip-all /elb/target/release/elb usr/local/bin/elb \
    && ldd usr/local/bin/elb | grep -o '/[^ ]*' | xargs -I '{}' cp --parents --dereference '{}' . \
    && cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ \
    && echo 'hosts: files dns' > etc/nsswitch.conf \
    && setcap cap_net_bind_service=+ep usr/local/bin/elb \
    && chroot --userspec=65532:65532 . /usr/local/bin/elb --version

# What runs: those files and nothing else, no shell either.
FROM scratch

LABEL org.opencontainers.image.title="ELB" \
      org.opencontainers.image.description="A dynamic HTTP/1.1 load balancer" \
      org.opencontainers.image.licenses="MIT"

COPY --from=build /image /

# Nobody in particular: no name, no home, no shell.
USER 65532:65532

ENV ELB_LISTEN=0.0.0.0:80
EXPOSE 80

# Asked where ELB_LISTEN says, whatever that is.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["elb", "health"]

# SIGTERM, which is what `docker stop` sends, drains.
ENTRYPOINT ["elb"]
