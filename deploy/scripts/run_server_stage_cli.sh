#!/usr/bin/env bash
# The stages one by one, as on several nodes: stage 0 with gateway and registry, stage 1 headless; or both in one session.
set -euo pipefail

usage() {
    cat <<'TEXT'
run_server_stage_cli.sh [--stage 0|1|all] [--model M] [--port P] [--master-address A] [--master-port P]
                        [--deploy-config F] [-- FLAGS OF bagel serve...]
--stage all, the default, starts both here and stops both on Ctrl-C, or when its terminal is closed.
Environment: MODEL, PORT, MASTER_ADDRESS, MASTER_PORT, DEPLOY_CONFIG.
TEXT
}

stage=all
model=${MODEL:-ByteDance-Seed/BAGEL-7B-MoT}
port=${PORT:-8091}
master_address=${MASTER_ADDRESS:-127.0.0.1}
master_port=${MASTER_PORT:-8092}
deploy_config=${DEPLOY_CONFIG:-}

while [ $# -gt 0 ]; do
    case "$1" in
        --) shift; break ;;
        -h | --help) usage; exit 0 ;;
        --stage | --model | --port | --master-address | --master-port | --deploy-config)
            if [ $# -lt 2 ]; then echo "$1 needs a value" >&2; exit 2; fi
            name=${1#--}
            printf -v "${name//-/_}" '%s' "$2"
            shift 2 ;;
        *) echo "$1: unknown; flags of bagel serve go behind --" >&2; usage >&2; exit 2 ;;
    esac
done

common=("$model" --omni --master-address "$master_address" --master-port "$master_port")
if [ -n "$deploy_config" ]; then common+=(--deploy-config "$deploy_config"); fi
stage_0=(bagel serve "${common[@]}" --port "$port" --stage-id 0 "$@")
stage_1=(bagel serve "${common[@]}" --stage-id 1 --headless "$@")

case "$stage" in
    0) exec "${stage_0[@]}" ;;
    1) exec "${stage_1[@]}" ;;
    all) ;;
    *) echo "--stage $stage: take 0, 1 or all" >&2; exit 2 ;;
esac

first='' second='' stopped=''
stop() { stopped=$1; kill "-$1" $first $second 2>/dev/null || true; }
trap 'stop TERM' INT TERM
trap 'stop HUP' HUP  # the terminal is closed, which each of them sees
# Groups of their own: Ctrl-C reaches this script alone, which tells each of them once.
set -m
"${stage_0[@]}" & first=$!
"${stage_1[@]}" & second=$!
if [ -n "$stopped" ]; then stop "$stopped"; fi  # asked to while it started them
status=0
wait -n "$first" "$second" || status=$?
ended=$status
if [ -z "$stopped" ]; then stop TERM; else ended=0; fi
for each in "$first" "$second"; do
    while kill -0 "$each" 2>/dev/null; do wait "$each" 2>/dev/null || true; done
done
exit "$ended"
