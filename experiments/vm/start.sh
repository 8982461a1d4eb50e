#!/usr/bin/env bash
# Start-up script of a virtual machine that may be preempted: installs, fetches a corpus, converts it,
# trains, and shows the run in TensorBoard. Run at every boot, it goes on where it was; once the run
# is trained, it does nothing.
#
#     experiments/vm/start.sh [SETTINGS]
#
# SETTINGS is a file of lines VM_NAME=VALUE, by default /etc/reelgroove.env where there is one; they
# may stand in the environment as well. The shell reads the file, so a value with a space, or with a
# character that means something to the shell, needs 'quotes', and only who may be root may write it.
#
#   VM_WORK              a folder on a disk that outlives the machine, for all that is made
#   VM_CORPUS, VM_INPUT  as --corpus and --input of convert; the input may be an https:// address
#   VM_INPUT_SHA256      its checksum, which an address needs
#   VM_CONVERT_FLAGS     more flags of convert, by spaces or lines
#   VM_CONFIG, VM_NUM_STEPS, VM_SEED   as the flags of train
#   VM_TRAIN_FLAGS       more flags of train, by spaces or lines
#   VM_RUN_DIR           the run's folder; by default VM_WORK/run
#   VM_BUCKET            where the run is kept besides, for a disk that does not outlive the machine:
#                        an address of rclone (:gcs,env_auth:bucket/run), or a folder
#   VM_BUCKET_SECONDS    after how many seconds it is put there again: 60
#   VM_TENSORBOARD_PORT  on this machine alone; 6006, and 0 starts none
#   VM_SOURCE, VM_REF    a Git address and a branch or tag of the project, where this file does not
#                        lie in a checkout
#
# SIGTERM ends it in time: training saves a checkpoint first, and the status is 143. Where it is
# killed, what it has started ends as well.
set -euo pipefail

say() { printf 'start.sh: %s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}

settings=${1:-/etc/reelgroove.env}
if [ -f "$settings" ]; then
  # The shell would look for a mere name in PATH first.
  case $settings in */*) ;; *) settings=./$settings ;; esac
  set -a
  # shellcheck source=/dev/null
  . "$settings"
  set +a
elif [ $# -gt 0 ]; then
  fail "$settings: no such file of settings"
fi
for name in VM_WORK VM_CORPUS VM_INPUT VM_CONFIG VM_NUM_STEPS; do
  [ -n "${!name:-}" ] || fail "$name is not set; $settings or the environment has to say it"
done
work=$VM_WORK
records=$work/records
run_dir=${VM_RUN_DIR:-$work/run}
bucket=${VM_BUCKET:-}
seconds=${VM_BUCKET_SECONDS:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "VM_BUCKET_SECONDS=$seconds: it has to be a number, as 60"
port=${VM_TENSORBOARD_PORT:-6006}
# To the end of the text, and not of its first line, which `read` takes for a failure.
read -rd '' -a convert_flags <<<"${VM_CONVERT_FLAGS:-}" || true
read -rd '' -a train_flags <<<"${VM_TRAIN_FLAGS:-}" || true
[ -z "${VM_SEED:-}" ] || train_flags+=("--seed=$VM_SEED")
# The input as the log may show it: what an address has before its host or after its path may be a
# password or a signature.
named=$VM_INPUT
case $named in
  https://* | http://*)
    named=${named%%[?#]*}
    rest=${named#*://}
    host=${rest%%/*}
    named=${named%%://*}://${host##*@}${rest#"$host"}
    ;;
esac
converted="$VM_CORPUS of $named${VM_INPUT_SHA256:+ ($VM_INPUT_SHA256)}"
converted+="${convert_flags[*]:+ with ${convert_flags[*]}}"
# What the run is trained to; it stands in the run's folder once that is done.
marker=$run_dir/trained.txt
goal="$VM_CONFIG to step $VM_NUM_STEPS on $converted${train_flags[*]:+, ${train_flags[*]}}"
# By another name, rclone shows the address, which may hold a key, neither in its messages nor in the
# list of processes.
if [ -n "$bucket" ]; then
  export RCLONE_CONFIG_VMBUCKET_TYPE=alias RCLONE_CONFIG_VMBUCKET_REMOTE="$bucket"
fi

stopped=  # the exit status, once a signal has come
child=    # the step at work
training= # whether training has begun
helpers=() # what is at work beside the steps
keeper=   # that of them which puts the run into the bucket
upload=   # what puts an archive there

stop() {
  stopped=$1
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
}
# shellcheck disable=SC2317  # the trap below calls it
finish() {
  local status=$?
  trap '' HUP INT TERM
  [ ${#helpers[@]} -eq 0 ] || kill "${helpers[@]}" 2>/dev/null || true
  # Two that put archives there at once would give them one number.
  [ -z "$keeper" ] || wait "$keeper" || true
  if [ -n "$training" ] && [ -n "$bucket" ]; then
    put_in_bucket || {
      say "error: the run could not be put into VM_BUCKET"
      [ "$status" != 0 ] || status=1
    }
  fi
  exit "$status"
}
trap 'stop 143' TERM
trap 'stop 130' INT HUP
trap finish EXIT

# Runs a command that ends where this script is killed. Bash heeds signals only while it waits.
step() {
  local status=0
  [ -z "$stopped" ] || exit "$stopped"
  setpriv --pdeathsig TERM -- "$@" </dev/null &
  child=$!
  # The signal may have come before the step was known.
  [ -z "$stopped" ] || stop "$stopped"
  while :; do
    status=0
    wait "$child" || status=$?
    # A signal ends the waiting, not the step.
    kill -0 "$child" 2>/dev/null || break
  done
  child=
  [ -z "$stopped" ] || exit "$stopped"
  return "$status"
}

# Installs Debian's packages, those of the commands that are missing.
need() {
  local missing=() command
  for command in "$@"; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "install ${missing[*]}: there is no apt-get here"
  say "installing ${missing[*]}"
  # A machine that has just started may be installing updates.
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
  # What an installation left that was cut short, by which each other one would fail.
  step env DEBIAN_FRONTEND=noninteractive dpkg --configure -a >&2 ||
    say "warning: dpkg could not end what was begun before"
  step "${apt[@]}" update
  step "${apt[@]}" install --yes --no-install-recommends ca-certificates "${missing[@]}" >&2
}

# The project: the checkout that this file lies in, else a clone.
find_project() {
  project=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." 2>/dev/null && pwd) || project=
  if ! [ -x "$project/run.sh" ]; then
    project=$work/reelgroove
    [ -n "${VM_SOURCE:-}" ] || fail "VM_SOURCE has to name the project's Git address"
    if ! [ -d "$project" ]; then
      rm -rf "$project.part"
      step git clone --quiet --depth 1 ${VM_REF:+--branch "$VM_REF"} -- "$VM_SOURCE" "$project.part"
      mv "$project.part" "$project"
    fi
  fi
}

is_input() { echo "$VM_INPUT_SHA256  $1" | sha256sum --check --status - 2>/dev/null; }

# The input, downloaded where it is an address.
fetch() {
  input=$VM_INPUT
  case $input in
    https://* | http://*) ;;
    *)
      [ -z "${VM_INPUT_SHA256:-}" ] || is_input "$input" ||
        fail "$input is not a file with the checksum VM_INPUT_SHA256"
      return 0
      ;;
  esac
  [ -n "${VM_INPUT_SHA256:-}" ] || fail "VM_INPUT_SHA256 has to give the checksum of $named"
  local file=$work/input/${named##*/}
  [ -n "${named##*/}" ] || file+=input
  # One that is there may be that of another address or checksum.
  if ! is_input "$file"; then
    mkdir -p "$work/input"
    say "fetching $named"
    step curl --fail --silent --show-error --location --retry 5 --output "$file.part" -- "$input"
    is_input "$file.part" || fail "$named is not the file that VM_INPUT_SHA256 names"
    mv "$file.part" "$file"
  fi
  input=$file
}

# The run is kept in the bucket as archives NUMBER-SHA256.tar, of which the last whole one counts: one
# that was being written when the machine went has another checksum, if it can be seen at all.
in_bucket() {
  local status=0 names log=$work/rclone.$BASHPID.log
  names=$(rclone lsf --quiet --files-only vmbucket: 2>"$log") || status=$?
  # 3: there is no such folder yet, as before the first time.
  if [ "$status" != 0 ] && [ "$status" != 3 ]; then
    cat "$log" >&2
    return "$status"
  fi
  rm -f "$log"
  # What else may lie there is not this script's, to read or to remove.
  LC_ALL=C grep -E '^[0-9]{8}-[0-9a-f]{64}\.tar$' <<<"$names" | LC_ALL=C sort || true
}

# The last step that a run's folder has a checkpoint of; nothing where it has none.
last_step() {
  find "$1/train" -maxdepth 1 -name '*.index' 2>/dev/null |
    sed -E 's/.*-([0-9]+)\.index$/\1/; s/.*\.index$/0/' | sort -n | tail -n 1 || true
}

# Hashes of the files that say which other files count; training writes these after those.
state_of_run() {
  find "$run_dir" -type f '(' -name checkpoint -o -name '*.json' -o -name trained.txt ')' \
    -exec sha256sum '{}' + | sort
}

put_in_bucket() {
  local archive before sum names name last number status tries=0
  # Without a checkpoint there is nothing to go on from.
  [ -n "$(last_step "$run_dir")" ] || return 0
  archive=$work/bucket.$BASHPID.tar
  while :; do
    before=$(state_of_run)
    status=0
    # The same files give the same archive. 1: a file, such as that of summaries, grew meanwhile.
    # What is left out are files of TensorFlow that are being written, and the lock of the run.
    tar --create --file="$archive" --directory="$run_dir" --sort=name --numeric-owner \
      --exclude='*ckpt-[0-9]*_temp' --exclude='*.tempstate[0-9]*' --exclude='*.lock' \
      . 2>/dev/null || status=$?
    if [ "$status" -le 1 ] && [ "$before" = "$(state_of_run)" ]; then break; fi
    [ $((tries += 1)) -lt 20 ] || return 1
  done
  sum=$(sha256sum <"$archive")
  sum=${sum%% *}
  names=$(in_bucket) || return 1
  last=${names##*$'\n'}
  if [ "${last#*-}" != "$sum.tar" ]; then
    number=$((10#0${last%%-*} + 1))
    [ "$number" -lt 100000000 ] || return 1
    last=$(printf '%08d-%s.tar' "$number" "$sum")
    setpriv --pdeathsig TERM -- \
      rclone copyto --quiet "$archive" "vmbucket:$last" </dev/null &
    upload=$!
    status=0
    wait "$upload" || status=$?
    upload=
    [ "$status" = 0 ] || return 1
    # The one before stays, in case that this one is not whole.
    while read -r name; do
      [ -z "$name" ] || rclone deletefile --quiet "vmbucket:$name" </dev/null || return 1
    done < <(head -n -1 <<<"$names")
  fi
  rm -f "$archive"
  echo "$last" >"$archive.name"
  mv "$archive.name" "$work/bucket.txt"
}

keep_in_bucket() {
  local waited=0
  trap '[ -z "$upload" ] || { kill "$upload" || true; wait "$upload" || true; }; exit 0' TERM
  exec 8<> <(:) # Nothing comes from it: `read` waits, and no process is left that sleeps.
  while kill -0 $$ 2>/dev/null; do
    read -rt 1 -u 8 || true
    if [ $((waited += 1)) -ge "$seconds" ]; then
      waited=0
      put_in_bucket || say "warning: the run could not be put into VM_BUCKET; trying again"
    fi
  done
}

get_from_bucket() {
  local names name sum here there whole='' archive=$work/bucket.tar new=$run_dir.new
  rm -f "$work"/bucket.*.tar "$work"/bucket.*.name "$work"/rclone.*.log
  names=$(in_bucket) || fail "cannot list VM_BUCKET"
  [ -n "$names" ] || return 0
  here=$(last_step "$run_dir")
  # What this disk itself has put there last is not newer than what it has.
  if [ -n "$here" ] && [ "${names##*$'\n'}" = "$(cat "$work/bucket.txt" 2>/dev/null)" ]; then
    return 0
  fi
  while read -r name; do
    step rclone copyto --quiet "vmbucket:$name" "$archive" || fail "cannot read $name in VM_BUCKET"
    sum=${name#*-}
    echo "${sum%.tar}  $archive" | sha256sum --check --status - || continue
    whole=yes
    rm -rf "$new"
    mkdir -p "$new"
    tar --extract --file="$archive" --directory="$new" --no-same-owner
    there=$(last_step "$new")
    [ -z "$there" ] || break
  done < <(tac <<<"$names")
  rm -f "$archive"
  [ -n "$whole$here" ] || fail "nothing in VM_BUCKET is whole; name another VM_BUCKET"
  if [ -n "${there:-}" ] && [ "$there" -gt "${here:--1}" ]; then
    say "going on with the run in VM_BUCKET, from step $there"
    # A run of this disk is older, or ended before its first checkpoint.
    if [ -e "$run_dir" ] && ! rmdir "$run_dir" 2>/dev/null; then
      say "what was in $run_dir is in $run_dir.aside"
      mv -T --backup=numbered "$run_dir" "$run_dir.aside"
    fi
    mv -T "$new" "$run_dir"
  fi
  rm -rf "$new"
}

# A function is read as a whole, so that this file may be replaced while it runs.
main() {
  command -v setpriv flock >/dev/null || fail "install util-linux, which has setpriv and flock"
  mkdir -p "$work"
  # The kernel lets go of this lock when the last process that holds it ends: the script, its steps
  # and what puts the run into the bucket.
  exec 9>>"$work/start.lock"
  flock --wait 60 9 || fail "another start.sh is at work in $work"
  need curl git ${bucket:+rclone}
  mkdir -p "$(dirname -- "$run_dir")"
  [ -z "$bucket" ] || get_from_bucket
  if [ "$(cat "$marker" 2>/dev/null)" = "$goal" ]; then
    say "$run_dir is trained: $goal"
    # It may have been killed before the end was in the bucket.
    training=yes
    exit 0
  fi
  find_project
  say "installing the project"
  step "$project/run.sh" configs >/dev/null
  if [ "$port" != 0 ]; then
    mkdir -p "$run_dir"
    setpriv --pdeathsig TERM -- "$project/run.sh" tensorboard "$run_dir" --port="$port" \
      >"$work/tensorboard.log" 2>&1 </dev/null 9>&- &
    helpers+=($!)
    say "TensorBoard: http://localhost:$port, on this machine alone"
  fi
  fetch
  # The run may come from a bucket, and the records be made anew on this disk.
  if [ -n "$(last_step "$run_dir")" ]; then
    made=$(cat "$run_dir/records.txt" 2>/dev/null || echo "$converted")
    [ "$made" = "$converted" ] ||
      fail "$run_dir was trained on $made, not $converted; name another VM_WORK${bucket:+ and VM_BUCKET}"
  fi
  if ! [ -e "$records/manifest.json" ]; then
    printf '%s\n' "$converted" >"$work/records.txt"
    say "converting $named"
    step "$project/run.sh" convert --corpus="$VM_CORPUS" --input="$input" --output="$records" \
      "${convert_flags[@]}" >/dev/null
  fi
  # The records may have been made by hand.
  made=$(cat "$work/records.txt" 2>/dev/null || echo "$converted")
  [ "$made" = "$converted" ] || fail "$records is $made, not $converted; name another VM_WORK"
  say "training $goal"
  mkdir -p "$run_dir"
  printf '%s\n' "$converted" >"$run_dir/records.txt.new"
  mv "$run_dir/records.txt.new" "$run_dir/records.txt"
  training=yes
  if [ -n "$bucket" ]; then
    keep_in_bucket & # Where this script is killed, the next waits until it has ended.
    keeper=$!
    helpers+=("$keeper")
  fi
  step "$project/run.sh" train --config="$VM_CONFIG" --examples_path="$records/train.tfrecord*" \
    --run_dir="$run_dir" --num_steps="$VM_NUM_STEPS" "${train_flags[@]}"
  printf '%s\n' "$goal" >"$marker.new"
  mv "$marker.new" "$marker"
  say "trained: $goal"
}

main
exit
