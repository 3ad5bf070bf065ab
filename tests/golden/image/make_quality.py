"""make_quality.py DIR: quality measures and perceptual hashes of the pictures in DIR/resize, with numpy, SciPy, scikit-image and Pillow
(DIR/quality.jsonl). Hashes follow imagededup's steps."""
import json, pathlib, sys
import numpy as np
from PIL import Image
from scipy.fftpack import dct
from skimage.measure import shannon_entropy
from skimage.util import view_as_blocks

here = pathlib.Path(sys.argv[1])


def sharpness(grey, side):
    a = np.asarray(grey.resize((side, side), Image.BILINEAR) if grey.size != (side, side) else grey).astype(float)
    v = (a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] - 4 * a[1:-1, 1:-1]).var()
    return v / (v + 100)


def lettered_tiles(g):
    """Which 16 x 16 tiles look like letters; the conditions are those of src/image/lettering.c, in floating point."""
    rows, columns = g.shape[0] // 16, g.shape[1] // 16
    out = np.zeros((rows, columns), bool)
    for r in range(rows):
        for c in range(columns):
            t = g[16 * r:16 * r + 16, 16 * c:16 * c + 16].astype(float)
            light = t > (t.min() + t.max()) / 2
            if np.ptp(t) < 32 or min(light.sum(), (~light).sum()) < .06 * 256: continue
            p = light.mean()
            between = p * (1 - p) * (t[light].mean() - t[~light].mean()) ** 2
            across, down = (light[:, 1:] != light[:, :-1]).sum() / 16, (light[1:] != light[:-1]).sum() / 16
            out[r, c] = across >= 1.5 and down >= .75 and between >= .82 * t.var()
    return out


def unmarked(grey):
    g, share = np.asarray(grey).astype(int), 0
    for _ in range(3):
        if min(g.shape) < 64: break
        t = lettered_tiles(g)
        beside = np.pad(t, ((0, 0), (1, 1)))
        share = max(share, (t & (beside[:, :-2] | beside[:, 2:])).mean())
        h, w = g.shape[0] // 2 * 2, g.shape[1] // 2 * 2
        g = (g[:h:2, :w:2] + g[1:h:2, :w:2] + g[:h:2, 1:w:2] + g[1:h:2, 1:w:2] + 2) >> 2
    return 1 - share


def measures(im):
    grey, rgb = im.convert('L'), np.asarray(im.convert('RGB'))
    g = np.asarray(grey).astype(float)
    h, w = g.shape
    low, high = np.percentile(g, [5, 95], method='inverted_cdf')
    bh, bw = min(8, h), min(8, w)
    blocks = view_as_blocks(np.ascontiguousarray(g[:h // bh * bh, :w // bw * bw]), (bh, bw))
    across, down = np.abs(np.diff(g, axis=1)), np.abs(np.diff(g, axis=0))
    on = np.concatenate([across[:, 7::8].ravel(), down[7::8].ravel()])
    off = np.concatenate([np.delete(across, np.s_[7::8], 1).ravel(), np.delete(down, np.s_[7::8], 0).ravel()])
    a, b = (on.mean(), off.mean()) if len(on) and len(off) else (0, 0)
    return {
        'sharpness': sharpness(grey, 256), 'sharpness_64': sharpness(grey, 64),
        'exposure': (1 - (2 * g.mean() / 255 - 1) ** 2) * (1 - ((g <= 2) | (g >= 253)).mean()),
        'contrast': (high - low) / 255,
        'detail': (np.ptp(blocks, axis=(2, 3)) >= 8).mean(),
        'colour': shannon_entropy(np.dot(rgb >> 5, [64, 8, 1])) / 9,
        'clean': 1 - max(0, (a - b) / (a + b)) if a + b else 1.0,
        'unmarked': unmarked(grey),
        'brightest': int(np.percentile(g, 99, method='inverted_cdf')),
    }


def bits(b): return '%016x' % int(''.join('1' if x else '0' for x in np.asarray(b).ravel()), 2)


def hashes(im):
    small = lambda w, h: np.asarray(im.convert('RGB').resize((w, h), Image.LANCZOS).convert('L')).astype(int)
    low = dct(dct(small(32, 32), axis=0), axis=1)[:8, :8]
    nine, eight = small(9, 8), small(8, 8)
    return {'phash': bits(low >= np.median(low.ravel()[1:])), 'dhash': bits(nine[:, 1:] > nine[:, :-1]), 'ahash': bits(eight >= eight.mean())}


if __name__ == '__main__':
    with open(here / 'quality.jsonl', 'w') as f:
        for path in sorted((here / 'resize').iterdir()):
            im = Image.open(path)
            if im.mode == 'CMYK': continue
            row = {'image': 'resize/' + path.name, **measures(im), **hashes(im)}
            f.write(json.dumps({k: float(v) if isinstance(v, np.floating) else v for k, v in row.items()}) + '\n')
