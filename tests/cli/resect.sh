#!/bin/sh
# SPDX-License-Identifier: 0BSD
# The door: lists every tool, runs resect-VERB beside itself or on PATH, and knows what was meant.
. "$RESECT_SRC/tests/cli/check.sh"

status 0 resect
cp "$T/out" "$T/list"
for page in "$RESECT_BUILD"/tools/resect-*.1; do
        verb=$(basename "$page" .1 | sed 's/^resect-//')
        check "resect lists $verb" grep -q "^  $verb  *[a-zA-Z]" "$T/list"
        resect-"$verb" --help >"$T/direct"
        status 0 resect help "$verb"
        same "$T/out" "$T/direct"
        status 0 resect "$verb" --help
        same "$T/out" "$T/direct"
done
status 0 resect help
same "$T/out" "$T/list"
status 0 resect --version
says 'resect (resect) '
status 0 resect --help
says 'Usage: resect [OPTION]... [VERB [ARGUMENT]...]'

refuses resect stirp
says 'did you mean strip?'
refuses resect qqqqqqq
says "'resect' lists them"
refuses resect ../resect-strip
refuses resect ''
refuses resect help stirp
refuses resect --json
refuses resect --quiet strip

# Arguments and status pass through; a tool of one's own is found on PATH.
mkdir "$T/bin"
printf '#!/bin/sh\nprintf "<%%s>" "$@"\nexit 7\n' >"$T/bin/resect-mine"
chmod +x "$T/bin/resect-mine"
PATH=$PATH:$T/bin
status 7 resect mine 'a b' '' --quiet
check 'arguments arrive as they were' test "$(cat "$T/out")" = '<a b><><--quiet>'
printf 'no program' >"$T/bin/resect-other"
refuses resect other
finish
