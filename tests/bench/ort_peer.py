#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""ONNX Runtime as it is timed, by its Python package: ort_peer.py MODEL BATCH SIZE THREADS; speaks as ort_peer.js does, and is used where that
one has no node or no npm package."""
import resource
import sys
import time

import numpy
import onnxruntime as ort

model, batch, size, threads = sys.argv[1], *map(int, sys.argv[2:5])
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
session = ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])
feeds = {session.get_inputs()[0].name: numpy.random.default_rng(0).uniform(-1, 1, (batch, 3, size, size)).astype('f4')}
for _ in range(2):
    session.run(None, feeds)
print('ready ONNX Runtime', ort.__version__, 'forward f32', flush=True)
for line in sys.stdin:
    words = line.split()
    if words[:1] == ['go']:
        times = []
        for _ in range(int(words[1])):
            start = time.perf_counter()
            session.run(None, feeds)
            times.append('%.4f' % ((time.perf_counter() - start) * 1e3 / batch))
        print(*times, flush=True)
    elif words[:1] == ['peak']:
        print('%.1f' % (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), flush=True)
