#!/usr/bin/env bash
# Build the image: docker/build.sh [cpu|cuda|test]...   (cpu without an argument)
#
# Environment, all optional:
#   IMAGE          the name before the colon (genexp); the tag is the target
#   BASE_IMAGE     another base, see the Dockerfile and docker/base.sh
#   TORCH_INDEX    where torch's CPU build is; empty for the ordinary index and the folder of wheels
#   WHEELS         a folder of wheels that is looked into first
#   PIP_CONFIG_FILE, PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_CERT   as for pip itself; they stay out of the image
#   ENGINE, STORE  see docker/engine.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=docker/engine.sh
source docker/engine.sh

IMAGE=${IMAGE:-genexp}
[[ $ENGINE == buildah && $IMAGE != */* ]] && IMAGE=localhost/$IMAGE
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || true)
[[ -n $commit && -n $(git status --porcelain -uno -- src conf docker pyproject.toml constraints.txt) ]] && commit+=+
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/genexp/__init__.py)

site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
if [[ -n ${PIP_CONFIG_FILE:-} ]]; then
  cp "$PIP_CONFIG_FILE" "$site/pip.conf"
else
  {
    echo "[global]"
    [[ -n ${PIP_INDEX_URL:-} ]] && echo "index-url = $PIP_INDEX_URL"
    [[ -n ${PIP_EXTRA_INDEX_URL:-} ]] && echo "extra-index-url = $PIP_EXTRA_INDEX_URL"
    [[ -n ${PIP_CERT:-} ]] && echo "cert = /run/secrets/ca.pem"
  } >"$site/pip.conf"
fi

options=(--file docker/Dockerfile --build-arg "COMMIT=$commit" --build-arg "VERSION=$version")
options+=(--secret "id=pip.conf,src=$site/pip.conf")
[[ -n ${PIP_CERT:-} ]] && options+=(--secret "id=ca.pem,src=$PIP_CERT")
[[ -n ${WHEELS:-} ]] && options+=(--build-context "wheels=$WHEELS")
[[ -n ${BASE_IMAGE:-} ]] && options+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
[[ -n ${TORCH_INDEX+set} ]] && options+=(--build-arg "TORCH_INDEX=$TORCH_INDEX")

for target in "${@:-cpu}"; do
  tag=$IMAGE:$target
  started=$SECONDS
  if [[ $ENGINE == docker ]]; then
    DOCKER_BUILDKIT=1 docker build "${options[@]}" --target "$target" --tag "$tag" .
  else
    image_store build --layers --isolation chroot --network host "${options[@]}" --target "$target" --tag "$tag" .
  fi
  echo "$tag: $(image_bytes "$tag" | awk '{printf "%.2f GB", $1 / 1e9}'), commit ${commit:-unknown}," \
    "built with $ENGINE in $((SECONDS - started)) s"
done
