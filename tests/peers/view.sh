#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Everything that tests/unit/test_view draws, odd texts and odd numbers included, through a real XML parser.
. "$RESECT_SRC/tests/peers/peers.sh"
test=$RESECT_BUILD/tests/unit/test_view
[ -x "$test" ] || skip "no $test"
mkdir "$tmp/drawn"
RESECT_VIEW_OUT=$tmp/drawn "$test" >"$tmp/log" || fail "test_view: $(cat "$tmp/log")"
"$PYTHON" - "$tmp/drawn" <<'END' || fail 'not XML'
import glob, sys, xml.etree.ElementTree as tree
files = glob.glob(sys.argv[1] + '/*.xml')
for f in files:
    root = tree.parse(f).getroot()
    if root.tag != 'html':
        assert root.tag == '{http://www.w3.org/2000/svg}svg', root.tag
        assert root.get('role') == 'img' and root.get('viewBox') and root[0].tag.endswith('title')
print(len(files), 'files')
sys.exit(len(files) < 50)
END
exit $failed
