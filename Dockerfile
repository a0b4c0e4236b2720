# The agent's image: Node.js, two files of JavaScript, and the system's mount and umount. Nothing in it needs npm or a shell
# at run time, and nothing is written to its root file system.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" \
#     --build-arg NODE_IMAGE=node:24-slim@sha256:… --tag registry.example/pod-certificate-agent:0.1.0 --push .
#
# NODE_IMAGE is pinned by digest for a release, so that it can be built again; `docker buildx imagetools inspect node:24-slim`
# prints the digest of the image for all platforms.
ARG NODE_IMAGE=node:24-slim

# The bundle is the same for every platform, so it is made once, on the builder's own.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS bundle
WORKDIR /source
COPY package.json package-lock.json .npmrc ./
# npm ci compares the lock with the workspace's package.json too; the sandbox itself is not needed here.
COPY sandbox/package.json sandbox/
RUN npm ci --no-fund --no-audit
COPY agent/ agent/
COPY volumes/ volumes/
COPY signer/ signer/
COPY deploy/bundle.ts deploy/
RUN npm run bundle

# The trial signer, an image of its own: `docker build --target signer …`. It needs no privilege, and mounts nothing.
FROM ${NODE_IMAGE} AS signer
RUN rm -rf /usr/local/lib/node_modules /usr/local/include /opt/yarn-* \
        /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
COPY --from=bundle /source/dist/signer.mjs /source/dist/THIRD-PARTY-LICENSES.txt /usr/local/lib/pod-certificate-trial-signer/
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pod-certificate-trial-signer" \
      org.opencontainers.image.description="Answers certificate requests of pods with a CA in a Secret: for trials, test clusters and small private meshes." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
ENV GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.malloc.tcache_count=0
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/node", "--disable-sigusr1", "--max-old-space-size=128", "/usr/local/lib/pod-certificate-trial-signer/signer.mjs"]

# The agent comes last: it is what a build without a target makes.
FROM ${NODE_IMAGE}
# Fails here, and not on a node, should the base image ever come without them. Package managers are of no use at run time.
RUN mount --version && umount --version \
    && rm -rf /usr/local/lib/node_modules /usr/local/include /opt/yarn-* \
        /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
COPY --from=bundle /source/dist/agent.mjs /source/dist/probe.mjs /source/dist/THIRD-PARTY-LICENSES.txt /usr/local/lib/pod-certificate-agent/
# For `kubectl exec`: pod-certificate-agent status, and retry.
RUN ln -s /usr/local/lib/pod-certificate-agent/agent.mjs /usr/local/bin/pod-certificate-agent

ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pod-certificate-agent" \
      org.opencontainers.image.description="Gives Kubernetes pods mTLS certificates: makes keys, asks a signer, projects files and refreshes them." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# Above the number of RSA keys made at once, which would keep file operations waiting.
ENV NODE_ENV=production UV_THREADPOOL_SIZE=6
# The C library overwrites memory as it is freed, also what it would keep at hand for each thread: OpenSSL does not clear every
# buffer that it reads a private key from.
ENV GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.malloc.tcache_count=0
# Mounting is root's. What else root may do, the pod's securityContext takes away.
USER 0:0
# A small heap that stays small: this runs on every node. SIGUSR1 would open a debugger, which reads all memory.
ENTRYPOINT ["/usr/local/bin/node", "--disable-sigusr1", "--max-semi-space-size=1", "--optimize-for-size", "--max-old-space-size=128", "/usr/local/lib/pod-certificate-agent/agent.mjs"]
