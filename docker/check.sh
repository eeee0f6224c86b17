#!/usr/bin/env bash
# Run the built image for real, as it is meant to be run: docker/check.sh [cpu|cuda]   (cpu without an argument)
#
# A read-only root, a uid that the image does not know, no capabilities, no network, one mounted folder. IMAGE, ENGINE
# and STORE as for docker/build.sh. The tests run in IMAGE:test if that was built.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=docker/engine.sh
source docker/engine.sh

IMAGE=${IMAGE:-genexp}
[[ $ENGINE == buildah && $IMAGE != */* ]] && IMAGE=localhost/$IMAGE
tag=$IMAGE:${1:-cpu}
uid=${CHECK_UID:-12345}
steps=${CHECK_STEPS:-300}
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
chmod 1777 "$output" # the foreign uid writes here
find_out_confinement "$tag"

confined_run() { # [option ...] IMAGE [argument ...]
  container --user "$uid:$uid" --read-only --cap-drop ALL --network none --volume "$output:/runs" "$@"
}

python_in() { # CODE: in the same confinement
  confined_run --entrypoint python "$tag" -c "$1"
}

say() {
  printf '\n== %s\n' "$*"
}

say "$tag: $(image_bytes "$tag" | awk '{printf "%.2f GB", $1 / 1e9}')"
image_history "$tag" | cut -c1-120

say "genexp --help"
confined_run "$tag" --help | head -n 1

say "uid $uid, the root is read-only, /runs is not"
python_in '
import errno, os, torch
for folder in ("/", "/opt/venv", "/etc", "/home"):
    try:
        open(f"{folder}/probe", "w")
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EACCES), (folder, error)
    else:
        raise SystemExit(f"{folder} can be written")
open("/runs/probe", "w").close(); os.remove("/runs/probe")
mounts = {line.split()[1]: line.split()[3].split(",")[0] for line in open("/proc/mounts")}
print(f"uid {os.getuid()}, root {mounts[chr(47)]}, torch {torch.__version__}, CUDA {torch.version.cuda}, threads {torch.get_num_threads()}")
'

say "genexp train: $steps steps on the digits, stopped after a checkpoint and resumed"
train=(train experiment=digits_dcgan "max_steps=$steps" score_every=$((steps / 3)) checkpoint_every=$((steps / 3)))
stopped=(--name "genexp-check-$$" "$tag" "${train[@]}" run_dir=/runs/check progress=false)
confined_run "${stopped[@]}" >"$output.log" 2>&1 &
child=$!
until compgen -G "$output/check/checkpoints/*.ckpt" >/dev/null; do
  kill -0 "$child" 2>/dev/null || { cat "$output.log"; exit 1; }
  sleep 0.2
done
stop_container "genexp-check-$$"
wait "$child" || true
rm -f "$output.log"
status() { python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(r["status"], "at step", r["step"], "commit", r["commit"])' "$output/check/run.json"; }
status
confined_run "$tag" train resume=/runs/check progress=false
status
[[ $(status) == "complete at step $steps "* ]] || { echo "the run is not complete" >&2; exit 1; }

say "all files of the run belong to uid $uid, and W&B kept its own inside the run"
foreign=$(find "$output" -mindepth 1 ! -uid "$uid" | head)
[[ -z $foreign ]] || { echo "not uid $uid: $foreign" >&2; exit 1; }
find "$output/check" -maxdepth 2 -name 'offline-run-*' | grep -q . || { echo "there is no offline run" >&2; exit 1; }
ls -A "$output" "$output/check"

say "without the folder nothing is trained, and the last line says why"
code=0
words=$(container --user "$uid:$uid" --read-only --network none "$tag" train experiment=ring8_gan max_steps=10 2>&1) || code=$?
tail -n 1 <<<"$words"
if [[ $code != 2 || $words == *Traceback* || $(tail -n 1 <<<"$words") != "genexp: Read-only file system"* ]]; then
  echo "exit code $code: $words" >&2
  exit 1
fi

if image_exists "$IMAGE:test"; then
  say "tests, in the same confinement"
  confined_run --tmpfs /tmp:mode=1777 "$IMAGE:test"
else
  say "no $IMAGE:test: docker/build.sh test makes it, and the tests then run here"
fi
say "passed"
