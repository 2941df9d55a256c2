#!/usr/bin/env python3
"""Golden values of attention, transformer and masked_encoder, by PyTorch: see common.py."""
import torch
import torch.nn.functional as F

from common import case, take


def bias(elapsed, heads, window, positions):
    """Additive mask [B * heads, T, T]: -inf outside the window, minus slope times age inside."""
    steps, rows = elapsed.shape
    i, j = torch.arange(steps)[:, None], torch.arange(steps)[None, :]
    age = (i - j).double().expand(rows, steps, steps)
    if positions == "time":
        clock = torch.cumsum(elapsed, dim=0).T
        age = torch.log1p(torch.clamp(clock[:, :, None] - clock[:, None, :], min=0))
    slope = 2.0 ** (-8.0 * torch.arange(1, heads + 1).double() / heads)
    mask = -slope[None, :, None, None] * age[:, None] * (0 if positions == "none" else 1)
    outside = (j > i) | (i - j >= window)
    return mask.expand(rows, heads, steps, steps).masked_fill(outside, -torch.inf).reshape(rows * heads, steps, steps)


def attend(x, q_k_v, heads, mask, out):
    """x [T, B, n_in]; torch's own function wants n_in == units, so other widths are projected first."""
    steps, rows, _ = x.shape
    w, b = q_k_v
    units = w.shape[0] // 3
    if x.shape[2] == units:
        return F.multi_head_attention_forward(x, x, x, units, heads, w, b, None, None, False, 0.0, out[0], out[1],
                                              training=False, need_weights=False, attn_mask=mask)[0]
    q, k, v = (F.linear(x, w, b).chunk(3, dim=2)[n].reshape(steps, rows * heads, units // heads).transpose(0, 1)
               for n in range(3))
    p = torch.softmax(q @ k.transpose(1, 2) / (units // heads) ** 0.5 + mask, dim=2)
    return F.linear((p @ v).transpose(0, 1).reshape(steps, rows, units), *out)


def attention(n_in, units, heads, window, positions):
    shapes = [(3 * units, n_in), (3 * units,), (units, units), (units,)]

    def forward(params, x, elapsed):
        w, b, out, out_bias = take(params, *shapes)
        return attend(x, (w, b), heads, bias(elapsed, heads, window, positions), (out, out_bias))
    return sum(torch.Size(s).numel() for s in shapes), forward


def block_shapes(units, inner):
    return [(3 * units, units), (3 * units,), (units, units), (units,), (inner, units), (inner,), (units, inner), (units,),
            (units,), (units,), (units,), (units,)]


def block(t, x, heads, mask, before):
    """One encoder layer, with the tensors of torch.nn.TransformerEncoderLayer in their order."""
    norm1 = lambda a: F.layer_norm(a, a.shape[-1:], t[8], t[9])
    norm2 = lambda a: F.layer_norm(a, a.shape[-1:], t[10], t[11])
    inner = lambda a: F.linear(F.relu(F.linear(a, t[4], t[5])), t[6], t[7])
    both = lambda a: attend(a, t[:2], heads, mask, t[2:4])
    if before:
        h = x + both(norm1(x))
        return h + inner(norm2(h))
    h = norm1(x + both(x))
    return norm2(h + inner(h))


def transformer(units, heads, window, inner, before, positions):
    shapes = block_shapes(units, inner)

    def forward(params, x, elapsed):
        return block(take(params, *shapes), x, heads, bias(elapsed, heads, window, positions), before)
    return sum(torch.Size(s).numel() for s in shapes), forward


case("attention", "attention: {units: 6, heads: 2, window: 8}", 6, *attention(6, 6, 2, 8, "steps"))
case("attention_wide", "attention: {units: 8, heads: 4, window: 40}", 3, *attention(3, 8, 4, 40, "steps"))
case("attention_time", "attention: {units: 6, heads: 3, window: 10, positions: time}", 3,
     *attention(3, 6, 3, 10, "time"))
case("attention_ageless", "attention: {units: 4, heads: 1, window: 5, positions: none}", 4,
     *attention(4, 4, 1, 5, "none"))
case("transformer", "transformer: {heads: 2, window: 8, feed_forward: 10}", 6,
     *transformer(6, 2, 8, 10, True, "steps"))
case("transformer_after", "transformer: {heads: 2, window: 6, feed_forward: 17, norm: after, positions: time}", 4,
     *transformer(4, 2, 6, 17, False, "time"))


def masked_encoder(n_in, units, heads, blocks, inner, window, stride, lag):
    """For every firing the whole window through the encoder, the hidden steps replaced; their outputs handed out in turn."""
    shapes = [(units, n_in), (units,), (units,), (window, units)] + block_shapes(units, inner) * blocks
    shapes += [(units,), (units,)]

    def run(tensors, x, t):
        steps = torch.arange(max(0, t - window + 1), t + 1)
        places = steps - (t - window + 1)
        hidden = (steps >= t - lag) & (steps < t - lag + stride)
        w, b, mask, position = tensors[:4]
        h = torch.where(hidden[:, None, None], mask, F.linear(x[steps], w, b)) + position[places][:, None]
        for k in range(blocks):
            h = block(tensors[4 + 12 * k:16 + 12 * k], h, heads, None, True)
        return steps, F.layer_norm(h, (units,), *tensors[-2:])

    def forward(params, x, elapsed):
        tensors = take(params, *shapes)
        zero = x.new_zeros(x.shape[1], units)
        out = [zero] * x.shape[0]
        for t in range(stride - 1, x.shape[0], stride):
            steps, y = run(tensors, x, t)
            known = {int(s): y[i] for i, s in enumerate(steps)}
            for k in range(stride):
                if t + k < x.shape[0]:
                    out[t + k] = known.get(t - lag + k, zero)
        return torch.stack(out)
    return sum(torch.Size(s).numel() for s in shapes), forward


case("masked_encoder", "masked_encoder: {units: 6, heads: 2, blocks: 2, feed_forward: 9, window: 10, stride: 3, lag: 5, "
     "mask: 0}", 3, *masked_encoder(3, 6, 2, 2, 9, 10, 3, 5))
case("masked_encoder_short", "masked_encoder: {units: 4, heads: 1, blocks: 1, feed_forward: 5, window: 5, stride: 1, "
     "lag: 4, mask: 0}", 2, *masked_encoder(2, 4, 1, 1, 5, 5, 1, 4))
