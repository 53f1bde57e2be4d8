#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""ONNX Runtime as it is timed, by its Python package: ort_peer.py MODEL BATCH SIZE THREADS; speaks as ort_peer.js does, and is used where that
one has no node or no npm package."""
import sys

import numpy
import onnxruntime as ort

import peer

model, batch, size, threads = sys.argv[1], *map(int, sys.argv[2:5])
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
session = ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])
feeds = {session.get_inputs()[0].name: numpy.random.default_rng(0).uniform(-1, 1, (batch, 3, size, size)).astype('f4')}
peer.answer(('ONNX Runtime', ort.__version__, 'forward f32'), lambda: session.run(None, feeds), batch, 2)
