#!/bin/sh
# The command sync-from-s3 of this clone. It may be linked from anywhere:
#   ln -s ~/Github/waybill/scripts/sync_from_s3.sh sync_from_s3.sh
here=$(dirname -- "$(readlink -f -- "$0")") || exit 2
python=$here/../.venv/bin/python
[ -x "$python" ] || python=python3
export WAYBILL_INVOKED="$0" PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -P -m waybill.cli.glacier "$@"
