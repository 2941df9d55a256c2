#!/usr/bin/env python3
"""Model files of PyTorch, with what the modules answer, and the way back.

    /usr/bin/python3 tests/golden/torch_files.py                     writes tests/golden/files/NAME*.safetensors
    /usr/bin/python3 tests/golden/torch_files.py check build/eddy    eddy imports and exports each; PyTorch reads that

NAME.safetensors is the state_dict of a module with a ModuleList `layers` and a Linear `head`; its metadata name the same
network as eddy writes it.  NAME_steps.safetensors holds x [T, 3] and y [T, 2], the answers from a state of zeros, computed
in double precision.  tests/unit/model/torch_files_test.c steps eddy's networks over x.

Made with Python 3.11.2 and PyTorch 1.13.0 (Debian 12: python3-torch); the format is simple enough to need no package."""
import json
import os
import struct
import subprocess
import sys
import tempfile

import torch
from torch import nn

STEPS, N_IN, N_OUT = 40, 3, 2
FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
torch.set_num_threads(1)


class Network(nn.Module):
    """x [T, n_in] -> y [T, n_out]"""

    def __init__(self, layers, activations, width):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activations = activations
        self.head = nn.Linear(width, N_OUT)

    def forward(self, x):
        for layer, activation in zip(self.layers, self.activations):
            if isinstance(layer, nn.Conv1d):  # causal: zeros before the first step
                x = layer(nn.functional.pad(x.T, (layer.kernel_size[0] - 1, 0))).T
            elif isinstance(layer, nn.Linear):
                x = layer(x)
            else:
                x = layer(x.unsqueeze(1))[0].squeeze(1)
            x = activation(x)
        return self.head(x)


def same(x):
    return x


CASES = {  # name: (seed, eddy's layers, the module, type of the numbers)
    "lstm": (1, "[{lstm: {units: 6}}]", lambda: Network([nn.LSTM(N_IN, 6)], [same], 6), torch.float32),
    "gru": (2, "[{gru: {units: 5}}]", lambda: Network([nn.GRU(N_IN, 5)], [same], 5), torch.float32),
    "rnn": (3, "[{rnn: {units: 5}}]", lambda: Network([nn.RNN(N_IN, 5)], [same], 5), torch.float32),
    "dense": (4, "[{dense: {units: 7, activation: relu}}, {dense: {units: 4, activation: tanh}}]",
              lambda: Network([nn.Linear(N_IN, 7), nn.Linear(7, 4)], [torch.relu, torch.tanh], 4), torch.float32),
    "conv1d": (5, "[{conv1d: {filters: 4, kernel: 3, activation: relu}}, {gru: {units: 4}}]",
               lambda: Network([nn.Conv1d(N_IN, 4, 3), nn.GRU(4, 4)], [torch.relu, same], 4), torch.float32),
    "doubles": (6, "[{lstm: {units: 4}}, {gru: {units: 3}}, {dense: {units: 3, activation: sigmoid}}]",
                lambda: Network([nn.LSTM(N_IN, 4), nn.GRU(4, 3), nn.Linear(3, 3)], [same, same, torch.sigmoid], 3),
                torch.float64),
}


def write(path, tensors, metadata):
    kinds = {torch.float32: ("F32", "f"), torch.float64: ("F64", "d")}
    header, data = {"__metadata__": metadata}, b""
    for name, t in tensors.items():
        dtype, code = kinds[t.dtype]
        numbers = t.detach().reshape(-1).tolist()
        body = struct.pack(f"<{len(numbers)}{code}", *numbers)
        header[name] = {"dtype": dtype, "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(body)]}
        data += body
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read(path):
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        code = {"F32": "f", "F64": "d"}[entry["dtype"]]
        begin, end = entry["data_offsets"]
        numbers = struct.unpack(f"<{(end - begin) // struct.calcsize(code)}{code}", data[begin:end])
        tensors[name] = torch.tensor(numbers, dtype=torch.float64).reshape(entry["shape"])
    return tensors


def write_all():
    os.makedirs(FILES, exist_ok=True)
    for name, (seed, layers, make, dtype) in CASES.items():
        torch.manual_seed(seed)
        module = make().to(dtype)
        x = torch.randn(STEPS, N_IN).to(torch.float32)
        y = module.to(torch.float64)(x.to(torch.float64))
        state = {k: v.to(dtype) for k, v in module.state_dict().items()}
        write(f"{FILES}/{name}.safetensors", state, {"format": "pt", "layers": layers})
        write(f"{FILES}/{name}_steps.safetensors", {"x": x, "y": y.to(torch.float32)}, {"format": "pt"})


def check(eddy):
    """What eddy makes of each file, read by PyTorch: load_state_dict() checks every name and shape."""
    for name, (_, layers, make, _) in CASES.items():
        with tempfile.TemporaryDirectory() as scratch:
            conf, back = f"{scratch}/conf.yml", f"{scratch}/back.safetensors"
            with open(conf, "w") as f:
                f.write(f"name: check\nsource: {{stdin: }}\nsink: {{stdout: }}\nstate: {{path: {scratch}/state}}\n"
                        f"codec: {{json: {{key: key, time: ts, values: [v]}}}}\n"
                        f"forecast: {{horizons: [1, 2], network: {{inputs: [level, difference, known], layers: {layers}}}}}\n")
            subprocess.run([eddy, "model", conf, "import", f"{FILES}/{name}.safetensors"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([eddy, "model", conf, "export", back], check=True, stdout=subprocess.DEVNULL)
            module = make().to(torch.float64)
            module.load_state_dict(read(back))
        steps = read(f"{FILES}/{name}_steps.safetensors")
        error = (module(steps["x"]) - steps["y"]).abs().max().item()
        print(f"{'ok' if error < 1e-6 else 'not ok'} - {name}: largest difference {error:.2g}")


if len(sys.argv) == 3 and sys.argv[1] == "check":
    check(sys.argv[2])
elif len(sys.argv) == 1:
    write_all()
else:
    sys.exit(__doc__)
