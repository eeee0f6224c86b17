#!/usr/bin/env bash
# A base image from Debian's packages alone, where no registry can be reached: docker/base.sh [TAG]
#
# As root, with buildah and debootstrap. Then: BASE_IMAGE=TAG docker/build.sh
set -euo pipefail
ENGINE=buildah
# shellcheck source=docker/engine.sh
source "$(dirname "$0")/engine.sh"

tag=${1:-localhost/genexp-base:bookworm}
suite=${SUITE:-bookworm} # bookworm has Python 3.11
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip "$suite" "$root" >/dev/null
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}

container=$(image_store from scratch)
image_store add --quiet "$container" "$root" / >/dev/null
image_store config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd python3 "$container"
image_store commit --quiet --rm "$container" "$tag" >/dev/null
echo "$tag"
