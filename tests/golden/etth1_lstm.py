#!/usr/bin/env python3
"""An LSTM trained in PyTorch on ETTh1, as a safetensors file with the forecasts that PyTorch makes with it.

    /usr/bin/python3 tests/golden/etth1_lstm.py ../shared/data/ett/ETTh1.csv.gz

writes tests/golden/files/etth1_lstm.safetensors and etth1_lstm.csv: for rows 3600 .. 3899 what the network, stepped from row
3400 on, forecasts for the next row, in z-scores by rows 0 .. 2879.  tests/flow/85_etth1.sh lets eddy do the same.
Made with Python 3.11.2 and PyTorch 1.13.0 (Debian 12), seed 1."""
import gzip
import json
import os
import struct
import sys

import torch

torch.manual_seed(1)
torch.set_num_threads(1)
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
UNITS, TRAIN, START, FIRST, LAST = 16, 2880, 3400, 3600, 3900

with gzip.open(sys.argv[1], "rt") as f:
    rows = [line.strip().split(",")[1:] for line in f][1:]
data = torch.tensor([[float(v) for v in row] for row in rows], dtype=torch.float64)
mean, deviation = data[:TRAIN].mean(dim=0), data[:TRAIN].std(dim=0, unbiased=False)
z = (data - mean) / deviation


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(7, UNITS)
        self.head = torch.nn.Linear(UNITS, 7)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


model = Model()
optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
windows = z[:TRAIN].float().reshape(-1, 96, 7).transpose(0, 1)  # [96, 30, 7]
for epoch in range(60):
    loss = torch.nn.functional.mse_loss(model(windows)[:-1], windows[1:])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
print(f"training loss {loss.item():.4f}", file=sys.stderr)

names = {"lstm.": "layers.0.", "head.": "head."}
tensors = {names[k.split(".")[0] + "."] + k.split(".", 1)[1]: v.detach().float() for k, v in model.state_dict().items()}
header, body = {}, b""
for name in sorted(tensors):
    raw = struct.pack(f"<{tensors[name].numel()}f", *tensors[name].reshape(-1).tolist())
    header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [len(body), len(body) + len(raw)]}
    body += raw
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(HERE, "etth1_lstm.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + body)

with torch.no_grad():
    y = model.double()(z[START:LAST, None])[:, 0]
error = ((y[FIRST - START:-1] - z[FIRST + 1:LAST]) ** 2).mean()
print(f"MSE of the forecasts {error:.4f}, of persistence {((z[FIRST:LAST - 1] - z[FIRST + 1:LAST]) ** 2).mean():.4f}",
      file=sys.stderr)
with open(os.path.join(HERE, "etth1_lstm.csv"), "w") as f:
    f.write("mean," + ",".join(f"{v:.17g}" for v in mean.tolist()) + "\n")
    f.write("deviation," + ",".join(f"{v:.17g}" for v in deviation.tolist()) + "\n")
    for row in range(FIRST, LAST):
        f.write(f"{row}," + ",".join(f"{v:.9g}" for v in y[row - START].tolist()) + "\n")
