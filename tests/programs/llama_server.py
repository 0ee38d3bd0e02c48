"""A llama-server through the PyPI package xllamacpp: a real server for tests.

usage: llama_server.py MODEL.gguf PORT THREADS
"""
import sys
import time

import xllamacpp as xlc

params = xlc.CommonParams()
params.model.path = sys.argv[1]
params.port = int(sys.argv[2])
params.n_ctx = 256
params.cpuparams.n_threads = int(sys.argv[3])
params.cpuparams_batch.n_threads = int(sys.argv[3])
params.warmup = False
params.endpoint_metrics = True
server = xlc.Server(params)
while True:
    time.sleep(3600)
