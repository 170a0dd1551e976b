#!/bin/sh
# Everything on this machine: run_server.sh [FLAGS OF bagel serve...], where a "--" may stand before the flags
# Environment: MODEL, PORT, DEPLOY_CONFIG.
set -eu

if [ "${1-}" = -- ]; then shift; fi
exec bagel serve "${MODEL:-ByteDance-Seed/BAGEL-7B-MoT}" --omni --port "${PORT:-8091}" \
    ${DEPLOY_CONFIG:+--deploy-config "$DEPLOY_CONFIG"} "$@"
