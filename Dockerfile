# The images: the agent's, which is Node.js, four files of JavaScript, koffi to mount by, and the system's mount and umount with the libraries of both. There is no
# shell, no package manager and no base image: every file comes from a package that package-lock.json or
# deploy/release/system-packages.json locks by checksum. Nothing runs while it is built, so that one machine builds for all.
#
# `npm run release -- --dry-run` builds it with buildah. With Docker, once `npm run image-files` has laid the files out:
#
#   docker build --file Dockerfile --tag registry.example/pod-certificate-agent:0.1.0 dist/image
#
# and for both processors `docker buildx build --platform linux/amd64,linux/arm64 …`.
FROM scratch AS base
ARG TARGETARCH
COPY system-${TARGETARCH}/ /
# Where programs are, for whoever uses `kubectl exec`.
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin NODE_ENV=production

# The trial signer, an image of its own: `--target signer --tag registry.example/pod-certificate-trial-signer:0.1.0`. It needs no
# privilege, and mounts nothing.
FROM base AS signer
COPY signer/ /
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pod-certificate-trial-signer" \
      org.opencontainers.image.description="Answers certificate requests of pods with a CA in a Secret: for trials, test clusters and small private meshes." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.malloc.tcache_count=0
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/node", "--disable-sigusr1", "--max-old-space-size=128", "/usr/local/lib/pod-certificate-trial-signer/signer.mjs"]

FROM base AS agent
COPY agent/ /
ARG TARGETARCH
COPY agent-${TARGETARCH}/ /

ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pod-certificate-agent" \
      org.opencontainers.image.description="Gives Kubernetes pods mTLS certificates: makes keys, asks a signer, projects files and refreshes them." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# Above the number of RSA keys made at once, which would keep file operations waiting.
ENV UV_THREADPOOL_SIZE=6
# The C library overwrites memory as it is freed, also what it would keep at hand for each thread: OpenSSL does not clear every
# buffer that it reads a private key from.
ENV GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.malloc.tcache_count=0
# Mounting is root's. What else root may do, the pod's securityContext takes away.
USER 0:0
# A small heap that stays small: this runs on every node. SIGUSR1 would open a debugger, which reads all memory.
ENTRYPOINT ["/usr/local/bin/node", "--disable-sigusr1", "--max-semi-space-size=1", "--optimize-for-size", "--max-old-space-size=128", "/usr/local/lib/pod-certificate-agent/agent.mjs"]
