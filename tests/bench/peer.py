# SPDX-License-Identifier: 0BSD
"""What bench.py's peers in Python have in common: each is a coprocess that says "ready WORDS", and then answers each line "go N" with the
milliseconds an image of N runs, a number each, and "peak" with its peak resident memory in MiB; it ends with its input."""
import resource
import sys
import time


def answer(ready, run, images, warm):
    """ready: words; run: does it once, for so many images; warm: runs that are not timed."""
    for _ in range(warm):
        run()
    print('ready', *ready, flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ['go']:
            times = []
            for _ in range(int(words[1])):
                start = time.perf_counter()
                run()
                times.append('%.4f' % ((time.perf_counter() - start) * 1e3 / images))
            print(*times, flush=True)
        elif words[:1] == ['peak']:
            print('%.1f' % (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), flush=True)
