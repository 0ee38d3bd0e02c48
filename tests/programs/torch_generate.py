"""Forward passes of PyTorch whose layers are read from the disk in each: a real engine for tests.

usage: torch_generate.py MODEL.safetensors PASSES
The model has model.embed_tokens.weight, which is read once, and in each layer mlp.up_proj and mlp.down_proj.
"""
import json
import os
import sys

import torch

path, passes = sys.argv[1], int(sys.argv[2])
file = os.open(path, os.O_RDONLY)
length = int.from_bytes(os.pread(file, 8, 0), "little")
tensors = json.loads(os.pread(file, length, 8))


def read(name):
    """A tensor, from the disk: what an engine finds whose memory is smaller than its model."""
    first, end = (8 + length + place for place in tensors[name]["data_offsets"])
    os.posix_fadvise(file, first, end - first, os.POSIX_FADV_DONTNEED)
    content = bytearray(end - first)
    if os.preadv(file, [content], first) != len(content):
        sys.exit(f"{path} ends in {name}")
    return torch.frombuffer(content, dtype=torch.float32).reshape(tensors[name]["shape"])


embeddings = read("model.embed_tokens.weight")
layers = sum(name.endswith("up_proj.weight") for name in tensors)
tokens = torch.tensor([1, 2, 3])
with torch.no_grad():
    for _ in range(passes):
        hidden = torch.nn.functional.embedding(tokens, embeddings)
        for layer in range(layers):
            up = read(f"model.layers.{layer}.mlp.up_proj.weight")
            down = read(f"model.layers.{layer}.mlp.down_proj.weight")
            hidden = hidden + torch.relu(hidden @ up.T) @ down.T
        tokens = (hidden[-1] @ embeddings.T).argmax().reshape(1)
