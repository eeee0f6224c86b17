# shellcheck shell=bash
# Sourced by build.sh and check.sh: the builder that this machine has, and how it runs an image.
#
# docker where its daemon answers, else buildah (builds in a chroot, with neither daemon nor user namespaces) and podman.
# ENGINE=docker|buildah decides it. With buildah, STORE=DIR keeps all images below one folder that can be deleted.

if [[ -z ${ENGINE:-} ]]; then
  if docker info >/dev/null 2>&1; then
    ENGINE=docker
  elif command -v buildah >/dev/null; then
    ENGINE=buildah
  else
    echo "Neither a docker daemon nor buildah is here: apt-get install buildah podman runc debootstrap" >&2
    exit 2
  fi
fi

store=()
if [[ $ENGINE == buildah && -n ${STORE:-} ]]; then
  mkdir -p "$STORE"
  STORE=$(cd "$STORE" && pwd)
  export TMPDIR=$STORE/tmp # buildah keeps layers and pip's cache mounts there while it builds
  mkdir -p "$TMPDIR"
  store=(--root "$STORE/store" --runroot "$STORE/run")
fi

image_store() { # buildah's commands on images
  BUILDAH_ISOLATION=chroot buildah "${store[@]}" "$@"
}

image_bytes() { # IMAGE: its size
  if [[ $ENGINE == docker ]]; then
    docker image inspect --format '{{.Size}}' "$1"
  else
    pod image inspect --format '{{.Size}}' "$1"
  fi
}

image_history() { # IMAGE: its layers and their sizes
  local format='{{.Size}}\t{{.CreatedBy}}'
  if [[ $ENGINE == docker ]]; then
    docker history --no-trunc --format "$format" "$1"
  else
    pod history --no-trunc --format "$format" "$1"
  fi
}

# Inside another container or a small virtual machine crun and cgroups may be out of reach: what then works
pod() {
  local options=()
  [[ ${PODMAN_CONFINED:-} == 1 ]] && options=(--runtime runc --cgroup-manager cgroupfs)
  podman "${store[@]}" "${options[@]}" "$@"
}

container() { # [option ...] IMAGE [argument ...]: run an image and remove the container
  if [[ $ENGINE == docker ]]; then
    docker run --rm "$@"
  elif [[ ${PODMAN_CONFINED:-} == 1 ]]; then
    pod run --rm --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 "$@"
  else
    pod run --rm "$@"
  fi
}

find_out_confinement() { # IMAGE: whether podman needs those options here
  [[ $ENGINE == docker || -n ${PODMAN_CONFINED:-} ]] && return
  PODMAN_CONFINED=0
  container --network none --entrypoint python "$1" -c '' 2>/dev/null || PODMAN_CONFINED=1
}

stop_container() { # NAME: SIGTERM, and after two minutes SIGKILL
  if [[ $ENGINE == docker ]]; then
    docker stop --time 120 "$1"
  else
    pod stop --time 120 "$1"
  fi
} >/dev/null

image_exists() { # IMAGE
  if [[ $ENGINE == docker ]]; then
    docker image inspect "$1"
  else
    pod image inspect "$1"
  fi
} >/dev/null 2>&1
