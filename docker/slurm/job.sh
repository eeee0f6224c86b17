# shellcheck shell=bash
# What the job files beside this one share: how genexp is started, and what happens when SLURM stops a job early.
#
# SLURM warns this shell with USR1 before the time is up (--signal=B:USR1@120), and sends TERM to the tasks of a job that
# has to make room for another one. genexp then saves a checkpoint and ends with the code below; the job goes back into
# the queue by itself and goes on from there when it starts again. What was cancelled (scancel) saves and stays out.
#
# From the job file:
#   RUNS       the folder of all runs; every node must see it
#   CONTAINER  none: genexp is in the PATH of the job; apptainer or pyxis: it is in IMAGE, which sees RUNS as /runs
#   IMAGE      genexp.sif for Apptainer, genexp.sqsh for enroot and pyxis; see docs/containers.md

export GENEXP_STOP_CODE=75 # the exit code of a run that was told to stop before its end
mkdir -p "$RUNS"
RUNS=$(realpath "$RUNS")

case ${CONTAINER:-none} in
  none)
    program=(genexp)
    export GENEXP_OUTPUT=$RUNS
    ;;
  apptainer) # without --nv where there is no GPU; without --cleanenv: the tasks learn from variables which they are
    program=(apptainer run --nv --contain --no-home --pwd /runs --bind "$RUNS:/runs" "$IMAGE")
    export GENEXP_OUTPUT=/runs GENEXP_CACHE=/runs/.cache
    ;;
  pyxis) # it leaves the image's entry point out
    program=(--container-image="$IMAGE" --container-mounts="$RUNS:/runs" --container-workdir=/runs genexp)
    export GENEXP_OUTPUT=/runs GENEXP_CACHE=/runs/.cache
    ;;
  *)
    echo "CONTAINER=$CONTAINER is unknown: give none, apptainer or pyxis" >&2
    exit 2
    ;;
esac

job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID} # one element's own number is the whole array's
job=${job:-$SLURM_JOB_ID}

ask_to_save() { # the tasks, not this shell
  scancel --signal=TERM "$job"
}

genexp_step() { # SRUN-OPTION... -- GENEXP-ARGUMENT...: run it as this job's step, and queue the job again if need be
  local options=() step code=0
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  trap ask_to_save USR1
  trap : TERM # the tasks get it too: wait until they have saved
  srun "${options[@]}" "${program[@]}" "$@" &
  step=$!
  while kill -0 "$step" 2>/dev/null; do # a signal ends the waiting, and not the step
    code=0
    wait "$step" || code=$?
  done
  # 143: TERM came before genexp was ready to save, so that nothing is lost either
  if [[ $code == 75 || $code == 143 ]] && [[ $(squeue --noheader --jobs="$job" --format=%T) == RUNNING ]]; then
    echo "$(date +%FT%T) job $job was stopped early and goes back into the queue"
    scontrol requeue "$job"
  fi
  exit "$code"
}
